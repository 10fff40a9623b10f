package seeds

import "strings"

// The ports of etcd, which no seed changes.
const (
	EtcdClientPort = 2379
	EtcdPeerPort   = 2380
)

// port is one that a node listens on.
type port struct {
	number uint16
	key    string // of the seed, or "" for one that is always the same
	by     string // who listens, in a sentence
	use    string // what for, in a table
}

// ports are those, all of TCP, that a node of s listens on.
func (s *Seed) ports(n Node) []port {
	ports := []port{{n.System.SSHPort, "system.ssh_port", "sshd", "ssh"}}
	if s.IsEtcdMember(n) {
		ports = append(ports, port{EtcdClientPort, "", "etcd", "etcd, its clients"}, port{EtcdPeerPort, "", "etcd", "etcd, its members"})
	}
	if n.Runs(ServicePostgreSQL) {
		ports = append(ports,
			port{n.PostgreSQL.Port, "postgresql.port", "PostgreSQL", "PostgreSQL"},
			port{n.Patroni.RESTAPI.Port, "patroni.restapi.port", "Patroni's REST API", "Patroni's REST API"})
	}
	if s.IsRaftMember(n) {
		ports = append(ports, port{n.Patroni.Raft.Port, "patroni.raft.port", "Patroni's raft", "Patroni's raft"})
	}
	if p := n.HAProxy.Ports; n.Runs(ServiceHAProxy) {
		ports = append(ports,
			port{p.Primary, "haproxy.ports.primary", "HAProxy's primary", "HAProxy: the primary"},
			port{p.Replicas, "haproxy.ports.replicas", "HAProxy's replicas", "HAProxy: all replicas"},
			port{p.ReplicasSync, "haproxy.ports.replicas_sync", "HAProxy's replicas_sync", "HAProxy: synchronous replicas"},
			port{p.ReplicasAsync, "haproxy.ports.replicas_async", "HAProxy's replicas_async", "HAProxy: asynchronous replicas"},
			port{p.Stats, "haproxy.ports.stats", "HAProxy's stats", "HAProxy: statistics"})
	}
	return ports
}

// checkPorts: what a node listens on is told apart by the port alone.
func (d document) checkPorts(node string, s Seed, n Node) {
	taken := map[uint16]port{}
	for _, p := range s.ports(n) {
		if other, ok := taken[p.number]; ok && p.number != 0 {
			place := d.given(node+p.key, node+other.key, p.key, other.key)
			if strings.HasSuffix(place, other.key) && other.key != "" {
				p, other = other, p
			}
			d.Refuse(place, "port %d is taken by %s: choose another for %s", p.number, other.by, p.by)
		}
		taken[p.number] = p
	}
}
