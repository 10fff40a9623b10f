package vip

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Interfaces are those of this host, in the order of their indices.
func Interfaces() ([]Interface, error) {
	links, err := dump(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	addrs, err := dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list the addresses: %w", err)
	}
	all := make([]Interface, len(links))
	for n, link := range links {
		at := link.Attrs()
		all[n] = Interface{
			Index:    at.Index,
			Name:     at.Name,
			MAC:      at.HardwareAddr,
			Up:       at.Flags&net.FlagUp != 0,
			Loopback: at.Flags&net.FlagLoopback != 0,
		}
		for _, a := range addrs {
			if a.LinkIndex == at.Index {
				all[n].Addresses = append(all[n].Addresses, prefix(a))
			}
		}
	}
	slices.SortFunc(all, func(a, b Interface) int { return cmp.Compare(a.Index, b.Index) })
	return all, nil
}

// dump asks the kernel for a list again where it changed while the kernel wrote it down, in
// which case something may be missing in it.
func dump[T any](list func() ([]T, error)) (all []T, err error) {
	for range 10 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

// prefix is an address as the kernel tells it, with the length of its prefix.
func prefix(a netlink.Addr) netip.Prefix {
	addr, _ := netip.AddrFromSlice(a.IP)
	bits, _ := a.Mask.Size()
	return netip.PrefixFrom(addr, bits)
}

// address is one on an interface of this host.
type address struct {
	netlink.Addr
	on string // the interface's name
}

// find finds where an address is now, but for loopback interfaces.
func find(vip netip.Addr) ([]address, error) {
	family := netlink.FAMILY_V4
	if vip.Is6() {
		family = netlink.FAMILY_V6
	}
	addrs, err := dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, family) })
	if err != nil {
		return nil, fmt.Errorf("list the addresses: %w", err)
	}
	var there []address
	for _, a := range addrs {
		if prefix(a).Addr() != vip {
			continue
		}
		link, err := netlink.LinkByIndex(a.LinkIndex)
		switch {
		case errors.As(err, new(netlink.LinkNotFoundError)): // gone meanwhile, and the address with it
		case err != nil:
			return nil, fmt.Errorf("find the interface that %s is on: %w", vip, err)
		case link.Attrs().Flags&net.FlagLoopback == 0:
			there = append(there, address{a, link.Attrs().Name})
		}
	}
	return there, nil
}

// Permanent tells whether an address is on this host for ever, on any interface.
func Permanent(vip netip.Addr) (bool, error) {
	there, err := find(vip)
	return slices.ContainsFunc(there, func(a address) bool { return a.Flags&unix.IFA_F_PERMANENT != 0 }), err
}
