//go:build lab

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"banyan/tests/fixture"
)

// The clients of a node, each with an address of both families.
var (
	operator = client{"operator", address(1), netip.MustParseAddr("fd00:213::1")}
	program  = client{"program", address(2), netip.MustParseAddr("fd00:213::2")}
	monitor  = client{"monitor", address(3), netip.MustParseAddr("fd00:213::3")}
	stranger = client{"stranger", address(4), netip.MustParseAddr("fd00:213::4")}
)

var clients = []client{operator, program, monitor, stranger}

// nodeIP6 is the node's own address of IPv6.
var nodeIP6 = netip.MustParseAddr("fd00:213::11")

type client struct {
	name string
	ip4  netip.Addr
	ip6  netip.Addr
}

// addClients gives the network its clients, and the node an address of IPv6.
func (n *node) addClients() {
	n.t.Helper()
	for _, c := range clients {
		if c != operator { // whose address the bridge has
			n.network.addClient(n.t, netip.PrefixFrom(c.ip4, n.addr.Bits()))
		}
		n.network.addClient(n.t, netip.PrefixFrom(c.ip6, 64))
	}
	n.sh(fmt.Sprintf("ip address add %s/64 dev eth0 nodad", nodeIP6))
}

// rule is what is to become of what somebody sends to a port.
type rule struct {
	protocol string
	port     uint16
	open     []client // who is let in; what others send is dropped
}

// scan tries all ports of a node from all clients at once, over both families.
func (n *node) scan(rules []rule) {
	n.t.Helper()
	var all sync.WaitGroup
	for _, r := range rules {
		for _, c := range clients {
			want := dropped
			if slices.Contains(r.open, c) {
				want = open
			}
			for _, way := range []struct{ from, to netip.Addr }{{c.ip4, n.addr.Addr()}, {c.ip6, nodeIP6}} {
				all.Go(func() {
					protocol := r.protocol
					if protocol == "icmp" {
						protocol = map[bool]string{true: "ip4:icmp", false: "ip6:ipv6-icmp"}[way.from.Is4()]
					}
					to := netip.AddrPortFrom(way.to, r.port)
					got, err := knock(n.t.Context(), n.network.from(way.from), protocol, to)
					if err != nil || got != want {
						n.t.Errorf("%s (%s) to %s over %s: %s %v, want %s", c.name, way.from, to, protocol, got, err, want)
					}
				})
			}
		}
	}
	all.Wait()
}

// The firewall lets in whom the seed says, and nobody else; and forwards nothing.
func TestFirewall(t *testing.T) {
	t.Parallel()
	n := born(t)
	n.addClients()
	// etcd and Patroni listen on the node's own address alone; PostgreSQL and sshd on all.
	for _, port := range []uint16{2379, 2380, 8008} {
		listen(t, n.id(), "tcp", netip.AddrPortFrom(nodeIP6, port))
	}
	for _, port := range []uint16{1, 445, 4000, 5000, 10050, 65000} {
		listen(t, n.id(), "tcp", netip.AddrPortFrom(netip.IPv6Unspecified(), port))
	}
	listen(t, n.id(), "udp", netip.AddrPortFrom(n.addr.Addr(), 5300))
	listen(t, n.id(), "udp", netip.AddrPortFrom(nodeIP6, 5300))

	n.scan([]rule{
		{"icmp", 0, clients},
		{"tcp", 22, clients},
		{"tcp", 5432, clients},
		{"tcp", 445, clients},
		{"tcp", 10050, clients},
		{"tcp", 1, nil},
		{"tcp", 2379, nil},
		{"tcp", 2380, nil},
		{"tcp", 4000, nil},
		{"tcp", 5000, nil},
		{"tcp", 8008, nil},
		{"tcp", 65000, nil},
		{"udp", 5300, nil},
	})
	n.checkForward()

	n.reseed(fmt.Sprintf(`patroni: {restapi: {allowlist: ["%[3]s", "%[7]s"]}}
firewall:
  ssh_sources: [%[1]s/32, "%[5]s/128"]
  client_sources: [%[2]s/32, "%[6]s/128"]
  allow:
    - {port: 10050, sources: [%[3]s/32, "%[7]s/128"]}
    - {port: 5300, protocol: udp, sources: [%[3]s/32, "%[7]s/128"]}
    - {port: 64000-65000}
  rules: ["ip saddr %[4]s tcp dport 5000 accept", "ip6 saddr %[8]s tcp dport 5000 accept"]
`, operator.ip4, program.ip4, monitor.ip4, stranger.ip4, operator.ip6, program.ip6, monitor.ip6, stranger.ip6))
	n.exits(0, "firstboot")
	n.scan([]rule{
		{"icmp", 0, clients},
		{"tcp", 22, []client{operator}},
		{"tcp", 5432, []client{program}},
		{"tcp", 8008, []client{monitor}},
		{"tcp", 10050, []client{monitor}},
		{"udp", 5300, []client{monitor}},
		{"tcp", 65000, clients},
		{"tcp", 5000, []client{stranger}},
		{"tcp", 445, nil},
		{"tcp", 1, nil},
		{"tcp", 2379, nil},
		{"tcp", 2380, nil},
	})
	// The log itself is the kernel's, and so not this node's here.
	n.expect([]fixture.Check{{"what logs", "nft list chain inet banyan input | grep --count 'log prefix \"banyan dropped: \"'", "1"}})

	n.reseed("firewall: {enabled: false}\n")
	n.exits(0, "firstboot")
	n.scan([]rule{{"tcp", 1, clients}, {"tcp", 2379, clients}, {"tcp", 8008, clients}, {"udp", 5300, clients}})
	n.expect([]fixture.Check{{"what is left of it", "nft list ruleset", ""}})
}

