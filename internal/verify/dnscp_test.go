package verify

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"banyan/internal/check"
)

func TestConnectionPoint(t *testing.T) {
	addr := netip.MustParseAddr
	held := func(list ...netip.Addr) func(*Facts) { return func(f *Facts) { f.ConnectionPoint.Held = list } }
	named := func(list ...netip.Addr) func(*Facts) {
		return func(f *Facts) { f.ConnectionPoint.Name.Addresses = list }
	}
	expect(t, map[string]change{
		"the leader has one of two": {
			what: held(addr("172.16.32.180")),
			name: "VIPs", state: check.Fail, found: "the node leads, and has 172.16.32.180, not 172.16.32.180, 172.16.32.181", advice: "dnscp check; journalctl -b -u dnscp",
		},
		"the leader has none": {
			what: held(),
			name: "VIPs", state: check.Fail, found: "the node leads, and has none, not", advice: "dnscp check",
		},
		"in another order": {
			what: held(addr("172.16.32.181"), addr("172.16.32.180")),
			name: "VIPs", state: check.OK, found: "the node leads, and has",
		},
		"a replica has one": {
			node: "pgsql-n3", what: held(addr("172.16.32.181")),
			name: "VIPs", state: check.Fail, found: "the node does not lead, and has 172.16.32.181", advice: "dnscp check",
		},
		"one that is being promoted has none yet": {
			what: func(f *Facts) { f.Cluster.Nodes[0].Status.Role, f.ConnectionPoint.Held = "replica", nil },
			name: "VIPs", state: check.OK, found: "does not lead, and has none",
		},
		"Patroni does not answer": {
			what: func(f *Facts) { f.Cluster.Nodes[0] = PatroniNode{Node: "pgsql-n1", Err: errors.New("refused")} },
			name: "VIPs", state: check.Skip, found: "does not say whether it leads",
		},
		"the kernel does not answer": {
			what: func(f *Facts) { f.ConnectionPoint.HeldErr = errors.New("list the addresses: EPERM") },
			name: "VIPs", state: check.Fail, found: "list the addresses: EPERM", advice: "ip address",
		},

		"no such name": {
			node: "pgsql-n3", what: func(f *Facts) {
				f.ConnectionPoint.Name = Lookup{Err: errors.New("lookup pgsql-cl.demo.ru.: no such host")}
			},
			name: "DNS name", state: check.Fail, found: "no such host", advice: "on pgsql-n1: dnscp check",
		},
		"of one VIP": {
			what: named(addr("172.16.32.180")),
			name: "DNS name", state: check.Warn, found: "pgsql-cl.demo.ru leads to 172.16.32.180, and pgsql-n1, the leader, has 172.16.32.180, 172.16.32.181: what it was before may be kept for 30 s", advice: "dnscp check",
		},
		"elsewhere": {
			what: named(addr("172.16.32.180"), addr("192.0.2.1")),
			name: "DNS name", state: check.Fail, found: "leads to 172.16.32.180, 192.0.2.1, and", advice: "dnscp check",
		},
		"nobody leads": {
			what: func(f *Facts) { f.Cluster.All.Members[0].Role = "replica" },
			name: "DNS name", state: check.Skip, found: "not known who leads",
		},

		"readers at the leader": {
			what: func(f *Facts) { f.ConnectionPoint.ReadName.Addresses = f.ConnectionPoint.Name.Addresses },
			name: "DNS name of replicas", state: check.OK, found: "pgsql-cl-ro.demo.ru leads to 172.16.32.180, 172.16.32.181",
		},
		"readers elsewhere": {
			what: func(f *Facts) { f.ConnectionPoint.ReadName.Addresses = []netip.Addr{addr("172.16.32.14")} },
			name: "DNS name of replicas", state: check.Fail, found: "no nodes with PostgreSQL", advice: "dnscp check",
		},
	})
}

// The leader has the VIPs of its own subnet, and the name leads to them.
func TestConnectionPointOfTwoSites(t *testing.T) {
	text := strings.NewReplacer(
		"dns:", "  - {name: dc2, subnet: 172.16.64.0/24, vips: [172.16.64.180]}\n  - {name: dc3, subnet: 172.16.96.0/24}\ndns:",
		"172.16.32.12/24", "172.16.64.12/24", "172.16.32.13/24", "172.16.96.13/24").Replace(clusterFile)
	leads := func(f *Facts, place int) {
		for i := range f.Cluster.Nodes {
			f.Cluster.Nodes[i].Status.Leader, f.Cluster.Nodes[i].Status.Role, f.Cluster.All.Members[i].Role = false, "replica", "replica"
		}
		f.Cluster.Nodes[place].Status.Leader, f.Cluster.Nodes[place].Status.Role, f.Cluster.All.Members[place].Role = true, "primary", "leader"
	}
	f := soundOf(t, text, "pgsql-n2")
	leads(&f, 1)
	vip := netip.MustParseAddr("172.16.64.180")
	f.ConnectionPoint.Held = []netip.Addr{vip}
	if c := find(t, Judge(f), "VIPs"); c.State != check.OK {
		t.Errorf("with its site's VIP: %+v", c)
	}
	if c := find(t, Judge(f), "DNS name"); c.State != check.Warn || !strings.Contains(c.Found, "30 s") {
		t.Errorf("with the name of the other site: %+v", c)
	}
	f.ConnectionPoint.Name.Addresses = []netip.Addr{vip}
	if c := find(t, Judge(f), "DNS name"); c.State != check.OK {
		t.Errorf("with the name of its site: %+v", c)
	}
	f = soundOf(t, text, "pgsql-n3")
	leads(&f, 2)
	if c := find(t, Judge(f), "VIPs"); c.State != check.Warn || !strings.Contains(c.Advice, "sites.vips") {
		t.Errorf("a leader without a VIP: %+v", c)
	}
}

// Nobody of a standby cluster has a VIP, nor keeps a name.
func TestConnectionPointOfAStandby(t *testing.T) {
	f := sound(t, "pgsql-n1")
	follow(&f)
	f.ConnectionPoint = &ConnectionPoint{Name: Lookup{Err: errors.New("no such host")}, ReadName: Lookup{Err: errors.New("no such host")}}
	r := Judge(f)
	for name, want := range map[string]check.State{"VIPs": check.OK, "DNS name": check.Skip, "DNS name of replicas": check.Skip} {
		if c := find(t, r, name); c.State != want {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
