package node

import (
	"fmt"
	"strings"
	"testing"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/internal/golden"
	"banyan/seeds"
)

// balanced is a seed of two sites, each with what HAProxy may stand on.
const balanced = `version: banyan/v1
cluster: {name: pgsql-cl}
sites:
  - {name: dc1, subnet: 172.16.32.0/24, vips: [172.16.32.180, 172.16.32.181]}
  - {name: dc2, subnet: 172.16.64.0/24, vips: [172.16.64.180]}
nodes:
  - {name: pgsql-n1, address: 172.16.32.11/24, services: [postgresql, etcd, haproxy]}
  - {name: pgsql-n2, address: 172.16.64.12/24, services: [postgresql, etcd, haproxy], postgresql: {port: 5433}, patroni: {restapi: {port: 8018}}}
  - {name: pgsql-w1, address: 172.16.64.13/24, services: [witness]}
  - name: pgsql-lb1
    address: 172.16.64.14/24
    services: [haproxy]
    haproxy:
      ports: {primary: 6000, replicas: 6001, replicas_sync: 6002, replicas_async: 6003, stats: 6004}
      maxconn: {global: 1500, primary: 1000, replica: 900}
      timeout: {client: 8h, server: 9h, connect: 3s, queue: 4s, check: 5s}
      balance: leastconn
`

const balancedIP6 = `version: banyan/v1
cluster: {name: pgsql-cl}
sites: [{name: dc1, subnet: "2001:db8:32::/64", vips: ["2001:db8:32::180"]}]
nodes:
  - {name: pgsql-n1, address: "2001:db8:32::11/64", services: [postgresql, etcd, haproxy]}
  - {name: pgsql-n2, address: "2001:db8:32::12/64"}
`

// balancer is the HAProxy of a node of a seed, as it is shown.
func balancer(t *testing.T, text, name string) string {
	t.Helper()
	s, _, err := seeds.ParseCluster("balanced.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	shown, err := Preview(s, name, machine())
	if err != nil {
		t.Fatal(err)
	}
	var own []Shown
	for _, r := range shown {
		if r.Step == "haproxy" || strings.HasSuffix(r.Name, "ip_nonlocal_bind") {
			own = append(own, r)
		}
	}
	return Text(own)
}

func TestHAProxy(t *testing.T) {
	for name, c := range map[string]struct{ seed, node string }{
		"haproxy-postgresql": {balanced, "pgsql-n1"},
		"haproxy-only":       {balanced, "pgsql-lb1"},
		"haproxy-ipv6":       {balancedIP6, "pgsql-n1"},
	} {
		t.Run(name, func(t *testing.T) { golden.Check(t, "testdata/"+name+".golden", balancer(t, c.seed, c.node)) })
	}
}

// With a quorum Patroni calls no standby a synchronous one.
func TestHAProxyQuorum(t *testing.T) {
	got := balancer(t, balanced+"patroni: {synchronous_mode: quorum}\n", "pgsql-lb1")
	if strings.Contains(got, "OPTIONS /sync\n") || !strings.Contains(got, "OPTIONS /quorum\n") {
		t.Errorf("got:\n%s", got)
	}
}

// A node that only balances needs nothing that it does not run.
func TestBalancerAlone(t *testing.T) {
	s, _, err := seeds.ParseCluster("balanced.yaml", []byte(balanced))
	if err != nil {
		t.Fatal(err)
	}
	self, _ := s.ByName("pgsql-lb1")
	f := machine()
	f.PostgreSQL = nil
	if got, want := fmt.Sprint(Check(*s, self, f)), fmt.Sprint(checkCertificates(*s, self)); got != want {
		t.Errorf("Check: got %s, want %s", got, want)
	}
	resources := desired(t, *s, self, f)
	for id, r := range resources {
		if _, ok := r.(converge.File); ok && (strings.Contains(id, "patroni") || strings.Contains(id, "etcd")) {
			t.Errorf("%s is made", id)
		}
	}
	if !masked(resources, etcdUnit) || !masked(resources, patroniUnit) || masked(resources, haproxyUnit) {
		t.Errorf("masked: %v", resources)
	}
	// Clients have to find another one, and systemd no failures.
	f.Left = true
	if left := desired(t, *s, self, f); !masked(left, haproxyUnit) {
		t.Errorf("left: %v", left)
	}
	self, _ = s.ByName("pgsql-n1")
	f = machine()
	f.Left = true
	if left := desired(t, *s, self, f); !masked(left, snapshotTimer) {
		t.Errorf("left: %v", left)
	}
}

// desired are the resources of a node by their names.
func desired(t *testing.T, s seeds.Seed, self seeds.Node, f facts.Facts) map[string]converge.Resource {
	t.Helper()
	state, err := Desired(s, self, f)
	if err != nil {
		t.Fatal(err)
	}
	resources := map[string]converge.Resource{}
	for _, step := range state.Steps {
		for _, r := range step.Resources {
			resources[r.ID()] = r
		}
	}
	return resources
}

func masked(resources map[string]converge.Resource, unit string) bool {
	u, ok := resources[unit].(converge.Unit)
	return ok && u.Masked
}

func TestHAProxyFiles(t *testing.T) {
	s, _, err := seeds.ParseCluster("balanced.yaml", []byte(balanced))
	if err != nil {
		t.Fatal(err)
	}
	self, _ := s.ByName("pgsql-lb1")
	for connections, want := range map[int]string{500_000: "", 2_000_000: "4010000"} {
		self.HAProxy.Maxconn.Global = connections
		got := ""
		for _, p := range kernelParameters(*s, self, sharedMemory{}, machine()) {
			if p.name == "fs.nr_open" {
				got = p.value
			}
		}
		if got != want {
			t.Errorf("%d connections: fs.nr_open is %q, want %q", connections, got, want)
		}
	}
}
