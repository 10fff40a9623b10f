//go:build lab

package vip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// at is the MAC address that a host believes an address is at; "" if it knows none.
func at(t *testing.T, h *host, addr string) string {
	t.Helper()
	for _, n := range on(t, h, func() ([]netlink.Neigh, error) { return netlink.NeighList(0, netlink.FAMILY_ALL) }) {
		if n.IP.String() == addr {
			return n.HardwareAddr.String()
		}
	}
	return ""
}

// believe has a host believe that an address is at a MAC address, by an interface of its.
func believe(t *testing.T, h *host, by, addr string, mac net.HardwareAddr, state int) {
	t.Helper()
	on(t, h, func() (any, error) {
		link, err := netlink.LinkByName(by)
		if err != nil {
			return nil, err
		}
		return nil, netlink.NeighSet(&netlink.Neigh{
			LinkIndex: link.Attrs().Index, State: state, IP: netip.MustParseAddr(addr).AsSlice(), HardwareAddr: mac,
		})
	})
	if believed := at(t, h, addr); believed != mac.String() {
		t.Fatalf("%s is at %q", addr, believed)
	}
}

// What the other host knew, stale or just confirmed, gives way to where the address is now.
func TestAnnounceMovesTheAddress(t *testing.T) {
	enter(t)
	other := cable(t)
	former := mac("02:00:00:00:00:99")
	for _, f := range families {
		p := located(t, f.vip)
		must(t, Lease(p, time.Hour))
		for _, state := range []int{netlink.NUD_STALE, netlink.NUD_REACHABLE} {
			believe(t, other, "eth0", f.vip, former, state)
			must(t, Announce(p))
			await(t, "the other host to know better", func() bool { return at(t, other, f.vip) == thisMAC.String() })
		}
	}
}

// arping(8) is the way of who has no capability.
func TestAnnounceBySudo(t *testing.T) {
	enter(t)
	other := cable(t)
	fakeSudo(t, `[ "$1" = -n ] && shift && exec "$@"`)
	p := located(t, "10.0.0.180")
	must(t, Sudo{}.Lease(p, 0))
	believe(t, other, "eth0", "10.0.0.180", mac("02:00:00:00:00:99"), netlink.NUD_STALE)
	heard := hearARP(t, other)
	must(t, Sudo{}.Announce(p))
	bothAreHeard(t, heard, p)
	if by := at(t, other, "10.0.0.180"); by != thisMAC.String() {
		t.Errorf("it is at %s", by)
	}
}

func TestARequestAndAReplyAreHeard(t *testing.T) {
	enter(t)
	other := cable(t)
	p := located(t, "10.0.0.180")
	heard := hearARP(t, other)
	must(t, Announce(p))
	bothAreHeard(t, heard, p)
}

// hearARP listens on another host.
func hearARP(t *testing.T, h *host) *packet.Conn {
	t.Helper()
	conn := on(t, h, func() (*packet.Conn, error) {
		i, err := net.InterfaceByName("eth0")
		if err != nil {
			return nil, err
		}
		return packet.Listen(i, packet.Raw, unix.ETH_P_ARP, nil)
	})
	t.Cleanup(func() { must(t, conn.Close()) })
	return conn
}

// bothAreHeard waits for a gratuitous request and a gratuitous reply.
func bothAreHeard(t *testing.T, heard *packet.Conn, p Place) {
	t.Helper()
	must(t, heard.SetReadDeadline(time.Now().Add(limit)))
	b := make([]byte, 2048)
	seen := map[byte]bool{}
	for !seen[arpRequest] || !seen[arpReply] {
		n, _, err := heard.ReadFrom(b)
		if err != nil {
			t.Fatalf("heard %v: %v", seen, err)
		}
		frame := b[:n]
		gratuitous := [4]byte(frame[28:32]) == p.Address.Addr().As4() && [4]byte(frame[38:42]) == p.Address.Addr().As4()
		if gratuitous && claimant(frame, p.Address.Addr()).String() == thisMAC.String() {
			seen[frame[21]] = true
		}
	}
}

func TestProbeFindsWhoHasTheAddress(t *testing.T) {
	enter(t)
	other := cable(t)
	for _, f := range families {
		p := located(t, f.vip)
		if by, err := Probe(t.Context(), p, 300*time.Millisecond); by != nil || err != nil {
			t.Errorf("of %s, which nobody has: %s, %v", f.vip, by, err)
		}
		other.do(func() { ip(t, "address add "+f.vip+f.bits+" dev eth0 nodad") })
		for _, here := range []bool{false, true} { // where it is on both hosts, both hear of it
			if here {
				must(t, Lease(p, time.Hour))
			}
			by, err := Probe(t.Context(), p, limit)
			if by.String() != otherMAC.String() || err != nil {
				t.Errorf("of %s, here too: %t: %q, %v", f.vip, here, by, err)
			}
		}
		other.do(func() { ip(t, "address del "+f.vip+f.bits+" dev eth0") })
		if by, err := Probe(t.Context(), p, 300*time.Millisecond); by != nil || err != nil {
			t.Errorf("of %s, which this host alone has: %s, %v", f.vip, by, err)
		}
	}
}

