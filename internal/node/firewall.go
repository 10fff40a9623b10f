package node

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

const (
	firewallFile = "/etc/banyan/firewall.nft"
	firewallUnit = "banyan-firewall.service"
)

// firewall is a table of its own, which other tables do not know of, nft(8), and the port of
// sshd that it lets in; sshd's keys are the image's matter.
func firewall(s seeds.Seed, self seeds.Node) []converge.Step {
	content, fallback := banner+noTable, banner+noTable
	if self.Firewall.Enabled {
		content, fallback = ruleset(s, self, self.Firewall.Rules), ruleset(s, self, nil)
	}
	port := file(facts.SSHPortFile, banner+fmt.Sprintf("Port %d\n", self.System.SSHPort))
	return []converge.Step{
		{Name: "firewall", Loose: true, Resources: []converge.Resource{
			ownDirectory,
			// Whatever becomes of this table, the next boot loads one.
			converge.Unit{Name: firewallUnit, Enabled: true},
			converge.NFTable{
				Family: "inet", Name: "banyan", Path: firewallFile, Content: content, Fallback: fallback, Door: self.System.SSHPort, With: port.Content,
			},
			converge.TableFile{File: port, Table: firewallFile},
		}},
		// Started, the unit loads the file: not after one was refused.
		{Name: "firewall unit", Needs: []string{"firewall"}, Resources: []converge.Resource{
			converge.Unit{Name: firewallUnit, Enabled: true, Running: true, ReloadOn: []string{firewallFile}},
		}},
		{Name: "ssh", Resources: []converge.Resource{
			converge.Unit{Name: "ssh.service", Enabled: true, Running: true, ReloadOn: []string{port.Path}},
		}},
	}
}

// noTable is that the table is not there, whether it was or not.
const noTable = "table inet banyan\ndelete table inet banyan\n"

// ruleset drops what nothing lets in, and forwards nothing: ip_forward is 1 for what
// listens on an address of another node, not to make a router of this one. The seed's
// own rules come last.
func ruleset(s seeds.Seed, self seeds.Node, rules []string) string {
	var b strings.Builder
	b.WriteString(banner + noTable + "table inet banyan {\n\tchain input {\n")
	rule := func(format string, args ...any) { fmt.Fprintf(&b, "\t\t"+format+"\n", args...) }
	rule("type filter hook input priority filter; policy drop;")
	rule("ct state established,related accept")
	rule("ct state invalid drop")
	rule(`iifname "lo" accept`)
	rule("meta l4proto { icmp, ipv6-icmp } accept")
	rule("udp sport 67 udp dport 68 accept") // an offer of DHCP may come from anywhere
	rule("ip6 saddr fe80::/10 udp dport 546 accept")
	for _, p := range s.Ports(self) {
		if p.For == seeds.ForNobody {
			continue
		}
		for _, source := range from(audience(s, self, p)) {
			rule(`%stcp dport %d accept comment "%s"`, source, p.Number, p.Use)
		}
	}
	for _, allow := range self.Firewall.Allow {
		for _, source := range from(allow.Sources) {
			rule("%s%s dport %s accept", source, allow.Protocol, allow.Port)
		}
	}
	for _, r := range rules {
		rule("%s", r)
	}
	if self.Firewall.Log {
		rule(`limit rate 10/minute burst 20 packets log prefix "banyan dropped: " level info`)
	}
	b.WriteString("\t}\n\tchain forward {\n")
	rule("type filter hook forward priority filter; policy drop;")
	b.WriteString("\t}\n}\n")
	return b.String()
}

// audience is who may reach a port; nobody in particular is everybody.
func audience(s seeds.Seed, self seeds.Node, p seeds.Port) []netip.Prefix {
	members := memberAddresses(s)
	switch p.For {
	case seeds.ForAdministrators:
		return self.Firewall.SSHSources
	case seeds.ForClients:
		if len(self.Firewall.ClientSources) == 0 {
			return nil
		}
		return append(members, self.Firewall.ClientSources...) // members are clients of one another too
	}
	if p.Number == self.Patroni.RESTAPI.Port {
		members = append(members, allowlisted(self.Patroni.RESTAPI.Allowlist)...)
	}
	return members
}

// from are the matches of these networks, one for each family; of none, of everybody.
func from(sources []netip.Prefix) []string {
	if len(sources) == 0 {
		return []string{""}
	}
	var matches []string
	for _, family := range []struct {
		name string
		is   func(netip.Addr) bool
	}{{"ip", netip.Addr.Is4}, {"ip6", netip.Addr.Is6}} {
		var words []string
		for _, p := range outermost(sources) {
			if family.is(p.Addr()) {
				words = append(words, strings.TrimSuffix(p.String(), fmt.Sprintf("/%d", p.Addr().BitLen())))
			}
		}
		if len(words) > 0 {
			matches = append(matches, fmt.Sprintf("%s saddr { %s } ", family.name, strings.Join(words, ", ")))
		}
	}
	return matches
}

// outermost are the networks that lie in no other of them: nft takes no set whose
// intervals overlap.
func outermost(networks []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for i, p := range networks {
		inside := slices.ContainsFunc(networks, func(o netip.Prefix) bool { return o.Bits() < p.Bits() && o.Contains(p.Addr()) })
		if !inside && !slices.Contains(networks[:i], p) {
			out = append(out, p)
		}
	}
	return out
}

func memberAddresses(s seeds.Seed) []netip.Prefix {
	var all []netip.Prefix
	for _, n := range s.Nodes {
		all = append(all, netip.PrefixFrom(n.Address.Addr(), n.Address.Addr().BitLen()))
	}
	return all
}

// allowlisted are the addresses and networks of Patroni's allowlist. A host name is for
// Patroni to look up; who has one adds its address to firewall.allow.
func allowlisted(list []string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range list {
		if p, err := netip.ParsePrefix(text); err == nil {
			all = append(all, p.Masked())
		} else if a, err := netip.ParseAddr(text); err == nil {
			all = append(all, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return all
}
