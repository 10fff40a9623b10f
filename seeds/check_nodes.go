package seeds

import (
	"fmt"
	"iter"
	"net/netip"
	"strings"
)

func (d document) checkNodes(s Seed) {
	if len(s.Nodes) == 0 {
		d.Refuse("nodes", "the list is empty: a cluster needs a node")
	}
	names, addresses := map[string]string{}, map[netip.Addr]string{}
	for _, n := range s.Nodes {
		if n.Address.IsValid() && addresses[n.Address.Addr()] == "" {
			addresses[n.Address.Addr()] = n.Name
		}
	}
	used := map[netip.Addr]bool{}
	for i, n := range s.Nodes {
		path := fmt.Sprintf("nodes[%d]", i)
		d.checkNodeName(path+".name", n.Name)
		d.checkAddress(path+".address", n.Address)
		d.checkGateway(path, n, addresses)
		d.checkNodeSite(path, s, n)
		d.checkServices(path+".services", s.Cluster.DCS, n.Services)
		d.checkTogether(path+".pki.", "certificate", string(n.PKI.Certificate), "key", n.PKI.Key.Reveal())
		d.checkTogether(path+".pki.", "etcd_certificate", string(n.PKI.EtcdCertificate), "etcd_key", n.PKI.EtcdKey.Reveal())
		folded := strings.ToLower(n.Name)
		if other, taken := names[folded]; taken {
			d.Refuse(path+".name", "another node is called %s: give each a name of its own", quote(other))
		}
		names[folded] = n.Name
		if a := n.Address.Addr(); used[a] && a.IsValid() {
			d.Refuse(path+".address", "%s is the address of node %s: give each an address of its own", a, quote(addresses[a]))
		}
		used[n.Address.Addr()] = true
	}
	d.checkMatches(s)
	d.checkFamilies(s)
	d.checkInterfacesOnce(s)
}

// checkFamilies warns of nodes that may not reach one another.
func (d document) checkFamilies(s Seed) {
	for i, n := range s.Nodes {
		first := s.Nodes[0].Address.Addr()
		if a := n.Address.Addr(); a.IsValid() && first.IsValid() && a.Is4() != first.Is4() {
			d.Warn(fmt.Sprintf("nodes[%d].address", i), "%s and %s, that of node %s, are not of one family: the nodes reach one another only where all have both", a, first, quote(s.Nodes[0].Name))
			return
		}
	}
}

// checkInterfacesOnce: nodes may not inherit what one machine alone has. A place is
// wrong for all that inherit it, and refused once.
func (d document) checkInterfacesOnce(s Seed) {
	addresses, macs := map[netip.Addr]string{}, map[MAC]string{}
	for _, site := range s.Sites {
		for _, vip := range site.VIPs {
			addresses[vip] = "a VIP"
		}
	}
	for _, n := range s.Nodes {
		addresses[n.Address.Addr()] = "the address of node " + quote(n.Name)
	}
	refused := map[string]bool{}
	refuse := func(i int, at string, value fmt.Stringer, owner string) {
		node := fmt.Sprintf("nodes[%d].", i)
		place, mend := d.given(node+at, at), "write another"
		if place == at {
			mend = "write it below the node that has it"
		}
		if !refused[place] {
			d.Refuse(place, "%s is %s, and node %s would have it too: %s", value, owner, quote(s.Nodes[i].Name), mend)
		}
		refused[place] = true
	}
	for i, n := range s.Nodes {
		if at, address := n.taken(addresses); at != "" {
			refuse(i, at, address, addresses[address])
		}
		for at, mac := range n.macs() {
			if owner, taken := macs[mac]; taken && owner != n.Name {
				refuse(i, at, mac, "an interface of node "+quote(owner))
				break // so that a long list of the cluster's does not take long
			}
			macs[mac] = n.Name
		}
	}
}

// taken is the first address of a further interface that somebody has already. Those
// before it are the node's from then on.
func (n Node) taken(owners map[netip.Addr]string) (path string, address netip.Addr) {
	own := "an address of node " + quote(n.Name)
	for i, extra := range n.Network.Interfaces {
		for j, p := range extra.Addresses {
			if owner := owners[p.Addr()]; owner != "" && owner != own && p.IsValid() && p.Addr() != n.Address.Addr() {
				return fmt.Sprintf("network.interfaces[%d].addresses[%d]", i, j), p.Addr()
			}
			owners[p.Addr()] = own
		}
	}
	return "", netip.Addr{}
}

// macs are the MAC addresses that alone pick a node's interfaces, with their paths.
func (n Node) macs() iter.Seq2[string, MAC] {
	w := n.Network
	return func(yield func(string, MAC) bool) {
		more := func(i Interface, format string, args ...any) bool {
			return i.MAC.IsZero() || i.Name != "" || yield(fmt.Sprintf(format, args...)+".mac", i.MAC)
		}
		if !more(w.Interface, "network.interface") {
			return
		}
		for i, bond := range w.Bonds {
			for j, member := range bond.Interfaces {
				if !more(member, "network.bonds[%d].interfaces[%d]", i, j) {
					return
				}
			}
		}
		for i, vlan := range w.VLANs {
			if !more(vlan.Link, "network.vlans[%d].link", i) {
				return
			}
		}
		for i, extra := range w.Interfaces {
			if !more(extra.Interface, "network.interfaces[%d].interface", i) {
				return
			}
		}
	}
}

