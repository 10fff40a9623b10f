package node

import (
	"net/netip"
	"slices"
	"strings"

	"banyan/seeds"
)

// Access is where clients reach the cluster, and whom everybody on a node may ask about
// it. It holds no secret.
type Access struct {
	Name       string     `json:"name,omitempty"`      // in DNS, of the leader
	ReadName   string     `json:"read_name,omitempty"` // in DNS, of the replicas
	VIPs       []VIP      `json:"vips,omitempty"`
	HAProxy    []Balancer `json:"haproxy,omitempty"`
	PostgreSQL []Server   `json:"postgresql"` // the nodes that run it
}

// VIP is an address that the leader has while it is at that site.
type VIP struct {
	Address netip.Addr `json:"address"`
	Site    string     `json:"site"`
}

// Balancer is HAProxy's ports, and the addresses of the nodes that have them alike.
type Balancer struct {
	Addresses []netip.Addr   `json:"addresses"`
	Ports     []BalancerPort `json:"ports"`
}

// BalancerPort is a port of HAProxy, and what one finds there.
type BalancerPort struct {
	Port   uint16 `json:"port"`
	Serves string `json:"serves"`
}

// Server is the PostgreSQL of a node, and its Patroni.
type Server struct {
	Node        string     `json:"node"`
	Address     netip.Addr `json:"address"`
	Port        uint16     `json:"port"`
	PatroniPort uint16     `json:"patroni_port"` // of its REST API
}

// AccessOf is the access to the cluster of s.
func AccessOf(s seeds.Seed) Access {
	a := Access{Name: s.FQDN(s.DNS.Name), ReadName: s.FQDN(s.DNS.ReadName), HAProxy: balancers(s)}
	for _, site := range s.Sites {
		for _, vip := range site.VIPs {
			a.VIPs = append(a.VIPs, VIP{vip, site.Name})
		}
	}
	for _, n := range s.Members(seeds.ServicePostgreSQL) {
		a.PostgreSQL = append(a.PostgreSQL, Server{n.Name, n.Address.Addr(), n.PostgreSQL.Port, n.Patroni.RESTAPI.Port})
	}
	return a
}

// balancers are the nodes with HAProxy, those with the same ports together.
func balancers(s seeds.Seed) []Balancer {
	var all []Balancer
	for _, n := range s.Members(seeds.ServiceHAProxy) {
		var ports []BalancerPort
		for _, p := range s.Ports(n) {
			if serves, ok := strings.CutPrefix(p.Use, "HAProxy: "); ok {
				ports = append(ports, BalancerPort{p.Number, serves})
			}
		}
		i := slices.IndexFunc(all, func(b Balancer) bool { return slices.Equal(b.Ports, ports) })
		if i < 0 {
			i, all = len(all), append(all, Balancer{Ports: ports})
		}
		all[i].Addresses = append(all[i].Addresses, n.Address.Addr())
	}
	return all
}
