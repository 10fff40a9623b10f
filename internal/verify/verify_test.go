package verify

import (
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"banyan/internal/check"
	"banyan/internal/converge"
	"banyan/internal/dcs"
	"banyan/internal/golden"
	"banyan/internal/patroni"
	"banyan/internal/peer"
	"banyan/internal/status"
	"banyan/seeds"
)

var now = time.Date(2026, 11, 26, 15, 43, 0, 0, time.UTC)

const clusterFile = `version: banyan/v1
cluster: {name: pgsql-cl, generation: 3}
sites:
  - {name: dc1, subnet: 172.16.32.0/24, vips: [172.16.32.180, 172.16.32.181]}
dns: {name: pgsql-cl, zone: demo.ru, ttl: 30, read_name: pgsql-cl-ro}
nodes:
  - {name: pgsql-n1, address: 172.16.32.11/24, services: [postgresql, etcd, haproxy]}
  - {name: pgsql-n2, address: 172.16.32.12/24, services: [postgresql, etcd]}
  - {name: pgsql-n3, address: 172.16.32.13/24, services: [postgresql]}
  - {name: pgsql-w1, address: 172.16.32.14/24, services: [witness]}
  - {name: pgsql-b1, address: 172.16.32.15/24, services: [haproxy]}
`

// sound is what a node of a cluster is like of which nothing is wrong, on a machine.
func sound(t *testing.T, node string) Facts {
	t.Helper()
	return soundOf(t, clusterFile, node)
}

func soundOf(t *testing.T, text, name string) Facts {
	t.Helper()
	s, _, err := seeds.ParseCluster("cluster.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	self, ok := s.ByName(name)
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	f := Facts{
		Seed: s, Self: self, Now: now,
		Node: Node{
			Report: status.Report{State: status.Done, Updated: now.Add(-time.Hour)},
			Born:   true,
			Drift:  converge.Report{Steps: []converge.StepReport{{Name: "identity"}, {Name: "firewall"}}},
		},
		Machine: Machine{
			Clock:       Clock{Synced: true, Source: "172.16.32.2", Offset: 12 * time.Microsecond},
			FileSystems: []FileSystem{{Path: "/var/lib/banyan", Size: 100 << 30, Free: 40 << 30, Inodes: 1000, FreeInodes: 900}},
			HugePages:   HugePages{Shared: 512 << 20, Total: 300, Free: 44},
			Watchdog:    Watchdog{Device: "/dev/banyan-watchdog", There: true, State: "inactive"},
		},
		Certificates: Certificates{
			Files: []Certificate{
				{Name: "/etc/banyan/pki/ca.crt", NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(9, 0, 0), Authority: true},
				{Name: "/etc/banyan/pki/node.crt", NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0)},
			},
			Shown: []Certificate{{Name: "etcd of pgsql-n2", NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 1, 0)}},
		},
	}
	for _, n := range s.Nodes {
		if n.Name != name && s.HoldsState(n) {
			f.Peers = append(f.Peers, peer.Result{Node: n, Answer: peer.Answer{Node: n.Name, Generation: s.Cluster.Generation, PostgreSQL: peer.Data}})
		}
	}
	leader := patroni.Status{State: "running", Role: "primary", Timeline: 2, Leader: true}
	replica := patroni.Status{State: "running", Role: "replica", Timeline: 2}
	f.Cluster = Cluster{
		Nodes: []PatroniNode{{Node: "pgsql-n1", Status: leader}, {Node: "pgsql-n2", Status: replica}, {Node: "pgsql-n3", Status: replica}},
		All: patroni.Cluster{Members: []patroni.Member{
			{Name: "pgsql-n1", Role: "leader", State: "running", Timeline: 2},
			{Name: "pgsql-n2", Role: "sync_standby", State: "streaming", Timeline: 2, Lag: &patroni.Lag{}},
			{Name: "pgsql-n3", Role: "sync_standby", State: "streaming", Timeline: 2, Lag: &patroni.Lag{Bytes: 4096}},
		}},
		Config: patroni.Config{SynchronousMode: true, SynchronousNodeCount: 2, All: dynamic()},
	}
	if self.Runs(seeds.ServicePostgreSQL) {
		f.Dynamic, f.Databases = &Dynamic{Wanted: dynamic()}, &Databases{Made: true}
	}
	if name == "pgsql-n1" {
		f.Machine.Watchdog.Holder, f.Machine.Watchdog.State = "patroni", "active"
	}
	if s.UsesEtcd(self) {
		f.Etcd = &Etcd{}
		for i, n := range []string{"pgsql-n1", "pgsql-n2", "pgsql-w1"} {
			m, _ := s.ByName(n)
			id := uint64(i + 1)
			f.Etcd.Members = append(f.Etcd.Members, dcs.Member{ID: id, Name: n, PeerURLs: []string{"https://" + hostPort(m.Address, "2380")}})
			f.Etcd.Endpoints = append(f.Etcd.Endpoints, dcs.Endpoint{URL: "https://" + hostPort(m.Address, "2379"), Member: id, Leader: 1, Size: 20 << 20})
		}
	}
	if s.KeepsVIPs(self) {
		leader, _ := s.ByName("pgsql-n1")
		replica, _ := s.ByName("pgsql-n2")
		f.ConnectionPoint = &ConnectionPoint{
			Name:     Lookup{Addresses: vipsAt(s, leader)},
			ReadName: Lookup{Addresses: []netip.Addr{replica.Address.Addr()}},
		}
		if name == "pgsql-n1" {
			f.ConnectionPoint.Held = vipsAt(s, leader)
		}
	}
	if self.Runs(seeds.ServiceHAProxy) {
		f.HAProxy = &HAProxy{Lines: lines(map[string]string{
			"primary pgsql-n1": "UP L7OK", "primary pgsql-n2": "DOWN L7STS", "primary pgsql-n3": "DOWN * L7STS",
			"replicas pgsql-n1": "DOWN L7STS", "replicas pgsql-n2": "UP L7OK", "replicas pgsql-n3": "UP 1/3 L7OK",
			"replicas_sync pgsql-n1": "DOWN L7STS", "replicas_sync pgsql-n2": "UP L7OK", "replicas_sync pgsql-n3": "UP L7OK",
			"replicas_async pgsql-n1": "DOWN L7STS", "replicas_async pgsql-n2": "DOWN L7STS", "replicas_async pgsql-n3": "DOWN L7STS",
		})}
	}
	return f
}

