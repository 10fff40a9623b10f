package converge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"banyan/internal/command"
)

// guests are the addresses from which somebody is logged in now over a port of TCP. A
// connection alone is no guest: who knows no key has one too, for two minutes.
func guests(ctx context.Context, port uint16) ([]netip.Addr, error) {
	peers, err := peers(ctx, port)
	if err != nil || len(peers) == 0 {
		return nil, err
	}
	hosts, err := remoteHosts(ctx)
	if err != nil { // then anybody may be one
		return peers, nil //nolint:nilerr // a machine without logind is told of nowhere else
	}
	return slices.DeleteFunc(peers, func(a netip.Addr) bool { return !slices.Contains(hosts, a) }), nil
}

// remoteHosts are where the sessions come from that logind knows of: loginctl(1). A name
// in place of an address is an error, since it may be any.
func remoteHosts(ctx context.Context) ([]netip.Addr, error) {
	list, err := command.Run(ctx, "loginctl", "list-sessions", "--no-legend")
	if err != nil {
		return nil, err
	}
	show := []string{"show-session", "--property=RemoteHost", "--value"}
	options := len(show)
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); len(fields) > 0 {
			show = append(show, fields[0])
		}
	}
	if len(show) == options { // it would show its own properties
		return nil, nil
	}
	out, err := command.Run(ctx, "loginctl", show...)
	if err != nil {
		return nil, err
	}
	var all []netip.Addr
	for host := range strings.FieldsSeq(out) {
		a, err := netip.ParseAddr(host)
		if err != nil {
			return nil, fmt.Errorf("loginctl: %w", err)
		}
		all = append(all, a.Unmap().WithZone(""))
	}
	return all, nil
}

// peers are the addresses from which connections to a port of TCP stand now, but for
// those that no rule tells apart, of a link alone.
func peers(ctx context.Context, port uint16) ([]netip.Addr, error) {
	out, err := command.Run(ctx, "ss", "--no-header", "--tcp", "--numeric", "state", "established", fmt.Sprintf("sport = :%d", port))
	if err != nil {
		return nil, err
	}
	var all []netip.Addr
	for line := range strings.Lines(out) {
		fields := strings.Fields(line) // two queues, here, there
		if len(fields) < 4 {
			continue
		}
		peer, err := netip.ParseAddrPort(fields[3])
		if err != nil {
			return nil, fmt.Errorf("ss: %w", err)
		}
		if a := peer.Addr().Unmap().WithZone(""); !a.IsLoopback() && !a.IsLinkLocalUnicast() && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all, nil
}

// patience is how long a connection over a virtual cable may take.
const patience = 2 * time.Second

// letsIn tells whether a firewall would let a new connection from an address in: it is
// tried, between two network namespaces that nobody else is in.
func letsIn(ctx context.Context, ruleset string, from netip.Addr, door netip.AddrPort) (open bool, err error) {
	to := door.Addr().Unmap()
	if from.Is4() != to.Is4() { // the node's address is of the other family: any of its own would do
		to = netip.MustParseAddr("192.0.2.1")
		if from.Is6() {
			to = netip.MustParseAddr("2001:db8::1")
		}
	}
	err = inNewNetwork(func() error {
		outside, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		defer outside.Close()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		// Inside: the node.
		cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "inside"}, PeerName: "outside", PeerNamespace: netlink.NsFd(outside.Fd())}
		if err := netlink.LinkAdd(cable); err != nil {
			return fmt.Errorf("lay a virtual cable: %w", err)
		}
		if err := address("inside", to, from); err != nil {
			return err
		}
		if _, err := nft(ctx, ruleset, "--file", "-"); err != nil {
			return err
		}
		var l net.ListenConfig
		listener, err := l.Listen(ctx, "tcp", netip.AddrPortFrom(to, door.Port()).String())
		if err != nil {
			return err
		}
		defer listener.Close()

		if err := unix.Setns(int(outside.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		if err := address("outside", from, to); err != nil {
			return err
		}
		d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
		conn, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(to, door.Port()).String())
		if err == nil {
			open = true
			return conn.Close()
		}
		var kept *net.OpError
		if errors.As(err, &kept) && ctx.Err() == nil { // it was dropped, or rejected
			return nil
		}
		return err
	})
	return open, err
}

// address gives an interface of this thread's namespace an address, and a way to the one
// at the other end of its cable.
func address(name string, own, other netip.Addr) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	host := func(a netip.Addr) *net.IPNet {
		return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
	}
	return errors.Join(
		netlink.LinkSetUp(link),
		netlink.AddrAdd(link, &netlink.Addr{IPNet: host(own), Flags: unix.IFA_F_NODAD}),
		netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: host(other), Scope: netlink.SCOPE_LINK}))
}

// inNewNetwork runs f, and what it starts, in a network namespace of its own, which
// is gone afterwards with the thread that was in it.
func inNewNetwork(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that nobody else gets this thread
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("make a network namespace: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}
