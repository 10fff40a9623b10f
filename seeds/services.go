package seeds

import (
	"net/netip"
	"slices"
)

// Runs tells whether a node runs a service.
func (n Node) Runs(service Service) bool { return slices.Contains(n.Services, service) }

// Members are the nodes that run a service.
func (s *Seed) Members(service Service) []Node {
	var members []Node
	for _, n := range s.Nodes {
		if n.Runs(service) {
			members = append(members, n)
		}
	}
	return members
}

// IsEtcdMember tells whether a node is a member of etcd: one that runs it, or a witness
// beside it.
func (s *Seed) IsEtcdMember(n Node) bool {
	return n.Runs(ServiceEtcd) || s.Cluster.DCS == DCSEtcd && n.Runs(ServiceWitness)
}

// UsesEtcd tells whether a node speaks to the etcd of this cluster, as its member or
// as its client, and so needs a certificate of etcd's authority.
func (s *Seed) UsesEtcd(n Node) bool {
	return s.IsEtcdMember(n) || s.Cluster.DCS == DCSEtcd && n.Runs(ServicePostgreSQL)
}

// IsRaftMember tells whether a node is a member of Patroni's own consensus.
func (s *Seed) IsRaftMember(n Node) bool {
	return s.Cluster.DCS == DCSRaft && (n.Runs(ServicePostgreSQL) || n.Runs(ServiceWitness))
}

// HoldsState tells whether a node holds what a cluster is lost with: a part of the DCS,
// or PostgreSQL's data.
func (s *Seed) HoldsState(n Node) bool {
	return s.IsEtcdMember(n) || s.IsRaftMember(n) || n.Runs(ServicePostgreSQL)
}

// VIPs are the virtual addresses of a node's site.
func (s *Seed) VIPs(n Node) []netip.Addr {
	for _, site := range s.Sites {
		if site.Name == n.Site {
			return site.VIPs
		}
	}
	return nil
}

// HasVIPs tells whether the leader has a virtual address, at one of the sites at least.
func (s *Seed) HasVIPs() bool {
	return slices.ContainsFunc(s.Sites, func(site Site) bool { return len(site.VIPs) > 0 })
}

// KeepsVIPs tells whether a node has the guard of the virtual addresses: one that may lead.
func (s *Seed) KeepsVIPs(n Node) bool { return s.HasVIPs() && n.Runs(ServicePostgreSQL) }

// Own are the nodes that the seed is for: the one that it names, else all.
func (s *Seed) Own() []Node {
	if n, ok := s.ByName(s.Node); ok && s.Node != "" {
		return []Node{n}
	}
	return s.Nodes // it names none, or one that is not there
}
