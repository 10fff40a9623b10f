package seeds

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

var siteName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)

func (d document) checkSites(s Seed) {
	names := map[string]bool{}
	owners := map[netip.Addr]string{} // of addresses, for people
	for _, n := range s.Nodes {
		owners[n.Gateway] = "the gateway of node " + quote(n.Name)
	}
	for _, n := range s.Nodes {
		owners[n.Address.Addr()] = "the address of node " + quote(n.Name)
	}
	subnets := s.servingSubnets()
	for i, site := range s.Sites {
		path := fmt.Sprintf("sites[%d]", i)
		folded := strings.ToLower(site.Name)
		switch {
		case !siteName.MatchString(site.Name):
			d.Refuse(path+".name", "%s cannot name a site: use 1 to 63 letters, digits, hyphens, dots and underscores, with a letter or digit first", quote(site.Name))
		case names[folded]:
			d.Refuse(path+".name", "another site is called %s: give each a name of its own", quote(site.Name))
		}
		names[folded] = true
		d.checkSubnet(path+".subnet", site.Subnet)
		for _, other := range s.Sites[:i] {
			if site.Subnet.IsValid() && other.Subnet.IsValid() && other.Subnet.Overlaps(site.Subnet) {
				d.Refuse(path+".subnet", "%s and %s of site %s overlap: an address has to be at one site", site.Subnet, other.Subnet, quote(other.Name))
				break
			}
		}
		for j, vip := range site.VIPs {
			d.checkVIP(fmt.Sprintf("%s.vips[%d]", path, j), site, vip, owners, subnets)
			if vip.IsValid() {
				owners[vip] = "another VIP"
			}
		}
	}
}

// checkSubnet holds a prefix to the form that names a network, not a host of it.
func (d document) checkSubnet(path string, p netip.Prefix) {
	switch {
	case p.Addr().Is4In6():
		d.Refuse(path, "%s is a subnet of IPv4 in the form of IPv6: write it like 172.16.32.0/24", p)
	case p != p.Masked():
		d.Refuse(path, "%s is an address in %[2]s: write %[2]s", p, p.Masked())
	}
}

// servingSubnets are the subnets of the nodes that may hold a VIP.
func (s Seed) servingSubnets() []netip.Prefix {
	seen := map[netip.Prefix]bool{}
	for _, n := range s.Nodes {
		if n.Runs(ServicePostgreSQL) {
			seen[n.Address.Masked()] = true
		}
	}
	return slices.Collect(maps.Keys(seen))
}

func (d document) checkVIP(path string, site Site, vip netip.Addr, owners map[netip.Addr]string, subnets []netip.Prefix) {
	switch {
	case unusable(vip) != "":
		d.Refuse(path, "%s is %s", vip, unusable(vip))
	case owners[vip] != "":
		d.Refuse(path, "%s is %s: write one that nobody has", vip, owners[vip])
	case !site.Subnet.IsValid():
	case !site.Subnet.Contains(vip):
		d.Refuse(path, "%s is outside %s, the subnet of the site: write an address of that subnet", vip, site.Subnet.Masked())
	case vip.BitLen()-site.Subnet.Bits() > 1 && (vip == broadcast(site.Subnet) || vip == site.Subnet.Masked().Addr()):
		d.Refuse(path, "%s is the subnet's own address, or its broadcast address: write one between them", vip)
	case !slices.ContainsFunc(subnets, func(p netip.Prefix) bool { return p.Contains(vip) }):
		d.Refuse(path, "%s is in the subnet of no node with postgresql, so that none can take it: add such a node, or remove the VIP", vip)
	}
}

// checkNodeSite: a node stands where its address is.
func (d document) checkNodeSite(path string, s Seed, n Node) {
	i := slices.IndexFunc(s.Sites, func(site Site) bool { return site.Name == n.Site })
	switch {
	case d.Given(path+".site") && i < 0 && len(s.Sites) == 0:
		d.Refuse(path+".site", "there are no sites: list them under sites, each with its subnet, or remove this key")
	case d.Given(path+".site") && i < 0:
		var names []string
		for _, site := range s.Sites {
			names = append(names, site.Name)
		}
		d.Refuse(path+".site", "there is no site %s%s", quote(n.Site), meant(n.Site, names, ": write the name of one of sites"))
	case i >= 0 && s.Sites[i].Subnet.IsValid() && n.Address.IsValid() && !s.Sites[i].Subnet.Contains(n.Address.Addr()):
		d.Refuse(path+".address", "%s is outside %s, the subnet of site %s: write an address of that subnet, or another site",
			n.Address.Addr(), s.Sites[i].Subnet, quote(n.Site))
	case i < 0 && len(s.Sites) > 0 && n.Runs(ServicePostgreSQL):
		d.Warn(path+".address", "%s is in the subnet of no site, so that no VIP comes to the node: list its site", n.Address)
	}
}

// aWeek is the longest that a record of DNS may be kept: what is not meant to change
// needs no dnscp.
const aWeek = 7 * 24 * 3600

