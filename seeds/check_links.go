package seeds

import (
	"fmt"
	"net/netip"
	"slices"
)

// mostLinks is more than a machine has. They are looked at for each node, so that a
// file could otherwise take very long.
const mostLinks = 256

// boundNetwork refuses what is longer, and cuts it off for the rules that follow.
func (d document) boundNetwork(prefix string, n *Network) {
	bounds := func(key string, length int) int {
		if length > mostLinks {
			d.Refuse(prefix+key, "there are %d %s: no machine has more than %d", length, key, mostLinks)
		}
		return min(length, mostLinks)
	}
	n.Bonds = n.Bonds[:bounds("bonds", len(n.Bonds))]
	n.VLANs = n.VLANs[:bounds("vlans", len(n.VLANs))]
	n.Interfaces = n.Interfaces[:bounds("interfaces", len(n.Interfaces))]
	n.Routes = n.Routes[:bounds("routes", len(n.Routes))]
}

var (
	// hashModes are the modes of a bond that spread packets by a hash.
	hashModes = []BondMode{"balance-xor", "802.3ad", "balance-tlb"}
	// primaryModes are those that prefer an interface.
	// https://www.kernel.org/doc/html/latest/networking/bonding.html
	primaryModes = []BondMode{"active-backup", "balance-tlb", "balance-alb"}
)

// checkBonds returns which bond each interface is in, by its name or MAC address.
func (d document) checkBonds(prefix string, n Network) map[Interface]string {
	in, links := map[Interface]string{}, n.linkNames()
	for i, bond := range n.Bonds {
		path := fmt.Sprintf("%sbonds[%d]", prefix, i)
		d.checkLinkName(path+".name", bond.Name)
		if len(bond.Interfaces) == 0 {
			d.Refuse(path+".interfaces", "the list is empty: a bond is made of interfaces")
		}
		for j, member := range bond.Interfaces {
			at := fmt.Sprintf("%s.interfaces[%d]", path, j)
			d.checkInterface(at, member, true)
			switch owner, taken := in[member]; {
			case member == Interface{}:
			case taken:
				d.Refuse(at, "this interface is in %s already: an interface is in one bond, once", quote(owner))
			case slices.Contains(links, member.Name):
				d.Refuse(at, "%s is a bond or a VLAN: a bond is made of interfaces of the machine", quote(member.Name))
			}
			in[member] = bond.Name
		}
		d.checkBondMode(path, bond)
	}
	return in
}

func (d document) checkBondMode(path string, bond Bond) {
	d.checkRange(path+".miimon", int64(bond.MIIMon), 1, 10000, "ms")
	if !slices.Contains(primaryModes, bond.Mode) {
		d.Refuse(path+".primary", "the mode %s prefers no interface: change mode, or remove this key", bond.Mode)
	} else if !slices.ContainsFunc(bond.Interfaces, func(i Interface) bool { return i.Name == bond.Primary }) {
		d.Refuse(path+".primary", "%s is not the name of an interface of this bond: pick that one by its name", quote(bond.Primary))
	}
	if bond.Mode != "802.3ad" {
		d.Refuse(path+".lacp_rate", "only 802.3ad has a partner to ask, and mode is %s: change mode, or remove this key", bond.Mode)
	}
	if !slices.Contains(hashModes, bond.Mode) {
		d.Refuse(path+".xmit_hash_policy", "the mode %s spreads no packets by a hash: change mode, or remove this key", bond.Mode)
	}
}

