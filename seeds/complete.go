package seeds

import "fmt"

// Defaults that follow from other keys.
const (
	dnsTTL       Seconds = 1200 // pgsql_cluster's
	dnsTTLMoving Seconds = 30   // what it recommends across sites, where what the name leads to changes

	// etcd's own, and what its tuning guide asks for where members are far apart:
	// https://etcd.io/docs/v3.5/tuning/
	heartbeat, election           = 100, 1000
	heartbeatSites, electionSites = 1000, 5000
)

// complete fills in what an absent key means where that depends on another key.
func (d document) complete(s *Seed) {
	several := len(s.Sites) > 1
	if s.DNS.TTL == 0 && !d.Given("dns.ttl") {
		s.DNS.TTL = pick(several || s.DNS.ReadName != "", dnsTTLMoving, dnsTTL)
	}
	d.completeEtcd("etcd.", &s.Etcd, s.Cluster, several)
	for i := range s.Nodes {
		n := &s.Nodes[i]
		d.completeEtcd(fmt.Sprintf("nodes[%d].etcd.", i), &n.Etcd, s.Cluster, several)
		if n.Services == nil {
			n.Services = []Service{ServicePostgreSQL}
			if s.Cluster.DCS == DCSEtcd {
				n.Services = append(n.Services, ServiceEtcd)
			}
		}
		if n.Site == "" {
			n.Site = s.siteOf(*n)
		}
	}
}

func (d document) completeEtcd(prefix string, e *Etcd, c Cluster, several bool) {
	if e.InitialClusterToken == "" && !d.Given(prefix+"initial-cluster-token") {
		e.InitialClusterToken = c.Name
	}
	if e.HeartbeatInterval == 0 && !d.Given(prefix+"heartbeat-interval") {
		e.HeartbeatInterval = pick(several, heartbeatSites, heartbeat)
	}
	if e.ElectionTimeout == 0 && !d.Given(prefix+"election-timeout") {
		e.ElectionTimeout = pick(several, electionSites, election)
	}
}

func pick[T any](condition bool, yes, no T) T {
	if condition {
		return yes
	}
	return no
}

// siteOf is the name of the site in whose subnet a node's address is, or "".
func (s *Seed) siteOf(n Node) string {
	for _, site := range s.Sites {
		if site.Subnet.IsValid() && site.Subnet.Contains(n.Address.Addr()) {
			return site.Name
		}
	}
	return ""
}