// A host with two interfaces in a subnet answers itself, which is no conflict.
func TestProbeIsNotDeceivedByTheHostItself(t *testing.T) {
	enter(t)
	other := cable(t)
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth1"}, PeerName: "eth1", PeerNamespace: netlink.NsFd(other.fd)}))
	other.do(func() {
		ip(t, "link add br0 type bridge", "link set br0 up", "link set eth0 master br0", "link set eth1 master br0 up")
	})
	ip(t, "link set eth1 up")
	await(t, "the carrier", carrier("eth1", true))
	second, err := net.InterfaceByName("eth1")
	must(t, err)
	for _, f := range families {
		p := located(t, f.vip)
		ip(t, "address add "+f.vip+f.bits+" dev eth1 nodad")
		heard := answers(t, p)
		by, err := Probe(t.Context(), p, 300*time.Millisecond)
		if by != nil || err != nil {
			t.Errorf("of %s: %s, %v", f.vip, by, err)
		}
		if answered := heard(); answered != second.HardwareAddr.String() {
			t.Errorf("%s was answered for by %q, and not by eth1", f.vip, answered)
		}
	}
}

// answers listens on this host for the first who claims an address.
func answers(t *testing.T, p Place) func() string {
	t.Helper()
	conn, err := listen(p)
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close()) })
	return func() string {
		by, err := hear(t.Context(), conn, p, nil, time.Now().Add(limit))
		must(t, err)
		return by.String()
	}
}

// Two hosts that probe at once find one another, though neither has the address yet.
func TestProbeFindsWhoProbes(t *testing.T) {
	enter(t)
	other := cable(t)
	for _, f := range families {
		p := located(t, f.vip)
		theirs := on(t, other, func() (Place, error) {
			all, err := Interfaces()
			if err != nil {
				return Place{}, err
			}
			return locate(all, nil, p.Address.Addr(), "")
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			other.do(func() {
				for ctx.Err() == nil {
					if _, err := Probe(ctx, theirs, 50*time.Millisecond); err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
		}()
		by, err := Probe(t.Context(), p, limit)
		cancel()
		<-done
		if by.String() != otherMAC.String() || err != nil {
			t.Errorf("of %s: %q, %v", f.vip, by, err)
		}
	}
}

func TestAProbeEndsWithItsContext(t *testing.T) {
	enter(t)
	cable(t)
	enough := errors.New("enough")
	for _, f := range families {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { cancel(enough) })
		if by, err := Probe(ctx, located(t, f.vip), 10*time.Minute); by != nil || !errors.Is(err, enough) {
			t.Errorf("%q, %v", by, err)
		}
	}
}

// A VLAN on a bond is an interface like any other, and its members are none. A kernel that has no
// bonds gets a bridge, which is one too, and one that has no VLANs goes without.
func TestAVLANOnABond(t *testing.T) {
	enter(t)
	other := cable(t)
	top, theirs := "bond0", "eth0"
	bond := netlink.NewLinkBond(netlink.LinkAttrs{Name: "bond0"})
	bond.Mode = netlink.BOND_MODE_ACTIVE_BACKUP
	known(t, netlink.LinkAdd(bond), func() { ip(t, "link add bond0 type bridge") })
	ip(t, "address flush dev eth0", "link set eth0 down", "link set eth0 master bond0", "link set eth0 up", "link set bond0 up")
	i, err := netlink.LinkByName("bond0")
	must(t, err)
	vlan := &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "bond0.100", ParentIndex: i.Attrs().Index}, VlanId: 100}
	if known(t, netlink.LinkAdd(vlan), func() {}) {
		top, theirs = "bond0.100", "eth0.100"
		other.do(func() {
			ip(t, "address flush dev eth0", "link add link eth0 name eth0.100 type vlan id 100", "link set eth0.100 up")
		})
	}
	ip(t, "link set "+top+" up")
	await(t, "the carrier", carrier(top, true))
	for _, f := range families {
		ip(t, "address replace "+f.source+f.bits+" dev "+top+" nodad")
		other.do(func() { ip(t, "address replace "+f.neighbor+f.bits+" dev "+theirs+" nodad") })
	}
	for _, f := range families {
		p := located(t, f.vip)
		if p.Interface != top {
			t.Fatalf("%s would be on %s", f.vip, p.Interface)
		}
		other.do(func() { ip(t, "address add "+f.vip+f.bits+" dev "+theirs+" nodad") })
		if by, err := Probe(t.Context(), p, limit); by.String() != otherMAC.String() || err != nil {
			t.Errorf("of %s: %q, %v", f.vip, by, err)
		}
		other.do(func() { ip(t, "address del "+f.vip+f.bits+" dev "+theirs) })
		must(t, Lease(p, time.Hour))
		believe(t, other, theirs, f.vip, mac("02:00:00:00:00:99"), netlink.NUD_STALE)
		must(t, Announce(p))
		await(t, "the other host to know better", func() bool { return at(t, other, f.vip) == p.MAC.String() })
	}
}

// known tells whether the kernel knows a kind of interface; if not, something else is done instead.
func known(t *testing.T, err error, instead func()) bool {
	t.Helper()
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Logf("this kernel lacks it: %v", err)
		instead()
		return false
	}
	must(t, err)
	return true
}
