package vip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// probes is how often [Probe] asks, by RFC 5227, section 1.1 (PROBE_NUM), though for as long as
// its caller says.
const probes = 3

// Probe asks the subnet who else has an address, or is about to take it, and says by which MAC
// address: nil is that nobody has answered for as long as wait says, which is no proof. It asks
// at once, and twice again within that time. It makes no difference whether the address is on
// this host already: the MAC addresses of this host are no conflict.
func Probe(ctx context.Context, p Place, wait time.Duration) (net.HardwareAddr, error) {
	by, err := probe(ctx, p, wait)
	if err != nil {
		return nil, fmt.Errorf("probe for %s: %w", p, err)
	}
	return by, nil
}

func probe(ctx context.Context, p Place, wait time.Duration) (net.HardwareAddr, error) {
	ours, err := macs()
	if err != nil {
		return nil, err
	}
	frame, err := question(p.MAC, p.Address.Addr())
	if err != nil {
		return nil, err
	}
	if p.Address.Addr().Is6() {
		leave, err := join(p)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	conn, err := listen(p)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	began := time.Now()
	for n := range probes {
		if err := send(conn, frame); err != nil {
			return nil, err
		}
		until := began.Add(wait * time.Duration(n+1) / probes)
		by, err := hear(ctx, conn, p, ours, until)
		if by != nil || err != nil {
			return by, err
		}
	}
	return nil, nil
}

// hear waits until a time for somebody who claims the address.
func hear(ctx context.Context, conn *packet.Conn, p Place, ours []string, until time.Time) (net.HardwareAddr, error) {
	if err := conn.SetReadDeadline(until); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	b := make([]byte, 2048) // longer than either message ever is
	for {
		n, _, err := conn.ReadFrom(b)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, nil
		case err != nil:
			return nil, err
		}
		if by := claimant(b[:n], p.Address.Addr()); by != nil && !slices.Contains(ours, by.String()) {
			return slices.Clone(by), nil // b goes
		}
	}
}

// macs are the MAC addresses of this host, as text.
func macs() ([]string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	var ours []string
	for _, i := range all {
		if len(i.HardwareAddr) > 0 {
			ours = append(ours, i.HardwareAddr.String())
		}
	}
	return ours, nil
}

// Announce tells the subnet once that an address is here now. Frames get lost, and so it is for
// the caller to say it again over some seconds.
func Announce(p Place) error {
	if err := announce(p); err != nil {
		return fmt.Errorf("announce %s: %w", p, err)
	}
	return nil
}

func announce(p Place) error {
	conn, err := listen(p)
	if err != nil {
		return err
	}
	defer conn.Close()
	frames, err := announcements(p.MAC, p.Address.Addr())
	if err != nil {
		return err
	}
	for _, frame := range frames {
		if err := send(conn, frame); err != nil {
			return err
		}
	}
	return nil
}

// listen opens an interface for the frames of ARP or of Neighbor Discovery.
func listen(p Place) (*packet.Conn, error) {
	if len(p.MAC) != 6 {
		return nil, fmt.Errorf("%s is no Ethernet: its MAC address is %q", p.Interface, p.MAC)
	}
	protocol, filter := unix.ETH_P_ARP, []bpf.RawInstruction(nil)
	if p.Address.Addr().Is6() {
		var err error
		if filter, err = bpf.Assemble(discovery); err != nil {
			return nil, err
		}
		protocol = unix.ETH_P_IPV6
	}
	i := &net.Interface{Index: p.Index, Name: p.Interface, HardwareAddr: p.MAC}
	conn, err := packet.Listen(i, packet.Raw, protocol, &packet.Config{Filter: filter})
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("%w: this needs CAP_NET_RAW", err)
	}
	return conn, err
}

// discovery lets pass but two messages of all that is IPv6: solicitations (135) and
// advertisements (136) of neighbors.
var discovery = []bpf.Instruction{
	bpf.LoadAbsolute{Off: ethernetLen + 6, Size: 1}, // the next header
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: icmpv6, SkipTrue: 4},
	bpf.LoadAbsolute{Off: ethernetLen + ipv6Len, Size: 1}, // the type of the message
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 135, SkipTrue: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 136, SkipTrue: 1},
	bpf.RetConstant{Val: 2048},
	bpf.RetConstant{Val: 0},
}

// send writes a whole frame, which says itself whom it is for.
func send(conn *packet.Conn, frame []byte) error {
	_, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: frame[:6]})
	return err
}

// join has the interface, and the switches before it, let through who else asks for an address:
// RFC 4862, section 5.4.2.
func join(p Place) (leave func(), err error) {
	group, err := ndp.SolicitedNodeMulticast(p.Address.Addr())
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a socket of IPv6: %w", err)
	}
	leave = func() { _ = unix.Close(fd) }
	member := &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(p.Index)}
	if err := unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, member); err != nil {
		leave()
		return nil, fmt.Errorf("join %s: %w", group, err)
	}
	return leave, nil
}
