package seeds

import (
	"fmt"
	"strings"
	"testing"
)

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := Parse("seed.yaml", []byte(Example)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseCluster: what it takes grows no faster than the nodes.
func BenchmarkParseCluster(b *testing.B) {
	for _, nodes := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			data := []byte(largeCluster(nodes))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := ParseCluster("cluster.yaml", data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// largeCluster is a cluster file of that many nodes, each of which matches a machine
// and overrides something.
func largeCluster(nodes int) string {
	var b strings.Builder
	b.WriteString(`version: banyan/v1
cluster: {name: pgsql-cl}
sites: [{name: dc1, subnet: 172.16.0.0/16, vips: [172.16.255.1, 172.16.255.2]}]
dns: {name: pgsql-cl, zone: demo.ru}
network: {dns: [172.16.255.3], routes: [{to: 10.0.0.0/8, via: 172.16.255.254}]}
postgresql:
  parameters: {max_connections: 200, work_mem: 64MB, jit: "off", random_page_cost: 1.1}
  pg_hba: [host all all 172.16.0.0/16 scram-sha-256, local all all peer]
storage: {volumes: {log: {match: {class: ssd}}}}
nodes:
`)
	for i := range nodes {
		services := "[postgresql]"
		if i < 5 {
			services = "[postgresql, etcd, haproxy]"
		}
		fmt.Fprintf(&b, "  - name: pgsql-n%d\n    address: 172.16.%d.%d/16\n    gateway: 172.16.255.4\n    services: %s\n    match: {serial: CZ%08d}\n", i, i/200, i%200+1, services, i)
		fmt.Fprintf(&b, "    network: {interfaces: [{interface: {name: eno2}, addresses: [10.1.%d.%d/16]}]}\n    patroni: {tags: {nosync: true", i/200, i%200+1)
		if i > 0 { // each from the one before
			fmt.Fprintf(&b, ", replicatefrom: pgsql-n%d", i-1)
		}
		b.WriteString("}}\n")
	}
	return b.String()
}
