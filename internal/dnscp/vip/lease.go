package vip

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Lease adds an address where it belongs, or renews it there: the kernel removes it when it
// has not been renewed for the lifetime, whatever has become of this process. The lifetime is
// in whole seconds, at least one, and a fraction is cut off; 0 is for ever. Wherever else the
// address is on this host, or with another prefix, it is gone afterwards.
//
// It never becomes the source of the host's own connections: an IPv4 address is secondary to
// that of its subnet, and an IPv6 one is deprecated from the start (RFC 6724, section 5, rule
// 3). The latter is usable at once (no duplicate address detection by the kernel, see [Probe])
// and brings no route.
func Lease(p Place, lifetime time.Duration) error { return lease(rtnetlink{}, p, lifetime) }

// Release removes an address from every interface but loopback ones, and says from which. One
// that is nowhere is no error.
func Release(vip netip.Addr) (gone []string, err error) { return release(rtnetlink{}, vip) }

// hand does single things to addresses.
type hand interface {
	// put adds an address, or gives one that is there already another lifetime.
	put(p Place, lifetime time.Duration) error
	// remove takes one away.
	remove(a address) error
}

func lease(h hand, p Place, lifetime time.Duration) error {
	there, err := find(p.Address.Addr())
	if err != nil {
		return err
	}
	var wrong []address
	for _, a := range there {
		switch {
		case a.LinkIndex == p.Index && prefix(a.Addr) == p.Address:
		case a.LinkIndex == p.Index && p.Address.Addr().Is6():
			// IPv6 has an address once on an interface, and renewing keeps its prefix: this one has to go first.
			if err := drop(h, a); err != nil {
				return err
			}
		default:
			wrong = append(wrong, a)
		}
	}
	if err := h.put(p, lifetime); err != nil {
		return fmt.Errorf("lease %s: %w", p, err)
	}
	var errs []error
	for _, a := range wrong {
		errs = append(errs, drop(h, a))
	}
	return errors.Join(errs...)
}

func release(h hand, vip netip.Addr) (gone []string, err error) {
	there, err := find(vip)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, a := range there {
		if err := drop(h, a); err != nil {
			errs = append(errs, err)
			continue
		}
		gone = append(gone, a.on)
	}
	return gone, errors.Join(errs...)
}

func drop(h hand, a address) error {
	if err := h.remove(a); err != nil {
		return fmt.Errorf("remove %s from %s: %w", prefix(a.Addr), a.on, err)
	}
	return nil
}

// rtnetlink is the hand of this process.
type rtnetlink struct{}

func (rtnetlink) put(p Place, lifetime time.Duration) error {
	a := leased(p, lifetime)
	return explain(netlink.AddrReplace(nil, &a))
}

func (rtnetlink) remove(a address) error {
	err := netlink.AddrDel(nil, &a.Addr)
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV) {
		return nil // somebody else was first, or it has run out
	}
	return explain(err)
}

// explain says what rtnetlink(7) means by some of its errors.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: this needs CAP_NET_ADMIN", err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: is IPv6 off there, by the sysctl disable_ipv6?", err)
	}
	return err
}

// forever is the lifetime of a permanent address, INFINITY_LIFE_TIME of linux/if_addr.h.
const forever = math.MaxUint32

// leased is the address as the kernel gets it.
func leased(p Place, lifetime time.Duration) netlink.Addr {
	seconds := forever
	if lifetime != 0 {
		seconds = whole(lifetime)
	}
	addr := p.Address.Addr()
	a := netlink.Addr{
		IPNet:     &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(p.Address.Bits(), addr.BitLen())},
		LinkIndex: p.Index,
		ValidLft:  seconds,
	}
	if addr.Is4() {
		a.PreferedLft = seconds
	} else {
		a.Flags = unix.IFA_F_NODAD | unix.IFA_F_NOPREFIXROUTE
	}
	return a
}

// whole is a lifetime in the kernel's seconds, of which 0 is none and the highest is for ever.
func whole(lifetime time.Duration) int { return int(min(max(lifetime/time.Second, 1), forever-1)) }
