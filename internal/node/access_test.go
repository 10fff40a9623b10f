package node

import (
	"encoding/json"
	"testing"

	"banyan/internal/golden"
	"banyan/seeds"
)

// A cluster of two sites, with a balancer that has ports of its own.
func TestAccess(t *testing.T) {
	s, _, err := seeds.ParseCluster("seed.yaml", []byte(`version: banyan/v1
cluster: {name: pgsql-cl}
sites:
  - {name: dc1, subnet: 172.16.32.0/24, vips: [172.16.32.180]}
  - {name: dc2, subnet: 172.16.64.0/24, vips: [172.16.64.180, 172.16.64.181]}
dns: {name: pgsql-cl, zone: demo.ru, read_name: pgsql-cl-ro}
nodes:
  - {name: pgsql-n1, address: 172.16.32.11/24, services: [postgresql, etcd, haproxy]}
  - {name: pgsql-n2, address: 172.16.64.12/24, services: [postgresql, etcd, haproxy], postgresql: {port: 6432}}
  - {name: pgsql-w1, address: 172.16.64.13/24, services: [witness]}
  - {name: pgsql-b1, address: 172.16.64.14/24, services: [haproxy], haproxy: {ports: {primary: 6000}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(AccessOf(*s), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/access.golden", string(got)+"\n")
}
