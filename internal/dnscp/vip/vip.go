// Package vip keeps virtual addresses on the interfaces of this host: it finds where one
// belongs, leases it from the kernel, asks the subnet who else has it, and tells the subnet
// where it is now. It needs no root, but CAP_NET_ADMIN to lease and release, and CAP_NET_RAW
// to probe and announce; see capabilities(7). [Sudo] is for who has neither.
//
// Addresses are the kernel's, by rtnetlink(7). What is said on the wire is ARP (RFC 826, as
// RFC 5227 uses it against conflicts) and Neighbor Discovery (RFC 4861, RFC 4862), in whole
// frames by packet(7), so that an address may be asked for and announced that is not, or not
// yet, on the interface.
package vip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Interface is a network interface, as far as it takes that to place an address.
type Interface struct {
	Index     int
	Name      string
	MAC       net.HardwareAddr // empty where it has none
	Up        bool             // as set by the host's administrator; the cable may be out
	Loopback  bool
	Addresses []netip.Prefix // each with the length of its subnet's prefix
}

// Place is where a virtual address belongs, or where it is.
type Place struct {
	Interface string
	Index     int
	MAC       net.HardwareAddr
	Address   netip.Prefix // the virtual address, with the length of its subnet's prefix
}

// String is such as "172.16.32.180/24 on eth0".
func (p Place) String() string { return fmt.Sprintf("%s on %s", p.Address, p.Interface) }

// Same tells whether both are the same address, with the same prefix, on the same interface.
func (p Place) Same(q Place) bool { return p.Index == q.Index && p.Address == q.Address }

// place puts an address on an interface.
func (i Interface) place(addr netip.Addr, bits int) Place {
	return Place{Interface: i.Name, Index: i.Index, MAC: i.MAC, Address: netip.PrefixFrom(addr, bits)}
}

// ErrElsewhere is that a virtual address is in no subnet of this host, as that of another site is.
var ErrElsewhere = errors.New("no interface that is up has an address in its subnet")

// locate finds where a virtual address belongs among the interfaces of a host: on the one
// that is up and has an address in the same subnet. Of several, the longest prefix wins, then
// the lowest index. The virtual addresses, given whole, make no subnet, and neither do the
// loopback interface, a prefix of one address, and IPv6's link-local addresses. The error is
// [ErrElsewhere] where there is none.
//
// An interface that is named is the place for the address, whether in its subnets or not: it is
// then a subnet by itself.
func locate(all []Interface, vips []netip.Addr, vip netip.Addr, name string) (Place, error) {
	if name != "" {
		i := slices.IndexFunc(all, func(i Interface) bool { return i.Name == name })
		switch {
		case i < 0:
			return Place{}, fmt.Errorf("%s: there is no interface %s", vip, name)
		case all[i].Loopback:
			return Place{}, fmt.Errorf("%s: %s is a loopback interface, which nobody else reaches", vip, name)
		case !all[i].Up:
			return Place{}, fmt.Errorf("%s: the interface %s is down", vip, name)
		}
		if bits := all[i].subnet(vips, vip); bits >= 0 {
			return all[i].place(vip, bits), nil
		}
		return all[i].place(vip, vip.BitLen()), nil
	}
	var best Place
	for _, i := range all {
		bits := i.subnet(vips, vip)
		if bits < 0 || !i.Up || i.Loopback {
			continue
		}
		if best.Interface == "" || bits > best.Address.Bits() || bits == best.Address.Bits() && i.Index < best.Index {
			best = i.place(vip, bits)
		}
	}
	if best.Interface == "" {
		return Place{}, fmt.Errorf("%s: %w", vip, ErrElsewhere)
	}
	return best, nil
}

// Own finds the places of those virtual addresses that are this host's: the others are of other
// sites. Of an interface that is named they are those of its subnets, or where it has none of
// them, all. The error tells of those that locate has no place for, beside which the rest are
// returned, or that none is this host's.
func Own(all []Interface, vips []netip.Addr, name string) (map[netip.Addr]Place, error) {
	own, outside := map[netip.Addr]Place{}, map[netip.Addr]Place{}
	var errs []error
	for _, addr := range vips {
		p, err := locate(all, vips, addr, name)
		switch {
		case errors.Is(err, ErrElsewhere):
		case err != nil:
			errs = append(errs, err)
		case p.Address.IsSingleIP():
			outside[addr] = p
		default:
			own[addr] = p
		}
	}
	if len(own) == 0 {
		own = outside
	}
	if len(own) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("none of the VIPs %v is in a subnet of this host", vips))
	}
	return own, errors.Join(errs...)
}

// subnet is the length of the longest prefix that is that of a virtual address too; -1 if there is none.
func (i Interface) subnet(vips []netip.Addr, vip netip.Addr) int {
	longest := -1
	for _, a := range i.Addresses {
		linkLocal := a.Addr().Is6() && a.Addr().IsLinkLocalUnicast()
		if a.Contains(vip) && !a.IsSingleIP() && !linkLocal && !slices.Contains(vips, a.Addr()) {
			longest = max(longest, a.Bits())
		}
	}
	return longest
}

// Held is where exactly this address is, but for loopback interfaces.
func Held(all []Interface, vip netip.Addr) []Place {
	var held []Place
	for _, i := range all {
		for _, a := range i.Addresses {
			if a.Addr() == vip && !i.Loopback {
				held = append(held, i.place(vip, a.Bits()))
			}
		}
	}
	return held
}