func (d document) checkVLANs(prefix string, n Network, in map[Interface]string) {
	type tag struct {
		link Interface
		id   int
	}
	seen := map[tag]bool{}
	for i, vlan := range n.VLANs {
		path := fmt.Sprintf("%svlans[%d]", prefix, i)
		d.checkLinkName(path+".name", vlan.Name)
		d.checkRange(path+".id", int64(vlan.ID), 1, 4094, "")
		link := path + ".link"
		d.checkInterface(link, vlan.Link, true)
		switch {
		case vlan.Link == Interface{}:
		case vlan.Link.Name != vlan.Name && slices.ContainsFunc(n.VLANs, func(other VLAN) bool { return other.Name == vlan.Link.Name }):
			d.Refuse(link, "%s is a VLAN itself: name the interface or the bond below it", quote(vlan.Link.Name))
		case in[vlan.Link] != "":
			d.Refuse(link, "this interface is in %[1]s: put the VLAN on %[1]s", quote(in[vlan.Link]))
		case seen[tag{vlan.Link, vlan.ID}]:
			d.Refuse(path+".id", "tag %d is on the same interface already", vlan.ID)
		}
		seen[tag{vlan.Link, vlan.ID}] = true
	}
}

// checkLinkName: the names that bonds and VLANs are given.
func (d document) checkLinkName(path, name string) {
	if !interfaceName.MatchString(name) || name == "." || name == ".." || name == "lo" || name == "all" || name == "default" {
		d.Refuse(path, "%s cannot name an interface: use 1 to 15 letters, digits, dots, hyphens and underscores, such as bond0", quote(name))
	}
}

// linkNames are the names of bonds and VLANs.
func (n Network) linkNames() []string {
	var names []string
	for _, bond := range n.Bonds {
		names = append(names, bond.Name)
	}
	for _, vlan := range n.VLANs {
		names = append(names, vlan.Name)
	}
	return names
}

func (d document) checkExtraInterfaces(prefix string, n Network, in map[Interface]string) {
	if !d.HasKey(prefix+"interfaces") && !d.HasKey(prefix+"interface") {
		return
	}
	d.checkExtraSubnets(prefix+"interfaces", n.Interfaces)
	seen := map[Interface]bool{}
	for i, extra := range n.Interfaces {
		path := fmt.Sprintf("%sinterfaces[%d]", prefix, i)
		d.checkInterface(path+".interface", extra.Interface, true)
		switch {
		case extra.Interface == Interface{}:
		case in[extra.Interface] != "":
			d.Refuse(path+".interface", "this interface is in %s, which has the addresses: name that", quote(in[extra.Interface]))
		case extra.Interface == n.Interface:
			d.Refuse(d.given(path+".interface", prefix+"interface"), "network.interface is this one too, and has the node's address: name another")
		case seen[extra.Interface]:
			d.Refuse(path+".interface", "this interface is listed twice: write all its addresses in one item")
		}
		seen[extra.Interface] = true
		switch {
		case extra.DHCP:
			d.Refuse(path+".addresses", "the addresses come with the lease, since dhcp is on: remove one of the two")
		case len(extra.Addresses) == 0 && !d.Malformed(path+".addresses") && !d.Malformed(path+".dhcp"):
			d.Refuse(path, "this interface has no address: set addresses, or dhcp: true")
		}
		isIPv6 := false
		for j, address := range extra.Addresses {
			d.checkAddress(fmt.Sprintf("%s.addresses[%d]", path, j), address)
			isIPv6 = isIPv6 || address.Addr().Is6()
		}
		d.checkMTU(path+".mtu", extra.MTU, isIPv6)
		d.checkRoutes(path+".routes", extra.Routes)
		for j, route := range extra.Routes {
			if !extra.DHCP && len(extra.Addresses) > 0 && !reaches(extra.Addresses, route.Via) {
				d.Refuse(fmt.Sprintf("%s.routes[%d].via", path, j), "%s is in no subnet of this interface: write a router of one", route.Via)
			}
		}
	}
}

// reaches tells whether a router is a neighbour, as far as it is one at all.
func reaches(addresses []netip.Prefix, via netip.Addr) bool {
	return !via.IsValid() || unusable(via) != "" || slices.ContainsFunc(addresses, func(p netip.Prefix) bool { return p.Contains(via) })
}

