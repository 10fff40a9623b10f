package vip

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"banyan/internal/command"
)

// Sudo is [Lease], [Release] and [Announce] for who lacks the capabilities, but whose
// sudoers(5) allows ip(8) and arping(8) without a password, as that of dnscp.sh's users does:
//
//	postgres ALL=(ALL) NOPASSWD: /sbin/ip address *, /sbin/arping
type Sudo struct{}

// patience is for how long a program may take; arping takes a second, ip next to none.
const patience = 10 * time.Second

// Lease is [Lease] by ip-address(8).
func (s Sudo) Lease(p Place, lifetime time.Duration) error { return lease(s, p, lifetime) }

// Release is [Release] by ip-address(8).
func (s Sudo) Release(vip netip.Addr) (gone []string, err error) { return release(s, vip) }

// Announce is [Announce] by arping(8), and so of IPv4 addresses only.
func (Sudo) Announce(p Place) error {
	addr := p.Address.Addr()
	if !addr.Is4() {
		return fmt.Errorf("announce %s: arping knows IPv4 only, and this process itself needs CAP_NET_RAW", p)
	}
	for _, kind := range []string{"-U", "-A"} { // a request, a reply
		if err := sudo("arping", kind, "-c", "1", "-I", p.Interface, "-s", addr.String(), addr.String()); err != nil {
			return fmt.Errorf("announce %s: %w", p, err)
		}
	}
	return nil
}

func (Sudo) put(p Place, lifetime time.Duration) error { return sudo(putting(p, lifetime)...) }

// putting is the command that does what [leased] asks of the kernel.
func putting(p Place, lifetime time.Duration) []string {
	words := []string{"ip", "address", "replace", p.Address.String(), "dev", p.Interface}
	valid := "forever"
	if lifetime != 0 {
		valid = strconv.Itoa(whole(lifetime))
	}
	if p.Address.Addr().Is4() {
		return append(words, "valid_lft", valid, "preferred_lft", valid)
	}
	return append(words, "nodad", "noprefixroute", "valid_lft", valid, "preferred_lft", "0")
}

func (Sudo) remove(a address) error {
	return sudo("ip", "address", "del", prefix(a.Addr).String(), "dev", a.on)
}

// sudo runs a program as root, without asking for a password.
func sudo(words ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := command.Run(ctx, "sudo", append([]string{"-n"}, words...)...)
	return err
}
