//go:build lab

package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

// leadsAt waits until the server has the cluster's name lead to the VIP of a node's site.
func (s *nameserver) leadsAt(c *cluster, n *node) {
	s.t.Helper()
	want := vip(slices.Index(c.sites, n.network))
	until(s.t, settleTime, func(ctx context.Context) error {
		got, err := s.addresses(ctx, "pgsql-cl."+recordZone)
		if err == nil && !slices.Equal(got, []netip.Addr{want}) {
			err = fmt.Errorf("with %s as the leader the name leads to %v, and not to %s", n.name, got, want)
		}
		return err
	})
}

// secret is what a file of a name server's has.
func secret(t testing.TB, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(content))
}

// TestName has the name of a cluster over two sites at a real bind9, which takes updates by
// TSIG alone, follow the leader from one site to the other, by an operator's hand and by a
// power cut.
func TestName(t *testing.T) {
	t.Parallel()
	sites := newSites(t, 2)
	bind := newBind(t, sites[1], siteAddress(1, 53), byKey)
	c := newClusterAt(t, sites, plan{
		members: []member{{"pgsql-n1", 0, "postgresql, etcd"}, {"pgsql-n2", 1, "postgresql, etcd"}, {"pgsql-w1", 1, "witness"}},
		dns:     fmt.Sprintf("zone: %s, auth: tsig, key_name: %s.", recordZone, keyName),
		more:    fmt.Sprintf("secrets: {tsig_secret: %q}\n", secret(t, bind.keyFile())), resolvers: bind.addr.String(),
	})
	leader := c.bear()
	bind.leadsAt(c, leader)
	for _, n := range c.databases() {
		n.sh("dnscp check >&2")
	}
	c.verifies()

	other := slices.DeleteFunc(c.databases(), func(n *node) bool { return n == leader })[0]
	c.switchover(other)
	bind.leadsAt(c, other)
	other.kill()
	c.settle(c.without(other))
	bind.leadsAt(c, leader)
	other.start()
	c.waitReady()
	c.settle(c.nodes)
	bind.leadsAt(c, leader)
}

// TestNameInDirectory has a node keep its name in Active Directory, with the password of the
// virtual computer alone: realm, KDC and server are found in DNS.
func TestNameInDirectory(t *testing.T) {
	t.Parallel()
	sites := newSites(t, 1)
	directory := newSamba(t, sites[0], siteAddress(0, 53))
	c := newClusterAt(t, sites, plan{
		members: []member{{"pgsql-n1", 0, "postgresql, etcd"}},
		dns:     fmt.Sprintf("zone: %s, auth: gss-tsig", recordZone),
		more:    fmt.Sprintf("secrets: {dns_password: %q}\n", secret(t, directory.createComputer("PGSQL-CL"))), resolvers: directory.addr.String(),
	})
	leader := c.bear()
	directory.leadsAt(c, leader)
	leader.sh("dnscp check >&2")
	if leaked := c.minted.Secrets.Leaked(leader.sh("journalctl -b --output=cat")); leaked != nil {
		t.Errorf("the journal has %q", leaked)
	}
}