func (d document) checkDNS(s Seed) {
	dns := s.DNS
	if !d.Given("dns.name") && !d.Malformed("dns.name") {
		for _, key := range []string{"zone", "read_name", "servers", "ttl", "auth", "key_name", "algorithm", "realm", "account", "nsupdate"} {
			d.Refuse("dns."+key, "without dns.name there is no record: set it, or remove %s", key)
		}
		return
	}
	for key, name := range map[string]string{"dns.name": dns.Name, "dns.read_name": dns.ReadName} {
		if !hostLabel.MatchString(name) || allDigits.MatchString(name) {
			d.Refuse(key, "%s is not one label of a name, such as pgsql-cl: the rest belongs in dns.zone", quote(name))
		}
		for _, n := range s.Nodes {
			if name != "" && (strings.EqualFold(n.Name, name) || strings.EqualFold(n.Name, name+"."+dns.Zone)) {
				d.Refuse(key, "%s is a node's name: the name of the leader has to be one of its own", quote(name))
			}
		}
	}
	d.Require("dns.zone", "the zone that the name is in, such as demo.ru")
	if !isDomain(dns.Zone) {
		d.Refuse("dns.zone", "%s is not a domain, such as example.org", quote(dns.Zone))
	}
	if strings.EqualFold(dns.ReadName, dns.Name) {
		d.Refuse("dns.read_name", "%s is dns.name too: the replicas need a name of their own", quote(dns.ReadName))
	}
	if !s.HasVIPs() {
		d.Refuse("dns.name", "a record points at VIPs, and there is none: add vips to a site, or remove dns")
	}
	d.checkHosts("dns.servers", dns.Servers)
	d.checkRange("dns.ttl", int64(dns.TTL), 1, aWeek, "s")
	if len(s.Sites) > 1 && dns.TTL > dnsTTLMoving {
		d.Warn("dns.ttl", "for up to %d s clients look for the leader at the site that it left: with several sites, %d is usual", dns.TTL, dnsTTLMoving)
	}
	if dns.ReadName != "" && dns.TTL > dnsTTLMoving {
		d.Warn("dns.ttl", "for up to %d s clients look for replicas that are gone: with read_name, %d is usual", dns.TTL, dnsTTLMoving)
	}
	d.checkDNSAuth(dns)
}

// accountName is a name of Active Directory's, of which a computer's ends with $:
// https://learn.microsoft.com/en-us/windows/win32/adschema/a-samaccountname
var accountName = regexp.MustCompile(`^[^][\s"/\\:;|=,+*?<>@]{1,20}$`)

// longestComputer is the most characters that the name of a computer has, without $:
// https://learn.microsoft.com/en-us/troubleshoot/windows-server/active-directory/naming-conventions-for-computer-domain-site-ou
const longestComputer = 15

// checkDNSAuth holds each key to the way of authorization that it is for.
func (d document) checkDNSAuth(dns DNS) {
	for key, auth := range map[string]DNSAuth{"key_name": DNSAuthTSIG, "algorithm": DNSAuthTSIG, "realm": DNSAuthGSSTSIG, "account": DNSAuthGSSTSIG, "nsupdate": DNSAuthGSSTSIG} {
		if dns.Auth != auth {
			d.Refuse("dns."+key, "this is for auth %s, and auth is %s: change that, or remove this key", auth, dns.Auth)
		}
	}
	switch dns.Auth {
	case DNSAuthTSIG:
		d.Require("dns.key_name", "the name of the TSIG key, such as pgsql-cl.")
	case DNSAuthGSSTSIG:
		for i, server := range dns.Servers {
			if _, err := netip.ParseAddr(server); err == nil {
				d.Warn(fmt.Sprintf("dns.servers[%d]", i), "Kerberos knows a server by its name alone, which is then looked for behind %s: write the name", server)
			}
		}
		if dns.Account == "" && len(dns.Name) > longestComputer {
			d.Warn("dns.name", "the account of a computer has %d characters at most, and this name is longer: create one, and write it as dns.account", longestComputer)
		}
	}
	if !isDomain(strings.TrimSuffix(dns.KeyName, ".")) {
		d.Refuse("dns.key_name", "%s is not the name of a TSIG key, such as pgsql-cl.", quote(dns.KeyName))
	}
	if !isDomain(dns.Realm) {
		d.Refuse("dns.realm", "%s is not the name of a Kerberos realm, such as DEMO.RU", quote(dns.Realm))
	}
	if !accountName.MatchString(dns.Account) {
		d.Refuse("dns.account", "%s is not the name of an account, such as PGSQL-CL$: leave out the domain", quote(dns.Account))
	}
}

// checkDNSCP looks at what is told to the guard of the VIPs.
func (d document) checkDNSCP(s Seed) {
	if !s.HasVIPs() {
		for _, key := range []string{"hold_down", "metrics_port"} {
			d.Refuse("dnscp."+key, "no site has a VIP, so that there is no guard: add vips to a site, or remove %s", key)
		}
		return
	}
	// What a node may at the most the guard itself knows, since ttl may be changed in the DCS.
	d.checkRange("dnscp.hold_down", int64(s.DNSCP.HoldDown), 2, int64(s.Patroni.TTL), "s")
}
