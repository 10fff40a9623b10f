package seeds

import "testing"

func TestBelowNode(t *testing.T) {
	for path, want := range map[string]bool{
		"patroni.tags": true, "patroni.log.level": true, "postgresql.port": true, "postgresql.parameters": true, "etcd.snapshots": true, "haproxy.maxconn": true,
		"patroni.ttl": false, "patroni.standby_cluster.host": false, "postgresql.initdb": false, "postgresql.parameters.max_connections": false,
		"etcd.initial-cluster-token": false, "cluster.name": false, "dns.ttl": false, "sites[].vips": false, "secrets.raft_password": false, "": false,
	} {
		if got := BelowNode(path); got != want {
			t.Errorf("%q: got %t", path, got)
		}
	}
}
