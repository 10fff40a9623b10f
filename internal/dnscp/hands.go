package dnscp

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"banyan/internal/dnscp/vip"
)

// hands are what addresses are moved with.
type hands struct {
	probe    func(context.Context, vip.Place, time.Duration) (net.HardwareAddr, error)
	lease    func(vip.Place, time.Duration) error
	sever    func(netip.Addr) (int, error)
	release  func(netip.Addr) ([]string, error)
	announce func(vip.Place) error
}

// ownHands are those of this process, and sudo's for what it may not do itself, as the users
// of dnscp.sh have allowed it. What the script does not do is left out then.
func ownHands() hands {
	admin, raw := vip.Privileged()
	h := hands{vip.Probe, vip.Lease, vip.Sever, vip.Release, vip.Announce}
	if !admin {
		h.lease = func(p vip.Place, lifetime time.Duration) error {
			return lacking("CAP_NET_ADMIN", vip.Sudo{}.Lease(p, lifetime))
		}
		h.sever = func(netip.Addr) (int, error) { return 0, nil }
		h.release = func(addr netip.Addr) ([]string, error) {
			gone, err := vip.Sudo{}.Release(addr)
			return gone, lacking("CAP_NET_ADMIN", err)
		}
	}
	if !raw {
		h.probe = func(context.Context, vip.Place, time.Duration) (net.HardwareAddr, error) { return nil, nil }
		h.announce = func(p vip.Place) error { return lacking("CAP_NET_RAW", vip.Sudo{}.Announce(p)) }
	}
	return h
}

// lacking says of an error of sudo which capability made it needed.
func lacking(capability string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("this process lacks %s, and sudo does not help: %w", capability, err)
}

// sever tells the clients of a VIP that is still here that it goes. That they are not told
// keeps no VIP here.
func sever(addr netip.Addr, sever func(netip.Addr) (int, error), log *slog.Logger) {
	var ended int
	for range 5 { // some come back at once
		n, err := sever(addr)
		ended += n
		if err != nil {
			log.Warn("clients are not told that the VIP is gone", "vip", addr, "error", err)
		}
		if err != nil || n == 0 {
			break
		}
	}
	if ended > 0 {
		log.Info("ended the connections to the VIP", "vip", addr, "connections", ended)
	}
}
