package dnscp

import (
	"fmt"
	"net/netip"
	"time"

	"banyan/internal/dnscp/vip"
)

// hands are what addresses are moved with.
type hands struct {
	lease    func(vip.Place, time.Duration) error
	sever    func(netip.Addr) (int, error)
	release  func(netip.Addr) ([]string, error)
	announce func(vip.Place) error
}

// ownHands are those of this process, and sudo's for what it may not do itself, as the users
// of dnscp.sh have allowed it.
func ownHands() hands {
	admin, raw := vip.Privileged()
	h := hands{vip.Lease, vip.Sever, vip.Release, vip.Announce}
	const lacks = "this process lacks %s, and sudo does not help: %w"
	if !admin {
		h.lease = func(p vip.Place, lifetime time.Duration) error {
			return wrap(lacks, "CAP_NET_ADMIN", vip.Sudo{}.Lease(p, lifetime))
		}
		h.sever = func(netip.Addr) (int, error) { return 0, nil } // the script does not
		h.release = func(addr netip.Addr) ([]string, error) {
			gone, err := vip.Sudo{}.Release(addr)
			return gone, wrap(lacks, "CAP_NET_ADMIN", err)
		}
	}
	if !raw {
		h.announce = func(p vip.Place) error { return wrap(lacks, "CAP_NET_RAW", vip.Sudo{}.Announce(p)) }
	}
	return h
}

func wrap(format, capability string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format, capability, err)
}
