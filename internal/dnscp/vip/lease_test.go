package vip

import (
	"math"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLifetimes(t *testing.T) {
	for lifetime, want := range map[time.Duration]int{
		0:                          math.MaxUint32,
		time.Millisecond:           1,
		time.Second:                1,
		2999 * time.Millisecond:    2,
		200 * 365 * 24 * time.Hour: math.MaxUint32 - 1,
	} {
		four := leased(Place{Address: netip.PrefixFrom(vip4, 24)}, lifetime)
		if four.ValidLft != want || four.PreferedLft != want {
			t.Errorf("%v: IPv4 is valid for %d s, preferred for %d s, want %d s", lifetime, four.ValidLft, four.PreferedLft, want)
		}
		six := leased(Place{Address: netip.PrefixFrom(vip6, 64)}, lifetime)
		if six.ValidLft != want || six.PreferedLft != 0 {
			t.Errorf("%v: IPv6 is valid for %d s, preferred for %d s, want %d s and none", lifetime, six.ValidLft, six.PreferedLft, want)
		}
	}
}

// keepOnly takes all capabilities but some from the thread of the test, which ends with it.
func keepOnly(t *testing.T, capabilities uint32) {
	t.Helper()
	runtime.LockOSThread() // for good
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: capabilities, Permitted: capabilities}}
	if err := unix.Capset(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
}

// Without privileges nothing happens, and the errors say what to give.
func TestWithoutPrivileges(t *testing.T) {
	keepOnly(t, 0)
	if admin, raw := Privileged(); admin || raw {
		t.Fatalf("they are still there: %t, %t", admin, raw)
	}
	p := Place{Interface: "lo", Index: 1, MAC: here, Address: netip.MustParsePrefix("192.0.2.180/24")}
	for lacking, err := range map[string]error{
		"lease 192.0.2.180/24 on lo: operation not permitted: this needs CAP_NET_ADMIN": Lease(p, time.Second),
		"announce 192.0.2.180/24 on lo: ":                                               Announce(p),
		"this needs CAP_NET_RAW":                                                        Announce(p),
	} {
		if err == nil || !strings.Contains(err.Error(), lacking) {
			t.Errorf("got %v, want %q", err, lacking)
		}
	}
	if _, err := Probe(t.Context(), p, time.Second); err == nil || !strings.Contains(err.Error(), "CAP_NET_RAW") {
		t.Errorf("got %v", err)
	}
	if gone, err := Release(p.Address.Addr()); len(gone) != 0 || err != nil {
		t.Errorf("to release what is not here gives %q, %v", gone, err)
	}
}

func TestWithoutEthernet(t *testing.T) {
	err := Announce(Place{Interface: "tun0", Index: 7, Address: netip.PrefixFrom(vip4, 24)})
	if err == nil || !strings.Contains(err.Error(), "announce 172.16.32.180/24 on tun0: tun0 is no Ethernet") {
		t.Errorf("got %v", err)
	}
}

func TestInterfaces(t *testing.T) {
	all, err := Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	lo := slices.IndexFunc(all, func(i Interface) bool { return i.Name == "lo" })
	if lo < 0 || !all[lo].Loopback || all[lo].Index != 1 {
		t.Errorf("got %+v", all)
	}
}
