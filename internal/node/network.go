package node

import (
	"fmt"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

const networkFile = "/etc/systemd/network/10-banyan.network"

// network is the node's interface, set up by systemd-networkd, and the name
// servers, asked by systemd-resolved.
func network(s seeds.Seed, self seeds.Node, f facts.Facts) []converge.Resource {
	return []converge.Resource{
		file(networkFile, networkUnit(s.Network, self, f)),
		// Before the link, so that a host which lacks resolved keeps its name servers.
		converge.Unit{Name: "systemd-resolved.service", Enabled: true, Running: true},
		converge.Symlink{Path: "/etc/resolv.conf", Target: "../run/systemd/resolve/stub-resolv.conf"},
		// Told, not restarted: only a networkd that keeps running knows which
		// addresses are its own to take away.
		converge.Unit{Name: "systemd-networkd.service", Enabled: true, Running: true, ReloadOn: []string{networkFile}},
	}
}

// networkUnit writes a systemd.network(5) file.
func networkUnit(n seeds.Network, self seeds.Node, f facts.Facts) string {
	var b strings.Builder
	set := func(key string, value any) { fmt.Fprintf(&b, "%s=%v\n", key, value) }
	b.WriteString(banner)
	b.WriteString("[Match]\n")
	switch {
	case n.Interface.Name != "":
		set("Name", n.Interface.Name)
	case !n.Interface.MAC.IsZero():
		set("MACAddress", n.Interface.MAC)
		set("Type", "ether")
	default:
		// The only one, see Check, by its address: its name may change with the slot
		// that it is in, and one that appears later must not get the same address.
		// All match where facts see none, as in an initramfs that lacks its driver,
		// or several, of which nothing tells the one that was there at the planting.
		if wired := physical(f.NICs); len(wired) == 1 {
			set("MACAddress", wired[0].MAC)
		}
		set("Type", "ether")
		if !f.Systemd.Before(251, 0) {
			set("Kind", "!*")
		}
	}

	b.WriteString("\n[Network]\n")
	// What others add, such as a virtual address, stays when networkd restarts.
	set("KeepConfiguration", "yes")
	if n.DHCP {
		set("DHCP", "yes")
	} else {
		// A member without a cable still serves itself and says so on its console.
		set("ConfigureWithoutCarrier", "yes")
		set("Address", self.Address)
		if self.Gateway.IsValid() {
			set("Gateway", self.Gateway)
		}
	}
	for _, server := range n.DNS {
		set("DNS", server)
	}
	if len(n.Domains) > 0 {
		set("Domains", strings.Join(n.Domains, " "))
	}

	if n.DHCP {
		// Leases are reserved by MAC address, and the seed names the node.
		b.WriteString("\n[DHCPv4]\n")
		set("ClientIdentifier", "mac")
		set("UseHostname", "no")
	}
	return b.String()
}