// dynamic is a part of the dynamic configuration, as JSON has it.
func dynamic() map[string]any {
	return map[string]any{
		"ttl": 30.0, "primary_start_timeout": 300.0, "failsafe_mode": false, "synchronous_mode": true,
		"slots": map[string]any{"backup": map[string]any{"type": "physical"}},
		"postgresql": map[string]any{"use_slots": true, "parameters": map[string]any{
			"max_connections": 200.0, "jit": "off", "archive_command": "cd .", "pg_stat_statements.max": 10000.0, "password_encryption": "scram-sha-256",
		}},
	}
}

func hostPort(a netip.Prefix, port string) string { return a.Addr().String() + ":" + port }

// lines are those of `show stat`.
func lines(servers map[string]string) []HAProxyLine {
	all := []HAProxyLine{
		{Proxy: "primary", Server: "FRONTEND", Status: "OPEN"}, {Proxy: "replicas", Server: "FRONTEND", Status: "OPEN"},
		{Proxy: "replicas", Server: "BACKEND", Status: "UP"},
	}
	for _, at := range slices.Sorted(maps.Keys(servers)) {
		is := servers[at]
		proxy, server, _ := strings.Cut(at, " ")
		i := strings.LastIndexAny(is, "L") // where the code begins
		if i > 2 && is[i-2] == '*' {
			i -= 2
		}
		all = append(all, HAProxyLine{proxy, server, strings.TrimSpace(is[:i]), is[i:]})
	}
	return all
}

