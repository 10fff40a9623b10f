package seeds

import (
	"fmt"
	"net/netip"
	"regexp"
)

// interfaceName is a name that the kernel takes (at most 15 bytes, IFNAMSIZ) and
// that is no pattern to systemd-networkd.
var interfaceName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,15}$`)

func (d document) checkNetwork(prefix string, n Network) {
	d.checkInterface(prefix+"interface", n.Interface, false)
	d.checkMTU(prefix+"mtu", n.MTU, false)
	d.checkRoutes(prefix+"routes", n.Routes)
	in := d.checkBonds(prefix, n)
	d.checkVLANs(prefix, n, in)
	d.checkExtraInterfaces(prefix, n, in)
	for i, a := range n.DNS {
		if wrong := unusable(a); wrong != "" {
			d.Refuse(fmt.Sprintf("%sdns[%d]", prefix, i), "%s is %s", a, wrong)
		}
	}
	for i, domain := range n.Domains {
		if !isDomain(domain) {
			d.Refuse(fmt.Sprintf("%sdomains[%d]", prefix, i), "%s is not a domain, such as example.org", quote(domain))
		}
	}
	checkTwice(d, prefix+"dns", n.DNS, netip.Addr.String)
	checkTwice(d, prefix+"domains", n.Domains, quote)
	if !n.Manage {
		for _, key := range []string{"dhcp", "interface", "mtu", "routes", "bonds", "vlans", "interfaces", "dns", "domains"} {
			if d.Given(prefix + key) {
				d.Warn(d.given(prefix+"manage", prefix+key), "the network is not Banyan's to set up, so that the other keys of this section count for nothing")
				break
			}
		}
	}
}

// checkInterface holds an item to one way of picking an interface.
func (d document) checkInterface(path string, i Interface, needed bool) {
	name, mac := path+".name", path+".mac"
	switch {
	case d.Given(name) && d.Given(mac):
		d.Refuse(mac, "an interface is picked by its name or by its MAC address: remove one of them")
	case needed && i == Interface{} && !d.Malformed(name) && !d.Malformed(mac):
		d.Refuse(path, "which interface? set name or mac")
	case !interfaceName.MatchString(i.Name):
		d.Refuse(name, "%s is not the name of an interface, such as eno1: see ip link", quote(i.Name))
	}
}

// checkMTU: https://www.rfc-editor.org/rfc/rfc791 and rfc8200, 5.
func (d document) checkMTU(path string, mtu int, isIPv6 bool) {
	least := int64(576)
	if isIPv6 {
		least = 1280
	}
	d.checkRange(path, int64(mtu), least, 65535, "bytes")
}

func (d document) checkRoutes(path string, routes []Route) {
	if !d.HasKey(path) {
		return
	}
	seen := map[netip.Prefix]bool{}
	for i, route := range routes {
		at := fmt.Sprintf("%s[%d]", path, i)
		to, via := route.To, route.Via
		d.checkSubnet(at+".to", to)
		switch {
		case !to.IsValid():
		case to.Bits() == 0:
			d.Refuse(at+".to", "this is the way to everywhere: write it as the gateway of the node")
		case seen[to.Masked()]:
			d.Refuse(at+".to", "there is another route to %s: remove one of them", to)
		}
		seen[to.Masked()] = true
		switch wrong := unusable(via); {
		case wrong != "" && !isRouter(via):
			d.Refuse(at+".via", "%s is %s", via, wrong)
		case to.IsValid() && via.IsValid() && to.Addr().Is4() != via.Is4():
			d.Refuse(at+".via", "%s and %s are not of one family: write a router of IPv4 for IPv4, of IPv6 for IPv6", via, to)
		}
	}
}
