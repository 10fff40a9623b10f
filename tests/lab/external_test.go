//go:build lab

package lab

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"banyan/internal/pki"
	"banyan/tests/fixture"
)

// newEtcd makes a node of another cluster whose etcd asks for a certificate and for the
// password of the user patroni, who may do what Patroni has to, and returns what a cluster file says of it.
func newEtcd(t testing.TB, site *network) (section string) {
	t.Helper()
	h := newHost(t, site, "etcd-1", siteAddress(0, 21))
	text := strings.Replace(clusterFile(h, "firewall: {allow: [{port: 2379}]}\n"), "pgsql-cl", "etcd-cl", 1)
	n := &node{h, fixture.Mint(t, text)}
	seed := n.cluster.Seeds[h.name]
	n.plant(seed.Text)
	n.waitReady()
	n.sh("systemctl stop patroni.service") // which has no password
	password := rand.Text()
	n.sh(`cat >/root/users <<'END'
user add root --new-user-password=` + rand.Text() + `
user add patroni --new-user-password=` + password + `
user grant-role root root
role add patroni
role grant-permission patroni --prefix=true readwrite /service/
user grant-role patroni patroni
auth enable
END
su --login --command 'while read -r line; do etcdctl $line </dev/null; done </root/users' >&2`)
	block := func(pem string) string { return "|\n    " + strings.ReplaceAll(strings.TrimSpace(pem), "\n", "\n    ") }
	// With users, etcd refuses from its JSON gateway, which Patroni speaks to, a client whose
	// certificate has a common name: https://etcd.io/docs/v3.5/op-guide/authentication/rbac/#using-tls-common-name
	certificate, key, _, err := n.cluster.EtcdAuthority(t).Issue(pki.Subject{ClientOnly: true}, pki.Lifetime{From: time.Now(), Days: 60})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`etcd:
  endpoints: ["https://%s:2379"]
  username: patroni
  password: %s
  cacert: %s
  cert: %s
  key: %s
`, h.addr.Addr(), password, block(string(seed.PKI.EtcdCA)), block(certificate), block(key))
}

// TestExternal has a cluster keep its state in an etcd that stands already.
func TestExternal(t *testing.T) {
	t.Parallel()
	sites := newSites(t, 1)
	c := newClusterAt(t, sites, plan{dcs: "external", more: newEtcd(t, sites[0]), members: []member{
		{"pgsql-n1", 0, "postgresql, haproxy"},
		{"pgsql-n2", 0, "postgresql, haproxy"},
	}})
	c.bear()
	c.verified("an external etcd", c.nodes, nil)
	l := c.openLedger(0)
	c.cutLeader(l)
	c.losePower(l)
}