// find is the check of that name.
func find(t *testing.T, r Result, name string) check.Check {
	t.Helper()
	i := slices.IndexFunc(r.Checks, func(c check.Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no check %s in\n%s", name, r)
	}
	return r.Checks[i]
}

// Whatever a node runs, where nothing is wrong nothing is said to be, and each check is
// there that concerns it.
func TestSound(t *testing.T) {
	for node, without := range map[string][]string{
		"pgsql-n1": nil,
		"pgsql-n3": {"HAProxy"},
		"pgsql-w1": {"HAProxy", "huge pages", "watchdog", "WAL directory", "dynamic configuration"},
		"pgsql-b1": {"membership", "huge pages", "WAL directory", "dynamic configuration", "watchdog", "etcd", "etcd members", "etcd space"},
	} {
		r := Judge(sound(t, node))
		if r.State != check.OK || r.ExitCode() != 0 || r.Node != node || r.Cluster != "pgsql-cl" {
			t.Errorf("%s: exit code %d\n%s", node, r.ExitCode(), r)
		}
		golden.Check(t, "testdata/sound-"+node+".golden", r.String())
		for _, name := range without {
			if slices.ContainsFunc(r.Checks, func(c check.Check) bool { return c.Name == name }) {
				t.Errorf("%s has the check %s", node, name)
			}
		}
	}
}

// A cluster of which much is wrong, as a person and as a program sees it.
func TestBroken(t *testing.T) {
	f := sound(t, "pgsql-n1")
	refused := errors.New("dial tcp 172.16.32.12:2379: connect: connection refused")
	f.Etcd.Endpoints[1] = dcs.Endpoint{URL: f.Etcd.Endpoints[1].URL, Err: refused}
	f.Cluster.Nodes[1] = PatroniNode{Node: "pgsql-n2", Err: refused}
	f.Cluster.All.Members = slices.Delete(f.Cluster.All.Members, 1, 2)
	f.Machine.Clock.Err, f.Container = errors.New("506 Cannot talk to daemon"), "systemd-nspawn"
	f.Node.Failed = []string{"logrotate.service"}
	f.Certificates.Files[1].NotAfter = now.AddDate(0, 0, 12)
	f.Peers[0].Err = errors.New("two\nlines \x1b[2J")
	r := Judge(f)
	if r.State != check.Fail || r.ExitCode() != check.ExitFailed {
		t.Errorf("state %s, exit code %d", r.State, r.ExitCode())
	}
	golden.Check(t, "testdata/broken.golden", r.String())
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/broken-json.golden", string(text)+"\n")
}

func TestExitCode(t *testing.T) {
	for state, want := range map[check.State]int{check.OK: 0, check.Warn: 1, check.Fail: 2} {
		f := sound(t, "pgsql-n2")
		switch state {
		case check.Warn:
			f.Cluster.All.Pause = true
		case check.Fail:
			f.Cluster.All.Pause, f.Node.Inactive = true, []string{"etcd.service"}
		}
		if got := Judge(f).ExitCode(); got != want {
			t.Errorf("%s: exit code %d", state, got)
		}
	}
}

// change is one of what was sound, and what is to come of it.
type change struct {
	node   string // pgsql-n1 where it is not given
	what   func(*Facts)
	name   string // of the check
	state  check.State
	found  string // is in what was found
	advice string // is in what is advised
}

func expect(t *testing.T, changes map[string]change) {
	t.Helper()
	for what, c := range changes {
		if c.node == "" {
			c.node = "pgsql-n1"
		}
		f := sound(t, c.node)
		c.what(&f)
		got := find(t, Judge(f), c.name)
		if got.State != c.state || !strings.Contains(got.Found, c.found) || !strings.Contains(got.Advice, c.advice) || c.advice == "" && got.Advice != "" {
			t.Errorf("%s: got  %+v\nwant %s, found %q, advice %q", what, got, c.state, c.found, c.advice)
		}
		if c.state != check.OK && c.state != check.Skip && got.Advice == "" {
			t.Errorf("%s: nothing is advised", what)
		}
	}
}
