//go:build lab

package vip

import (
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// families are an address of each, with the other host's.
var families = []struct{ vip, bits, neighbor, source string }{
	{"10.0.0.180", "/24", "10.0.0.22", "10.0.0.11"},
	{"2001:db8::180", "/64", "2001:db8::22", "2001:db8::11"},
}

func TestALeaseRunsOutByItself(t *testing.T) {
	enter(t)
	cable(t)
	for _, f := range families {
		events := watch(t)
		must(t, Lease(located(t, f.vip), 1500*time.Millisecond))
		if a := entry(t, f.vip); a.ValidLft != 1 || a.Flags&unix.IFA_F_PERMANENT != 0 {
			t.Errorf("%s has flags %#x, valid for %d s", f.vip, a.Flags, a.ValidLft)
		}
		e, before := next(t, events, Removed)
		if e.Address.String() != f.vip+f.bits || e.Interface != "eth0" || len(before) > 0 {
			t.Errorf("%+v is removed, after %+v", e, before)
		}
		isHeld(t, f.vip)
	}
}

func TestRenewalKeepsALeaseWithoutAGap(t *testing.T) {
	enter(t)
	cable(t)
	events := watch(t)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range 25 { // 5 s, of a lease of 3
		for _, f := range families {
			must(t, Lease(located(t, f.vip), 3*time.Second))
		}
		<-tick.C
	}
	select {
	case e := <-events:
		t.Errorf("meanwhile: %+v", e)
	default:
	}
	for _, f := range families {
		isHeld(t, f.vip, f.vip+f.bits+" on eth0")
	}
	for range families {
		next(t, events, Removed)
	}
}

// What dnscp.sh has added is permanent.
func TestAPermanentAddressBecomesALeaseAndBack(t *testing.T) {
	enter(t)
	cable(t)
	events := watch(t)
	for _, f := range families {
		ip(t, "address add "+f.vip+f.bits+" dev eth0")
		p := located(t, f.vip)
		permanent := func(want bool) {
			t.Helper()
			a := entry(t, f.vip)
			if a.Flags&unix.IFA_F_PERMANENT != 0 != want || (a.ValidLft == math.MaxUint32) != want {
				t.Errorf("%s has flags %#x, valid for %d s", f.vip, a.Flags, a.ValidLft)
			}
		}
		permanent(true)
		must(t, Lease(p, time.Hour))
		permanent(false)
		must(t, Lease(p, 0))
		permanent(true)
		must(t, Lease(p, time.Second))
		e, before := next(t, events, Removed) // and not before
		if e.Address.String() != f.vip+f.bits || len(before) > 0 {
			t.Errorf("%+v is removed, after %+v", e, before)
		}
	}
}

// The host's own connections come from its own address.
func TestALeaseIsNoSource(t *testing.T) {
	enter(t)
	cable(t)
	for _, f := range families {
		p := located(t, f.vip)
		for _, lifetime := range []time.Duration{time.Hour, 0} {
			must(t, Lease(p, lifetime))
			routes, err := netlink.RouteGet(netip.MustParseAddr(f.neighbor).AsSlice())
			if err != nil || routes[0].Src.String() != f.source {
				t.Errorf("with %s, %v: to %s by %+v, %v", f.vip, lifetime, f.neighbor, routes, err)
			}
		}
		a := entry(t, f.vip)
		want := unix.IFA_F_SECONDARY | unix.IFA_F_PERMANENT
		if p.Address.Addr().Is6() {
			want = unix.IFA_F_DEPRECATED | unix.IFA_F_PERMANENT | unix.IFA_F_NODAD | unix.IFA_F_NOPREFIXROUTE
		}
		if a.Flags != want {
			t.Errorf("%s has flags %#x, want %#x", f.vip, a.Flags, want)
		}
	}
}

// A lease may be nobody's, where its interface went and came back.
func TestALeaseOfNoInterface(t *testing.T) {
	enter(t)
	p := Place{Interface: "eth7", Index: 7777, Address: netip.MustParsePrefix("10.0.0.180/24")}
	if err := Lease(p, time.Second); err == nil || !strings.Contains(err.Error(), "lease 10.0.0.180/24 on eth7: no such device") {
		t.Errorf("got %v", err)
	}
}

func TestAnInterfaceWithoutIPv6(t *testing.T) {
	enter(t)
	cable(t)
	p := located(t, "2001:db8::180")
	must(t, os.WriteFile("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", []byte("1"), 0o644))
	err := Lease(p, time.Second)
	if err == nil || !strings.Contains(err.Error(), "lease 2001:db8::180/64 on eth0") || !strings.Contains(err.Error(), "disable_ipv6") {
		t.Errorf("got %v", err)
	}
}

// Wherever the address was, it is in one place afterwards, whoever keeps it.
func TestALeaseIsInOnePlace(t *testing.T) {
	enter(t)
	cable(t)
	ip(t, "link add br0 type bridge", "link set br0 up")
	fakeSudo(t, `[ "$1" = -n ] && shift && exec "$@"`)
	for name, keep := range map[string]struct {
		lease   func(Place, time.Duration) error
		release func(netip.Addr) ([]string, error)
	}{
		"by netlink": {Lease, Release},
		"by sudo":    {Sudo{}.Lease, Sudo{}.Release},
	} {
		for _, f := range families {
			p := located(t, f.vip)
			alone := netip.PrefixFrom(p.Address.Addr(), p.Address.Addr().BitLen()).String()
			ip(t, "address add "+alone+" dev lo")
			ip(t, "address add "+alone+" dev eth0")
			ip(t, "address add "+f.vip+f.bits+" dev br0")
			must(t, keep.lease(p, time.Hour))
			isHeld(t, f.vip, p.String())
			if a := entry(t, f.vip); a.ValidLft > 3600 || a.ValidLft < 3000 {
				t.Errorf("%s %s is valid for %d s", f.vip, name, a.ValidLft)
			}

			ip(t, "address add "+f.vip+f.bits+" dev br0")
			gone, err := keep.release(p.Address.Addr())
			slices.Sort(gone)
			if err != nil || !slices.Equal(gone, []string{"br0", "eth0"}) {
				t.Errorf("%s %s released from %q, %v", f.vip, name, gone, err)
			}
			isHeld(t, f.vip)
			if gone, err := keep.release(p.Address.Addr()); err != nil || len(gone) > 0 {
				t.Errorf("%s %s released again from %q, %v", f.vip, name, gone, err)
			}
			ip(t, "address del "+alone+" dev lo") // it is still there: nobody releases that
			isHeld(t, f.source, f.source+f.bits+" on eth0")
		}
	}
}

// The guard is not root.
func TestTwoCapabilitiesAreEnough(t *testing.T) {
	enter(t)
	cable(t)
	keepOnly(t, 1<<unix.CAP_NET_ADMIN|1<<unix.CAP_NET_RAW)
	if admin, raw := Privileged(); !admin || !raw {
		t.Errorf("they are seen as %t, %t", admin, raw)
	}
	events := watch(t)
	for _, f := range families {
		p := located(t, f.vip)
		must(t, Lease(p, time.Hour))
		must(t, Announce(p))
		_, err := Probe(t.Context(), p, time.Millisecond)
		must(t, err)
		_, err = Release(p.Address.Addr())
		must(t, err)
		next(t, events, Removed)
	}
}
