package verify

import (
	"cmp"
	"net/netip"
	"slices"

	"banyan/internal/check"
	"banyan/seeds"
)

// ConnectionPoint is what a node that may lead has of the leader's VIPs and its name.
type ConnectionPoint struct {
	Held           []netip.Addr // VIPs of any site that are on this node
	HeldErr        error
	Name, ReadName Lookup
}

// Lookup is what the node's resolver says of a name; nothing of one that there is not.
type Lookup struct {
	Addresses []netip.Addr
	Err       error
}

const dnscpLog = "dnscp check; journalctl -b -u dnscp"

func checkConnectionPoint(f Facts) []check.Check {
	if f.ConnectionPoint == nil {
		return nil
	}
	checks := checkVIPs(f)
	if f.Seed.DNS.Name != "" {
		checks = append(checks, checkName(f)...)
	}
	if f.Seed.DNS.ReadName != "" {
		checks = append(checks, checkReadName(f)...)
	}
	return checks
}

// checkVIPs compares what this node is with the VIPs that it has. Each node sees its own.
func checkVIPs(f Facts) []check.Check {
	v, held, own := check.Begin("VIPs"), f.ConnectionPoint.Held, vipsAt(f.Seed, f.Self)
	self, _ := f.Cluster.of(f.Self.Name)
	leads := self.leads() && self.primary()
	switch {
	case f.ConnectionPoint.HeldErr != nil:
		v.Fail("ip address", "%v", f.ConnectionPoint.HeldErr)
	case self.Err != nil:
		return v.Skip("the node's Patroni does not say whether it leads")
	case !leads && len(held) > 0:
		v.Fail(dnscpLog, "the node does not lead, and has %s", seeds.Words(held))
	case f.Cluster.Err == nil && f.Cluster.Config.Follows():
		return v.End("none, since a standby cluster takes no writes")
	case !leads:
		return v.End("the node does not lead, and has none")
	case len(own) == 0:
		v.Warn("sites.vips of the seed: write one of the node's subnet", "the node leads, and its subnet has none")
	case !sameAddresses(held, own):
		v.Fail(dnscpLog, "the node leads, and has %s, not %s", addresses(held), seeds.Words(own))
	}
	return v.End("the node leads, and has %s", seeds.Words(held))
}

// checkName: the name leads to the VIPs that the leader has. Resolvers may keep what was
// true before it changed for as long as the record says.
func checkName(f Facts) []check.Check {
	v, name, c := check.Begin("DNS name"), f.Seed.FQDN(f.Seed.DNS.Name), f.Cluster
	leader, known := f.Seed.ByName(c.leader())
	found, wanted := f.ConnectionPoint.Name, vipsAt(f.Seed, leader)
	see := f.on(leader.Name, dnscpLog)
	switch {
	case c.Err == nil && c.Config.Follows():
		return v.Skip("a standby cluster takes no writes, and its leader has no VIP")
	case c.Err != nil || !known:
		return v.Skip("it is not known who leads")
	case found.Err != nil:
		v.Fail(see, "%v", found.Err)
	case sameAddresses(found.Addresses, wanted):
	case !slices.ContainsFunc(found.Addresses, func(a netip.Addr) bool { return !slices.Contains(allVIPs(f.Seed), a) }):
		v.Warn(see, "%s leads to %s, and %s, the leader, has %s: what it was before may be kept for %d s",
			name, addresses(found.Addresses), leader.Name, addresses(wanted), f.Seed.DNS.TTL)
	default:
		v.Fail(see, "%s leads to %s, and %s, the leader, has %s", name, addresses(found.Addresses), leader.Name, addresses(wanted))
	}
	return v.End("%s leads to %s, of %s", name, addresses(found.Addresses), leader.Name)
}

// checkReadName: the second name leads to nodes of the cluster, or else to the leader.
func checkReadName(f Facts) []check.Check {
	v, name, found := check.Begin("DNS name of replicas"), f.Seed.FQDN(f.Seed.DNS.ReadName), f.ConnectionPoint.ReadName
	if f.Cluster.Err == nil && f.Cluster.Config.Follows() {
		return v.Skip("a standby cluster takes no writes, and nobody keeps its names")
	}
	ours, see := allVIPs(f.Seed), f.on(cmp.Or(f.Cluster.leader(), f.Self.Name), dnscpLog)
	for _, n := range f.Seed.Members(seeds.ServicePostgreSQL) {
		ours = append(ours, n.Address.Addr())
	}
	if found.Err != nil {
		v.Fail(see, "%v", found.Err)
	} else if slices.ContainsFunc(found.Addresses, func(a netip.Addr) bool { return !slices.Contains(ours, a) }) {
		v.Fail(see, "%s leads to %s, of which some are no nodes with PostgreSQL", name, addresses(found.Addresses))
	}
	return v.End("%s leads to %s", name, addresses(found.Addresses))
}

// vipsAt are the VIPs that a node has while it leads: those of its subnets.
func vipsAt(s *seeds.Seed, n seeds.Node) []netip.Addr {
	subnets := []netip.Prefix{n.Address}
	for _, i := range n.Network.Interfaces {
		subnets = append(subnets, i.Addresses...)
	}
	return slices.DeleteFunc(allVIPs(s), func(a netip.Addr) bool {
		return !slices.ContainsFunc(subnets, func(p netip.Prefix) bool { return p.Contains(a) })
	})
}

func allVIPs(s *seeds.Seed) []netip.Addr {
	var all []netip.Addr
	for _, site := range s.Sites {
		all = append(all, site.VIPs...)
	}
	return all
}

func sameAddresses(a, b []netip.Addr) bool {
	sorted := func(list []netip.Addr) []netip.Addr {
		return slices.Compact(slices.SortedFunc(slices.Values(list), netip.Addr.Compare))
	}
	return slices.Equal(sorted(a), sorted(b))
}

// addresses are told by name; none is a word too.
func addresses(list []netip.Addr) string {
	if len(list) == 0 {
		return "none"
	}
	return seeds.Words(list)
}