// checkForward sends something through the node to a third network, which the node is
// to keep it from, though its kernel forwards. With a rule of somebody's it arrives.
func (n *node) checkForward() {
	n.t.Helper()
	third := n.id() + "-third"
	if err := addNamespace(third); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if err := deleteNamespace(third); err != nil {
			n.t.Error(err)
		}
	})
	to := netip.MustParseAddrPort("192.0.2.2:7")
	if err := errors.Join(
		ip(n.id(), fmt.Sprintf("link add third type veth peer name eth0 netns %s", third),
			"address add 192.0.2.1/24 dev third", "link set third up"),
		ip(third, "address add 192.0.2.2/24 dev eth0", "link set eth0 up", "route add default via 192.0.2.1"),
		n.network.ip(fmt.Sprintf("route add 192.0.2.0/24 via %s", n.addr.Addr())),
	); err != nil {
		n.t.Fatal(err)
	}
	listen(n.t, third, "tcp", to)
	knocked := func() string {
		got, err := knock(n.t.Context(), n.network.from(program.ip4), "tcp", to)
		if err != nil {
			n.t.Fatal(err)
		}
		return got
	}
	if got := knocked(); got != dropped {
		n.t.Errorf("through the node to another network it is %s", got)
	}
	n.sh("nft add rule inet banyan forward accept")
	if got := knocked(); got != open {
		n.t.Errorf("where a rule forwards it, it is %s through the node to another network", got)
	}
	n.exits(0, "firstboot")
	if got := knocked(); got != dropped {
		n.t.Errorf("once a run has taken that rule away it is %s", got)
	}
}

// doorSeed is a seed in which dba may log in from anywhere or from these sources alone.
func doorSeed(key string, sshPort uint16, sources ...string) string {
	text := strings.Replace(people(key), "system: {", fmt.Sprintf("system: {ssh_port: %d, ", sshPort), 1)
	if len(sources) > 0 {
		text += fmt.Sprintf("firewall: {ssh_sources: [%s]}\n", strings.Join(sources, ", "))
	}
	return text
}

