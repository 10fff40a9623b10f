package node

import (
	"fmt"
	"slices"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

const networkDir = "/etc/systemd/network/"

// network is the node's interfaces, set up by systemd-networkd, and the name
// servers, asked by systemd-resolved.
func network(self seeds.Node, f facts.Facts) []converge.Resource {
	var resources []converge.Resource
	var paths []string
	for _, unit := range networkFiles(self, f) {
		resources = append(resources, unit)
		paths = append(paths, unit.Path)
	}
	return append(resources,
		// Before the link, so that a host which lacks resolved keeps its name servers.
		converge.Unit{Name: "systemd-resolved.service", Enabled: true, Running: true},
		converge.Symlink{Path: "/etc/resolv.conf", Target: "../run/systemd/resolve/stub-resolv.conf"},
		// Told, not restarted: only a networkd that keeps running knows which
		// addresses are its own to take away.
		converge.Unit{Name: "systemd-networkd.service", Enabled: true, Running: true, ReloadOn: paths},
	)
}

// networkFiles are the files that systemd-networkd reads: a .netdev for each bond and
// VLAN, and a .network for each interface that the seed speaks of.
func networkFiles(self seeds.Node, f facts.Facts) []converge.File {
	var files []converge.File
	for _, b := range self.Network.Bonds {
		files = append(files, file(networkDir+"10-banyan-"+b.Name+".netdev", bondUnit(b)))
	}
	for _, v := range self.Network.VLANs {
		var u networkUnit
		netdev := u.section("NetDev")
		netdev.set("Name", v.Name)
		netdev.set("Kind", "vlan")
		u.section("VLAN").set("Id", v.ID)
		files = append(files, file(networkDir+"10-banyan-"+v.Name+".netdev", u.String()))
	}
	links := linksOf(self.Network, f.NICs)
	for _, l := range links.all {
		files = append(files, file(l.path(), links.unit(l, self, f)))
	}
	return files
}

// bondUnit writes a systemd.netdev(5) file.
func bondUnit(b seeds.Bond) string {
	var u networkUnit
	netdev := u.section("NetDev")
	netdev.set("Name", b.Name)
	netdev.set("Kind", "bond")
	bond := u.section("Bond")
	bond.set("Mode", b.Mode)
	bond.set("MIIMonitorSec", fmt.Sprintf("%dms", b.MIIMon))
	switch b.Mode { // the kernel takes them in no other mode
	case "802.3ad":
		bond.set("TransmitHashPolicy", b.TransmitHashPolicy)
		bond.set("LACPTransmitRate", b.LACPRate)
	case "balance-xor", "balance-tlb":
		bond.set("TransmitHashPolicy", b.TransmitHashPolicy)
	}
	return u.String()
}

// link is an interface and what the seed makes of it.
type link struct {
	pick      seeds.Interface // not set where it is the machine's only one
	key       string          // the same for all ways to pick it
	made      bool            // a bond or a VLAN: it has but a name
	main      bool            // it has the node's address
	extra     *seeds.ExtraInterface
	bond      string // that it is a member of
	preferred bool   // by that bond
	vlans     []string
	mtu       int
}

// links are the interfaces of a node, in the order in which the seed speaks of them.
type links struct {
	all  []*link
	nics []facts.NIC
	made map[string]bool // names of bonds and VLANs
	free []facts.NIC     // the wired ones that no bond and no further network takes
}

func linksOf(n seeds.Network, nics []facts.NIC) links {
	l := links{nics: nics, made: map[string]bool{}}
	for _, b := range n.Bonds {
		l.made[b.Name] = true
	}
	for _, v := range n.VLANs {
		l.made[v.Name] = true
	}
	taken := map[string]bool{}
	for _, b := range n.Bonds {
		for _, member := range b.Interfaces {
			taken[l.key(member)] = true
		}
	}
	for _, extra := range n.Interfaces {
		taken[l.key(extra.Interface)] = true
	}
	l.free = slices.DeleteFunc(physical(nics), func(n facts.NIC) bool { return taken[n.Name] })

	main := l.at(n.Interface)
	main.main, main.mtu = true, n.MTU
	for _, b := range n.Bonds {
		l.at(seeds.Interface{Name: b.Name})
		for _, member := range b.Interfaces {
			m := l.at(member)
			m.bond, m.preferred = b.Name, b.Primary != "" && m.key == b.Primary
		}
	}
	for i, extra := range n.Interfaces {
		e := l.at(extra.Interface)
		e.extra, e.mtu = &n.Interfaces[i], extra.MTU
	}
	for _, v := range n.VLANs {
		l.at(seeds.Interface{Name: v.Name})
		under := l.at(v.Link)
		under.vlans = append(under.vlans, v.Name)
	}
	// A VLAN takes no larger packet than what is below it; a bond tells its members.
	for range n.VLANs { // they may lie on one another
		for _, v := range n.VLANs {
			under := l.at(v.Link)
			under.mtu = max(under.mtu, l.at(seeds.Interface{Name: v.Name}).mtu)
		}
	}
	return l
}

// at is the link that an interface picks, a new one the first time.
func (l *links) at(pick seeds.Interface) *link {
	key := l.key(pick)
	for _, known := range l.all {
		if known.key == key {
			return known
		}
	}
	added := &link{pick: pick, key: key, made: l.made[pick.Name]}
	l.all = append(l.all, added)
	return added
}

// key is the name of the interface, where it is known.
func (l *links) key(pick seeds.Interface) string {
	switch {
	case pick.Name != "":
		return pick.Name
	case pick.MAC.IsZero() && len(l.free) == 1:
		return l.free[0].Name
	}
	for _, nic := range physical(l.nics) {
		if nic.MAC == pick.MAC.String() {
			return nic.Name
		}
	}
	return pick.MAC.String()
}

// path is the link's file. That of the only interface may match others too, so it is
// the last: the first file that matches counts, and '-' sorts before '.'.
func (l *link) path() string {
	if l.main {
		return networkDir + "10-banyan.network"
	}
	name := l.pick.Name
	if name == "" {
		name = strings.ReplaceAll(l.pick.MAC.String(), ":", "-")
	}
	return networkDir + "10-banyan-" + name + ".network"
}

// unit writes a systemd.network(5) file.
func (l *links) unit(at *link, self seeds.Node, f facts.Facts) string {
	var u networkUnit
	l.match(at, u.section("Match"), f)

	link := u.section("Link")
	if at.mtu != 0 {
		link.set("MTUBytes", at.mtu)
	}
	if !at.main {
		link.set("RequiredForOnline", "no")
	}
	network := u.section("Network")
	switch {
	case at.main:
		mainNetwork(&u, self)
	case at.extra != nil:
		extraNetwork(&u, *at.extra)
	case at.bond != "":
		network.set("Bond", at.bond)
		if at.preferred {
			network.set("PrimarySlave", "yes")
		}
	default: // it only carries others
		network.set("LinkLocalAddressing", "no")
		network.set("IPv6AcceptRA", "no")
	}
	for _, name := range at.vlans {
		network.set("VLAN", name)
	}
	return u.String()
}

func (l *links) match(at *link, match *networkSection, f facts.Facts) {
	switch {
	case at.pick.Name != "":
		match.set("Name", at.pick.Name)
	case at.pick.MAC.IsZero():
		// The only one, see Check, by its address: its name may change with the slot
		// that it is in, and one that appears later must not get the same address.
		// All match where facts see none, as in an initramfs that lacks its driver,
		// or several, of which nothing tells the one that was there at the planting.
		if len(l.free) == 1 {
			match.set("MACAddress", l.free[0].MAC)
		}
		match.set("Type", "ether")
		if abilities(f).matchesKinds() {
			match.set("Kind", "!*")
		}
	case at.bond != "": // which gives its own address to its members
		match.set("PermanentMACAddress", at.pick.MAC)
		match.set("Type", "ether")
	default:
		match.set("MACAddress", at.pick.MAC)
		match.set("Type", "ether")
	}
}

// mainNetwork is how the interface of the node's address is set up.
func mainNetwork(u *networkUnit, self seeds.Node) {
	n := self.Network
	network := u.section("Network")
	// What others add, such as a virtual address, stays when networkd restarts.
	network.set("KeepConfiguration", "yes")
	if n.DHCP {
		network.set("DHCP", "yes")
	} else {
		// A member without a cable still serves itself and says so on its console.
		network.set("ConfigureWithoutCarrier", "yes")
		network.set("Address", self.Address)
		if self.Gateway.IsValid() {
			network.set("Gateway", self.Gateway)
		}
	}
	for _, server := range n.DNS {
		network.set("DNS", server)
	}
	if len(n.Domains) > 0 {
		network.set("Domains", strings.Join(n.Domains, " "))
	}
	u.routes(n.Routes)
	if n.DHCP {
		// Leases are reserved by MAC address, and the seed names the node.
		lease := u.section("DHCPv4")
		lease.set("ClientIdentifier", "mac")
		lease.set("UseHostname", "no")
	}
}

// extraNetwork is how another network's interface is set up: the way out and the name
// servers are those of the node's own.
func extraNetwork(u *networkUnit, e seeds.ExtraInterface) {
	network := u.section("Network")
	network.set("KeepConfiguration", "yes")
	network.set("IPv6AcceptRA", "no")
	if e.DHCP {
		network.set("DHCP", "ipv4")
	} else {
		network.set("ConfigureWithoutCarrier", "yes")
	}
	for _, a := range e.Addresses {
		network.set("Address", a)
	}
	u.routes(e.Routes)
	if e.DHCP {
		lease := u.section("DHCPv4")
		lease.set("ClientIdentifier", "mac")
		for _, key := range []string{"UseHostname", "UseRoutes", "UseDNS", "UseNTP"} {
			lease.set(key, "no")
		}
	}
}

// networkUnit is a file of systemd-networkd in the making.
type networkUnit struct{ sections []*networkSection }

type networkSection struct{ name, lines string }

// section is the section of that name, a new one the first time.
func (u *networkUnit) section(name string) *networkSection {
	for _, s := range u.sections {
		if s.name == name {
			return s
		}
	}
	return u.add(name)
}

func (u *networkUnit) add(name string) *networkSection {
	s := &networkSection{name: name}
	u.sections = append(u.sections, s)
	return s
}

func (u *networkUnit) routes(routes []seeds.Route) {
	for _, r := range routes {
		route := u.add("Route")
		route.set("Destination", r.To)
		route.set("Gateway", r.Via)
	}
}

func (s *networkSection) set(key string, value any) { s.lines += fmt.Sprintf("%s=%v\n", key, value) }

func (u *networkUnit) String() string {
	var sections []string
	for _, s := range u.sections {
		if s.lines != "" {
			sections = append(sections, "["+s.name+"]\n"+s.lines)
		}
	}
	return banner + strings.Join(sections, "\n")
}