// checkLinks looks at the network of a node as it becomes.
func (d document) checkLinks(node string, n Node) {
	w := n.Network
	const name, mac = "network.interface.name", "network.interface.mac"
	bonds, vlans := "network.bonds", "network.vlans"
	in := map[Interface]string{}
	for _, bond := range w.Bonds {
		for _, member := range bond.Interfaces {
			in[member] = bond.Name
		}
	}
	switch bond := in[w.Interface]; {
	case w.Interface != Interface{} && bond != "":
		d.Refuse(d.given(node+name, node+mac, name, mac), "this interface is in %s, and the bond has the address: name that, or a VLAN on it", quote(bond))
	case w.Interface == Interface{} && len(w.Bonds)+len(w.VLANs) > 0:
		d.Refuse(d.given(node+bonds, node+vlans, bonds, vlans), "which interface has the node's address? set network.interface.name, such as %s", w.linkNames()[len(w.linkNames())-1])
	}
	if w.Interface.Name != "" && !w.Interface.MAC.IsZero() && d.Given(node+mac) != d.Given(node+name) {
		by, other := node+mac, "name"
		if d.Given(node + name) {
			by, other = node+name, "mac"
		}
		d.Refuse(by, "an interface is picked by its name or by its MAC address, and network.interface has its %[1]s: take that back here, by %[1]s: without a value", other)
	}
	d.checkLinkNames(node, w)
	d.checkSubnets(node, n)
	if n.Address.Addr().Is6() && !n.Address.Addr().Is4In6() && w.MTU != 0 && w.MTU >= 576 {
		d.checkRange(d.given(node+"network.mtu", "network.mtu"), int64(w.MTU), 1280, 65535, "bytes")
	}
}

// checkLinkNames: what is made has a name that nothing else has.
func (d document) checkLinkNames(node string, w Network) {
	taken := map[string]bool{}
	for i, bond := range w.Bonds {
		if taken[bond.Name] {
			at := fmt.Sprintf("network.bonds[%d].name", i)
			d.Refuse(d.given(node+at, at), "another interface is called %s: choose another name", quote(bond.Name))
		}
		taken[bond.Name] = true
	}
	for i, vlan := range w.VLANs {
		if taken[vlan.Name] || vlan.Name == vlan.Link.Name && vlan.Name != "" {
			at := fmt.Sprintf("network.vlans[%d].name", i)
			d.Refuse(d.given(node+at, at), "another interface is called %s: choose another name", quote(vlan.Name))
		}
		taken[vlan.Name] = true
	}
}

// sharedSubnet is wrong because the kernel sends to a subnet over one interface.
const sharedSubnet = "%s is in the subnet of another interface, %s: write an address of a subnet of its own"

// checkExtraSubnets compares the further interfaces with one another.
func (d document) checkExtraSubnets(path string, interfaces []ExtraInterface) {
	const most = 1000 // so that no file takes long
	var subnets []netip.Prefix
	for i, extra := range interfaces {
		for j, address := range extra.Addresses {
			for _, other := range subnets {
				if address.IsValid() && other.IsValid() && address.Overlaps(other) {
					d.Refuse(fmt.Sprintf("%s[%d].addresses[%d]", path, i, j), sharedSubnet, address, other.Masked())
					break
				}
			}
		}
		subnets = append(subnets, extra.Addresses[:min(len(extra.Addresses), most-len(subnets))]...)
	}
}

// checkSubnets looks from the node's address.
func (d document) checkSubnets(node string, n Node) {
	for i, extra := range n.Network.Interfaces {
		for j, address := range extra.Addresses {
			if address.IsValid() && n.Address.IsValid() && address.Overlaps(n.Address) {
				at := fmt.Sprintf("network.interfaces[%d].addresses[%d]", i, j)
				d.Refuse(d.given(node+at, at), sharedSubnet, address, n.Address.Masked())
			}
		}
	}
	for i, route := range n.Network.Routes {
		if at := fmt.Sprintf("network.routes[%d].via", i); n.Address.IsValid() && !n.Network.DHCP && !reaches([]netip.Prefix{n.Address}, route.Via) {
			d.Refuse(d.given(node+at, at), "%s is outside %s, the subnet of node %s: write a router of that subnet, below the node if need be",
				route.Via, n.Address.Masked(), quote(n.Name))
		}
	}
}