// A firewall that would keep out who is logged in is refused, and nothing else is.
func TestDoor(t *testing.T) {
	t.Parallel()
	key, authorized := fixture.NewKey(t)
	n := born(t, doorSeed(authorized, 22))
	n.network.addClient(t, netip.PrefixFrom(program.ip4, n.addr.Bits()))
	session := n.login(program, 22, key)
	table := n.sh("nft list ruleset")
	n.reseed(doorSeed(authorized, 22, operator.ip4.String()+"/32"))

	if said, want := n.exits(1, "firstboot"), fmt.Sprintf("it would keep out %s, from where somebody is logged in now (port 22)", program.ip4); !strings.Contains(said, want) {
		t.Errorf("a run does not say %q:\n%s", want, said)
	}
	n.checkRefused(table, key)
	// Whoever is logged in is not kept out by mistake either.
	n.sh("rm /var/lib/banyan/firewall/refused.nft")
	n.exits(1, "firstboot")
	n.checkRefused(table, key)
	n.logout(session)
	n.checkRefused(table, key)

	n.stop()
	n.start()
	n.shWithin(birthTime, "firstboot status --wait >&2 || true")
	n.checkRefused(table, key)

	// Nobody is logged in, so that nobody is kept out: to knock is not to be.
	door := netip.AddrPortFrom(n.addr.Addr(), 22)
	knocking, err := n.network.from(program.ip4)(t.Context(), "tcp", door.String())
	if err != nil {
		t.Fatal(err)
	}
	defer knocking.Close()
	n.sh("rm /var/lib/banyan/firewall/refused.nft")
	n.exits(0, "firstboot")
	n.waitReady()
	for c, want := range map[client]string{operator: open, program: dropped} {
		if got, err := knock(t.Context(), n.network.from(c.ip4), "tcp", door); err != nil || got != want {
			t.Errorf("once nobody is logged in, %s is %s %v, want %s", c.name, got, err, want)
		}
	}

	// Another port, while somebody is logged in over the first one.
	session = n.login(operator, 22, key)
	n.reseed(doorSeed(authorized, 2222, operator.ip4.String()+"/32"))
	n.exits(0, "firstboot")
	n.expect([]fixture.Check{
		{"who listens on the old port", "ss --no-header --listening --tcp --numeric 'sport = :22'", ""},
		{"who listens on the new one", "ss --no-header --listening --tcp --numeric --ipv4 'sport = :2222' | awk '{ print $4 }'", `0\.0\.0\.0:2222`},
	})
	n.logout(n.login(operator, 2222, key))
	n.logout(session)
}

// login logs in as dba and becomes root.
func (n *node) login(c client, port uint16, key ssh.Signer) *fixture.Shell {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), checkTime)
	defer cancel()
	shell, err := fixture.SSH(ctx, n.network.from(c.ip4), netip.AddrPortFrom(n.addr.Addr(), port).String(), "dba", key)
	if err != nil {
		n.t.Fatal(err)
	}
	if who, err := shell.Root(ctx, "id --user --name"); err != nil || who != "root" {
		n.t.Fatalf("who logs in from %s becomes %q, %v", c.ip4, who, err)
	}
	return shell
}

// logout ends a connection, which has to have stood until now.
func (n *node) logout(s *fixture.Shell) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), checkTime)
	defer cancel()
	if out, err := s.Root(ctx, "echo still here"); err != nil || out != "still here" {
		n.t.Errorf("who was logged in hears %q, %v", out, err)
	} else if err := s.Close(); err != nil {
		n.t.Errorf("close an SSH connection: %v", err)
	}
}

// checkRefused wants all but the refused table to be as it was.
func (n *node) checkRefused(table string, key ssh.Signer) {
	n.t.Helper()
	if got := n.sh("nft list ruleset"); got != table {
		n.t.Errorf("the table is\n%s\nwas\n%s", got, table)
	}
	n.logout(n.login(program, 22, key))
	n.sql("select 1")
	status := strings.Join(strings.Fields(n.exits(1, "firstboot status")), " ")
	for _, want := range []string{"pgsql-n1 failed", "firewall", "refused", "journalctl -b -u banyan-firstboot"} {
		if !strings.Contains(status, want) {
			n.t.Errorf("the status does not say %q:\n%s", want, status)
		}
	}
	if out := n.exits(1, "firstboot --dry-run"); !strings.Contains(out, "refused.nft") {
		n.t.Errorf("a dry run does not say what was refused:\n%s", out)
	}
}
