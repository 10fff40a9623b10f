package node

import (
	"strings"
	"testing"

	"banyan/seeds"
)

func TestServices(t *testing.T) {
	for dcs, nodes := range map[string]map[string]string{
		"etcd": {
			"n1": "banyan-peer.socket etcd.service patroni.service haproxy.service",
			"n2": "banyan-peer.socket patroni.service",
			"w1": "banyan-peer.socket etcd.service",
			"b1": "haproxy.service",
		},
		"raft": {
			"n1": "banyan-peer.socket banyan-raft.service patroni.service haproxy.service",
			"n2": "banyan-peer.socket banyan-raft.service patroni.service",
			"w1": "banyan-peer.socket banyan-raft.service",
			"b1": "haproxy.service",
		},
	} {
		first := "postgresql, etcd, haproxy"
		if dcs == "raft" {
			first = "postgresql, haproxy"
		}
		s, _, err := seeds.ParseCluster("seed.yaml", []byte(`version: banyan/v1
cluster: {name: pgsql-cl, dcs: `+dcs+`}
nodes:
  - {name: n1, address: 172.16.32.11/24, services: [`+first+`]}
  - {name: n2, address: 172.16.32.12/24, services: [postgresql]}
  - {name: w1, address: 172.16.32.13/24, services: [witness]}
  - {name: b1, address: 172.16.32.14/24, services: [haproxy]}
`))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range nodes {
			self, _ := s.ByName(name)
			if got := strings.Join(Services(*s, self), " "); got != want {
				t.Errorf("%s, %s: %s, want %s", dcs, name, got, want)
			}
		}
	}
}