// checkMatches: no machine is two nodes, and in a seed for all of them each is one.
func (d document) checkMatches(s Seed) {
	owners := map[[2]string]string{}
	var matched bool
	for i, n := range s.Nodes {
		match := fmt.Sprintf("nodes[%d].match", i)
		for key, value := range map[string]string{
			"mac": n.Match.MAC.String(), "uuid": string(n.Match.UUID), "serial": n.Match.Serial, "hostname": strings.ToLower(n.Match.Hostname),
		} {
			id := [2]string{key, value}
			if owner, taken := owners[id]; taken && value != "" {
				d.Refuse(match+"."+key, "node %s has this %s too: no machine can be both", quote(owner), key)
			}
			owners[id] = n.Name
		}
		matched = matched || n.Match != Match{}
		if n.Match == (Match{}) && !d.Malformed(match+".mac") && !d.Malformed(match+".uuid") {
			d.Refuse(match, "there is nothing to match: set mac, serial, uuid or hostname")
		}
	}
	if d.Given("node") {
		d.checkNode(s)
		return
	}
	for i, n := range s.Nodes {
		if path := fmt.Sprintf("nodes[%d]", i); matched && !d.Given(path+".match") {
			d.Warn(path+".name", "%s has no match, as others have: in a seed for all of them no machine is this node", quote(n.Name))
		}
	}
}

func (d document) checkNode(s Seed) {
	if _, ok := s.ByName(s.Node); !ok {
		d.Refuse("node", "no node is called %s%s", quote(s.Node), meant(s.Node, s.Names(), ": write the name of one of nodes"))
	}
}

// checkNodeName: a host name of Linux is at most 64 bytes, see hostname(7).
func (d document) checkNodeName(path, name string) {
	switch {
	case !hostName.MatchString(name) || len(name) > 64:
		d.Refuse(path, "%s is not a host name: use letters, digits and hyphens, at most 63 between dots and 64 in all, with no hyphen first or last", quote(name))
	case allDigits.MatchString(name):
		d.Refuse(path, "%s reads as an address or a number: a host name has a letter", quote(name))
	case strings.EqualFold(name, "localhost") || strings.HasPrefix(strings.ToLower(name), "localhost."):
		d.Refuse(path, "localhost is every machine's own name: give the node another")
	}
}

func (d document) checkAddress(path string, p netip.Prefix) {
	wrong := unusable(p.Addr())
	switch {
	case wrong != "":
	case p.Bits() == 0:
		wrong = "in no subnet: write the prefix length of its subnet, such as /24"
	case p.Addr().BitLen()-p.Bits() < 2: // both addresses of a pair are hosts', RFC 3021 and RFC 6164
	case p.Addr() == broadcast(p):
		wrong = "the broadcast address of its subnet: write the node's own"
	case p.Addr() == p.Masked().Addr(): // in IPv6 the anycast address of the routers, RFC 4291, 2.6.1
		wrong = "the address of its subnet: write the node's own"
	}
	if wrong != "" {
		d.Refuse(path, "%s is %s", p, wrong)
	}
}

// checkGateway also knows the addresses of all nodes.
func (d document) checkGateway(path string, n Node, nodes map[netip.Addr]string) {
	gateway := path + ".gateway"
	wrong := unusable(n.Gateway)
	switch {
	case n.Network.DHCP:
		d.Refuse(gateway, "the gateway comes with the lease, since network.dhcp is on: remove it")
	case n.Address.Addr().Is6() && isRouter(n.Gateway): // it is on the link, in no subnet
	case wrong != "":
		d.Refuse(gateway, "%s is %s", n.Gateway, wrong)
	case !d.Given(path + ".address"):
	case n.Gateway == n.Address.Addr():
		d.Refuse(gateway, "%s is the node's own address: write the router's", n.Gateway)
	case nodes[n.Gateway] != "":
		d.Refuse(gateway, "%s is the address of node %s: write the router's", n.Gateway, quote(nodes[n.Gateway]))
	case !n.Address.Contains(n.Gateway):
		d.Refuse(gateway, "%s is outside %s, the subnet of the node: write a router of that subnet", n.Gateway, n.Address.Masked())
	}
}

// isRouter tells a router's link-local address: routers of IPv6 announce no other,
// RFC 4861, 6.1.2. The interface, which a zone would say, is known.
func isRouter(a netip.Addr) bool {
	return a.Is6() && !a.Is4In6() && a.IsLinkLocalUnicast() && a.Zone() == ""
}

// unusable says why other machines cannot reach a, or "".
func unusable(a netip.Addr) string {
	const mend = " address: write one that other machines reach"
	switch {
	case a.Is4In6():
		return "an IPv4 address in the form of IPv6: write " + a.Unmap().String()
	case a.Zone() != "":
		return "an address with a zone: write it without"
	case a.IsUnspecified():
		return "the unspecified" + mend
	case a.IsLoopback():
		return "a loopback" + mend
	case a.IsMulticast():
		return "a multicast" + mend
	case a.IsLinkLocalUnicast():
		return "a link-local" + mend
	}
	return ""
}

// broadcast is the last address of an IPv4 subnet, or none: IPv6 has none.
func broadcast(p netip.Prefix) netip.Addr {
	if !p.Addr().Is4() {
		return netip.Addr{}
	}
	a := p.Addr().As4()
	for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(a)
}
