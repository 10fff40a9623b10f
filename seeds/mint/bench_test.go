package mint

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// clusterOf is a cluster file of n nodes, of which a handful are members of etcd.
func clusterOf(n int) string {
	var text strings.Builder
	text.WriteString("version: banyan/v1\ncluster: {name: pgsql-cl}\nsites: [{name: dc1, subnet: 10.0.0.0/16, vips: [10.0.255.1]}]\n" +
		"dns: {name: pgsql-cl, zone: example.org}\nnodes:\n")
	for i := range n {
		services := "[postgresql]"
		if i < 5 {
			services = "[postgresql, etcd, haproxy]"
		}
		fmt.Fprintf(&text, "  - {name: pgsql-n%d, address: 10.0.%d.%d/16, gateway: 10.0.255.254, services: %s, match: {serial: \"%d\"}}\n", i+1, i/250, i%250+1, services, i)
	}
	text.WriteString("postgresql:\n  parameters: {max_connections: 200}\n  roles: [{name: app, password: plain text}]\n")
	return text.String()
}

// BenchmarkMint mints clusters for the first time, on all cores and as far as the disk.
// Memory is all that is allocated meanwhile.
func BenchmarkMint(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("%d-nodes", n), func(b *testing.B) {
			text := []byte(clusterOf(n))
			spent := map[string]float64{}
			step := func(name string, do func() error) {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				began := time.Now()
				if err := do(); err != nil {
					b.Fatal(err)
				}
				spent["s/"+name] += time.Since(began).Seconds()
				runtime.ReadMemStats(&after)
				spent["MiB/"+name] += float64(after.TotalAlloc-before.TotalAlloc) / (1 << 20)
			}
			count := 0.0
			for b.Loop() {
				count++
				var c *ClusterFile
				var m *minted
				step("read-the-cluster-file", func() (err error) {
					c, _, err = Parse("cluster.yaml", text)
					return err
				})
				step("mint", func() (err error) {
					m, err = c.mint(b.Context(), new(Secrets), Options{Now: now})
					return err
				})
				step("check-the-seeds", func() error { return m.check(b.Context()) })
				step("encode-the-seeds", func() error {
					_, err := m.outputs(b.Context(), c, perNode)
					return err
				})
			}
			for unit, sum := range spent {
				b.ReportMetric(sum/count, unit)
			}
			b.ReportMetric(0, "ns/op") // which leaves it out
		})
	}
}
