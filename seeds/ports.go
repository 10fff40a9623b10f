package seeds

import "strings"

// The ports that no seed changes.
const (
	EtcdClientPort  = 2379
	EtcdPeerPort    = 2380
	EtcdMetricsPort = 2381 // on the loopback interface alone
	MemberPort      = 8009 // where a node answers what it holds
)

// Audience is who has business at a port.
type Audience string

// The audiences: those of firewall.ssh_sources, of firewall.client_sources, and the
// nodes of the cluster alone; nobody is who asks from the node itself.
const (
	ForAdministrators Audience = "administrators"
	ForClients        Audience = "clients"
	ForMembers        Audience = "members"
	ForNobody         Audience = "nobody"
)

// Port is one, of TCP, that a node listens on.
type Port struct {
	Number uint16
	Use    string // what for, in a table
	For    Audience

	key string // of the seed, or "" for one that is always the same
	by  string // who listens, in a sentence
}

// Ports are those that a node of s listens on.
func (s *Seed) Ports(n Node) []Port {
	ports := []Port{{n.System.SSHPort, "ssh", ForAdministrators, "system.ssh_port", "sshd"}}
	if s.HoldsState(n) {
		ports = append(ports, Port{MemberPort, "Banyan: what the node holds", ForMembers, "", "Banyan's question of peers"})
	}
	if s.IsEtcdMember(n) {
		ports = append(ports,
			Port{EtcdClientPort, "etcd, its clients", ForMembers, "", "etcd"},
			Port{EtcdPeerPort, "etcd, its members", ForMembers, "", "etcd"},
			Port{EtcdMetricsPort, "etcd, its metrics", ForNobody, "", "etcd's metrics"})
	}
	if n.Runs(ServicePostgreSQL) {
		ports = append(ports,
			Port{n.PostgreSQL.Port, "PostgreSQL", ForClients, "postgresql.port", "PostgreSQL"},
			Port{n.Patroni.RESTAPI.Port, "Patroni's REST API", ForMembers, "patroni.restapi.port", "Patroni's REST API"})
	}
	if s.IsRaftMember(n) {
		ports = append(ports, Port{n.Patroni.Raft.Port, "Patroni's raft", ForMembers, "patroni.raft.port", "Patroni's raft"})
	}
	if s.KeepsVIPs(n) {
		ports = append(ports, Port{s.DNSCP.MetricsPort, "dnscp, its metrics", ForNobody, "dnscp.metrics_port", "dnscp's metrics"})
	}
	if p := n.HAProxy.Ports; n.Runs(ServiceHAProxy) {
		ports = append(ports,
			Port{p.Primary, "HAProxy: the primary", ForClients, "haproxy.ports.primary", "HAProxy's primary"},
			Port{p.Replicas, "HAProxy: all replicas", ForClients, "haproxy.ports.replicas", "HAProxy's replicas"},
			Port{p.ReplicasSync, "HAProxy: synchronous replicas", ForClients, "haproxy.ports.replicas_sync", "HAProxy's replicas_sync"},
			Port{p.ReplicasAsync, "HAProxy: asynchronous replicas", ForClients, "haproxy.ports.replicas_async", "HAProxy's replicas_async"},
			Port{p.Stats, "HAProxy: statistics", ForClients, "haproxy.ports.stats", "HAProxy's stats"})
	}
	return ports
}

// checkPorts: what a node listens on is told apart by the port alone.
func (d document) checkPorts(node string, s Seed, n Node) {
	taken := map[uint16]Port{}
	for _, p := range s.Ports(n) {
		if other, ok := taken[p.Number]; ok && p.Number != 0 {
			place := d.given(node+p.key, node+other.key, p.key, other.key)
			if strings.HasSuffix(place, other.key) && other.key != "" {
				p, other = other, p
			}
			d.Refuse(place, "port %d is taken by %s: choose another for %s", p.Number, other.by, p.by)
		}
		taken[p.Number] = p
	}
}
