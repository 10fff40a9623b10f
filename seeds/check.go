package seeds

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"banyan/internal/strict"
)

// document is a seed as it was written.
type document struct{ *strict.Document }

// check notes what breaks the rules that types alone cannot say.
func (d document) check(s Seed) {
	d.checkCluster(s.Cluster)
	d.checkNodes(s.Nodes)
	d.checkSections("", s.PostgreSQL, s.Patroni, s.System, s.Network)
	for i, n := range s.Nodes {
		d.checkSections(fmt.Sprintf("nodes[%d].", i), n.PostgreSQL, n.Patroni, n.System, n.Network)
	}
	d.checkSecrets(s.Secrets)
}

// checkSections checks the sections of the document, or those of a node, whose
// paths begin with prefix. What a node inherits is not given there, so that it is
// refused but once.
func (d document) checkSections(prefix string, p PostgreSQL, patroni Patroni, s System, n Network) {
	d.checkPostgreSQL(prefix+"postgresql.", p)
	d.checkPatroni(prefix+"patroni.", patroni)
	d.checkSystem(prefix+"system.", s)
	d.checkNetwork(prefix+"network.", n)
}

// checkComplete notes which secrets a node would miss.
func (d document) checkComplete(s Seed) {
	if s.Members(ServicePostgreSQL) != nil {
		if !d.HasKey("secrets") {
			d.Require("secrets", "keys with values, which `build seed mint` makes")
			return
		}
		for _, key := range []string{"superuser_password", "replication_password", "rewind_password"} {
			d.Require("secrets."+key, "text")
		}
	}
	if s.Cluster.DCS == DCSRaft {
		d.Require("secrets.raft_password", "text")
	}
	switch s.DNS.Auth {
	case DNSAuthGSSTSIG:
		d.Require("secrets.dns_password", "text")
	case DNSAuthTSIG:
		d.Require("secrets.tsig_secret", "text")
	}
}

// label is a label of a host name: RFC 952 and RFC 1123, 2.1 for the characters,
// RFC 1035, 2.3.4 for the length.
const label = `[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?`

var (
	clusterName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	hostName    = regexp.MustCompile(`^` + label + `(\.` + label + `)*$`)
	allDigits   = regexp.MustCompile(`^([0-9]+\.)*[0-9]+$`)
)

// checkCluster holds the name to what all its bearers take: a DNS label, a node of a
// path in etcd, and cluster_name of PostgreSQL (printable ASCII, at most 63
// bytes). Patroni's scope minds case and DNS does not, so there is only one case.
func (d document) checkCluster(c Cluster) {
	if !clusterName.MatchString(c.Name) {
		d.Refuse("cluster.name", "%s cannot name a cluster: use 1 to 63 lower-case letters, digits and hyphens, with no hyphen first or last", quote(c.Name))
	}
}

func (d document) checkNodes(nodes []Node) {
	if len(nodes) == 0 {
		d.Refuse("nodes", "the list is empty: a cluster needs a node")
	}
	for i, n := range nodes {
		path := fmt.Sprintf("nodes[%d]", i)
		d.checkNodeName(path+".name", n.Name)
		d.checkAddress(path+".address", n.Address)
		d.checkGateway(path, n)
		d.checkServices(path+".services", n.Services)
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

func (d document) checkGateway(path string, n Node) {
	gateway := path + ".gateway"
	wrong := unusable(n.Gateway)
	switch {
	case n.Network.DHCP:
		d.Refuse(gateway, "the gateway comes with the lease, since network.dhcp is on: remove it")
	case wrong != "":
		d.Refuse(gateway, "%s is %s", n.Gateway, wrong)
	case !d.Given(path + ".address"):
	case n.Gateway == n.Address.Addr():
		d.Refuse(gateway, "%s is the node's own address: write the router's", n.Gateway)
	case !n.Address.Contains(n.Gateway):
		d.Refuse(gateway, "%s is outside %s, the subnet of the node: write a router of that subnet", n.Gateway, n.Address.Masked())
	}
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

func (d document) checkServices(path string, services []Service) {
	for i, service := range services {
		if slices.Index(services, service) < i {
			d.Refuse(fmt.Sprintf("%s[%d]", path, i), "%s is listed twice", service)
		}
	}
}

// interfaceName is a name that the kernel takes (at most 15 bytes, IFNAMSIZ) and
// that is no pattern to systemd-networkd.
var interfaceName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,15}$`)

func (d document) checkNetwork(prefix string, n Network) {
	name, mac := prefix+"interface.name", prefix+"interface.mac"
	switch {
	case d.Given(name) && d.Given(mac):
		d.Refuse(mac, "an interface is picked by its name or by its MAC address: remove one of them")
	case !interfaceName.MatchString(n.Interface.Name):
		d.Refuse(name, "%s is not the name of an interface, such as eno1: see ip link", quote(n.Interface.Name))
	}
	for i, a := range n.DNS {
		if wrong := unusable(a); wrong != "" {
			d.Refuse(fmt.Sprintf("%sdns[%d]", prefix, i), "%s is %s", a, wrong)
		}
	}
	for i, domain := range n.Domains {
		if !hostName.MatchString(domain) || len(domain) > 253 {
			d.Refuse(fmt.Sprintf("%sdomains[%d]", prefix, i), "%s is not a domain, such as example.org", quote(domain))
		}
	}
}
