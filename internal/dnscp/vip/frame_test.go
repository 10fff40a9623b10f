package vip

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/mdlayher/ndp"
	"golang.org/x/net/bpf"

	"banyan/internal/golden"
)

var (
	vip4 = netip.MustParseAddr("172.16.32.180")
	vip6 = netip.MustParseAddr("2001:db8::180")
	here = mac("02:00:00:00:00:11")
)

// said are the frames of this package, by what they are.
func said(t *testing.T) (names []string, frames [][]byte) {
	for _, vip := range []netip.Addr{vip4, vip6} {
		q, err := question(here, vip)
		if err != nil {
			t.Fatal(err)
		}
		a, err := announcements(here, vip)
		if err != nil {
			t.Fatal(err)
		}
		for n, f := range append([][]byte{q}, a...) {
			names = append(names, vip.String()+" "+[]string{"probe", "announcement", "reply"}[n])
			frames = append(frames, f)
		}
	}
	return names, frames
}

func TestFrames(t *testing.T) {
	names, frames := said(t)
	var b strings.Builder
	for n, f := range frames {
		b.WriteString(names[n] + "\n" + hex.Dump(f))
	}
	golden.Check(t, "testdata/frames", b.String())
}

// Every frame of ours claims the address, and no other, to whoever hears it.
func TestEachOfOurFramesIsAClaim(t *testing.T) {
	names, frames := said(t)
	for n, f := range frames {
		for _, vip := range []netip.Addr{vip4, vip6} {
			want := strings.HasPrefix(names[n], vip.String()+" ")
			if by := claimant(f, vip); (by.String() == here.String()) != want {
				t.Errorf("%s claims %s: %q", names[n], vip, by)
			}
		}
		for _, vip := range []netip.Addr{netip.MustParseAddr("172.16.32.18"), netip.MustParseAddr("2001:db8::18")} {
			if by := claimant(f, vip); by != nil {
				t.Errorf("%s claims %s", names[n], vip)
			}
		}
	}
}

func TestClaimant(t *testing.T) {
	other := netip.MustParseAddr("172.16.32.1")
	other6 := netip.MustParseAddr("2001:db8::1")
	there, router := mac("02:00:00:00:00:22"), mac("02:00:00:00:00:33")
	discovery := func(from, group netip.Addr, m ndp.Message) []byte {
		f, err := neighbor(there, from, group, m)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	group, err := ndp.SolicitedNodeMulticast(vip6)
	if err != nil {
		t.Fatal(err)
	}
	advertisement := &ndp.NeighborAdvertisement{Solicited: true, TargetAddress: vip6}
	routed := discovery(vip6, allNodes, advertisement)
	routed[ethernetLen+7] = 64
	cut := discovery(vip6, allNodes, advertisement)
	cut = cut[:len(cut)-4]
	tcp := discovery(vip6, allNodes, advertisement)
	tcp[ethernetLen+6] = 6
	ieee := arp(arpReply, there, vip4, here, other)
	ieee[ethernetLen+1] = 6
	for what, c := range map[string]struct {
		vip   netip.Addr
		frame []byte
		want  string
	}{
		"a reply of ARP":                             {vip4, arp(arpReply, there, vip4, here, other), there.String()},
		"a request of ARP that it sends":             {vip4, arp(arpRequest, there, vip4, nobody, other), there.String()},
		"a probe of ARP":                             {vip4, arp(arpRequest, there, netip.IPv4Unspecified(), nobody, vip4), there.String()},
		"somebody looks for it":                      {vip4, arp(arpRequest, there, other, nobody, vip4), ""},
		"a reply to it":                              {vip4, arp(arpReply, there, other, here, vip4), ""},
		"a reply from nowhere":                       {vip4, arp(arpReply, there, netip.IPv4Unspecified(), here, vip4), ""},
		"ARP of another network":                     {vip4, ieee, ""},
		"half of ARP":                                {vip4, arp(arpReply, there, vip4, here, other)[:ethernetLen+20], ""},
		"an advertisement":                           {vip6, discovery(vip6, allNodes, advertisement), there.String()},
		"an advertisement that says for whom":        {vip6, discovery(other6, allNodes, &ndp.NeighborAdvertisement{TargetAddress: vip6, Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: router}}}), router.String()},
		"an advertisement of another":                {vip6, discovery(vip6, allNodes, &ndp.NeighborAdvertisement{TargetAddress: other6}), ""},
		"a solicitation from nowhere":                {vip6, discovery(netip.IPv6Unspecified(), group, &ndp.NeighborSolicitation{TargetAddress: vip6}), there.String()},
		"a solicitation from nowhere for another":    {vip6, discovery(netip.IPv6Unspecified(), group, &ndp.NeighborSolicitation{TargetAddress: other6}), ""},
		"somebody looks for it by IPv6":              {vip6, discovery(other6, group, &ndp.NeighborSolicitation{TargetAddress: vip6}), ""},
		"a solicitation of a router":                 {vip6, discovery(other6, allNodes, &ndp.RouterSolicitation{}), ""},
		"an advertisement that came through routers": {vip6, routed, ""},
		"an advertisement cut short":                 {vip6, cut, ""},
		"another protocol":                           {vip6, tcp, ""},
		"nothing":                                    {vip6, nil, ""},
	} {
		if by := claimant(c.frame, c.vip); by.String() != c.want {
			t.Errorf("%s: claimed by %q, want %q", what, by, c.want)
		}
	}
}

// The kernel hands us what we judge, and not the traffic of a database.
func TestTheFilterOfDiscovery(t *testing.T) {
	vm, err := bpf.NewVM(discovery)
	if err != nil {
		t.Fatal(err)
	}
	passes := func(f []byte) bool {
		n, err := vm.Run(f)
		if err != nil {
			t.Fatal(err)
		}
		return n >= len(f)
	}
	group := netip.MustParseAddr("ff02::1")
	for what, c := range map[string]struct {
		message ndp.Message
		want    bool
	}{
		"solicitation":            {&ndp.NeighborSolicitation{TargetAddress: vip6}, true},
		"advertisement":           {&ndp.NeighborAdvertisement{TargetAddress: vip6}, true},
		"solicitation of routers": {&ndp.RouterSolicitation{}, false},
		"advertisement of a router": {&ndp.RouterAdvertisement{
			RouterSelectionPreference: ndp.Medium}, false},
	} {
		f, err := neighbor(here, vip6, group, c.message)
		if err != nil {
			t.Fatal(err)
		}
		if passes(f) != c.want {
			t.Errorf("%s passes: %t", what, !c.want)
		}
		f[ethernetLen+6] = 6 // TCP
		if passes(f) {
			t.Errorf("%s passes as TCP", what)
		}
	}
}

func FuzzClaimant(f *testing.F) {
	for _, vip := range []netip.Addr{vip4, vip6} {
		q, err := question(here, vip)
		if err != nil {
			f.Fatal(err)
		}
		a, err := announcements(here, vip)
		if err != nil {
			f.Fatal(err)
		}
		for _, frame := range append(a, q) {
			f.Add(frame)
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, vip := range []netip.Addr{vip4, vip6} {
			if by := claimant(frame, vip); by != nil && len(by) != 6 {
				t.Errorf("claimed by %s", by)
			}
		}
	})
}
