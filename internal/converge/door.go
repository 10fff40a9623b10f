package converge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"banyan/internal/command"
)

// guest is where a connection to this machine comes from.
type guest struct {
	addr netip.Addr
	at   netip.Addr // the address of this machine that it is connected to
	by   string     // the interface that it comes in by; "" where nobody knows
}

// guests are those who are logged in now from elsewhere, over whatever port, but for
// those that no rule tells apart, of a link alone. A connection to the port of sshd is none
// yet, where logind can tell: who knows no key has one too, for two minutes.
func guests(ctx context.Context, port uint16) ([]guest, error) {
	filter := []string{"--no-header", "--tcp", "--numeric", "state", "established"}
	hosts, unknown := remoteHosts(ctx)
	if unknown != nil { // then whoever is connected to the port may be logged in
		filter = append(filter, fmt.Sprintf("sport = :%d", port))
	}
	out, err := command.Run(ctx, "ss", filter...)
	if err != nil {
		return nil, err
	}
	connected, err := connections(out)
	if err != nil {
		return nil, err
	}
	if unknown == nil {
		connected = slices.DeleteFunc(connected, func(g guest) bool { return !slices.Contains(hosts, g.addr) })
	}
	var all []guest
	for _, g := range connected {
		if g.addr.IsLoopback() || g.addr.IsLinkLocalUnicast() {
			continue
		}
		routes, err := netlink.RouteGet(g.addr.AsSlice())
		switch {
		case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH): // gone without a word
		case err != nil:
			return nil, fmt.Errorf("the way to %s: %w", g.addr, err)
		case routes[0].Type == unix.RTN_LOCAL:
			continue
		default:
			by, err := net.InterfaceByIndex(routes[0].LinkIndex)
			if err != nil {
				return nil, fmt.Errorf("the way to %s: %w", g.addr, err)
			}
			g.by = by.Name
		}
		all = append(all, g)
	}
	return all, nil
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

// scope is what ss has of the interface that a socket is bound to.
var scope = regexp.MustCompile(`%[^\]:]*`)

// connections reads the lines of ss(8), each pair of addresses once.
func connections(ss string) ([]guest, error) {
	var all []guest
	for line := range strings.Lines(ss) {
		fields := strings.Fields(scope.ReplaceAllString(line, "")) // two queues, here, there
		if len(fields) < 4 {
			continue
		}
		here, err := netip.ParseAddrPort(fields[2])
		there, err2 := netip.ParseAddrPort(fields[3])
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("ss: %w", err)
		}
		if g := (guest{addr: there.Addr().Unmap(), at: here.Addr().Unmap()}); !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	return all, nil
}

// patience is how long a connection over a virtual cable may take: IPv6 may have to ask
// for its neighbour three times, a second apart, until the kernel counts the cable as up.
const patience = 3500 * time.Millisecond

// letsIn tells whether a firewall would let a new connection to a port in, from where a
// guest is and to where it is connected: it is tried, between two network namespaces
// that nobody else is in.
func letsIn(ctx context.Context, ruleset string, g guest, port uint16) (open bool, err error) {
	inside := cmp.Or(g.by, "inside")
	door := netip.AddrPortFrom(g.at, port).String()
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
		cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: inside}, PeerName: "outside", PeerNamespace: netlink.NsFd(outside.Fd())}
		if err := netlink.LinkAdd(cable); err != nil {
			return fmt.Errorf("lay a virtual cable: %w", err)
		}
		if err := address(inside, g.at, g.addr); err != nil {
			return err
		}
		if _, err := nft(ctx, ruleset, "--file", "-"); err != nil {
			return err
		}
		node, err := netlink.NewHandle(unix.NETLINK_ROUTE) // stays inside
		if err != nil {
			return err
		}
		defer node.Close()
		var l net.ListenConfig
		listener, err := l.Listen(ctx, "tcp", door)
		if err != nil {
			return err
		}
		defer listener.Close()

		if err := unix.Setns(int(outside.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		if err := address("outside", g.addr, g.at); err != nil {
			return err
		}
		if err := wake(node, inside); err != nil {
			return err
		}
		d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: g.addr.AsSlice()}}
		conn, err := d.DialContext(ctx, "tcp", door)
		if err == nil {
			open = true
			return conn.Close()
		}
		if wasKeptOut(err) && ctx.Err() == nil {
			return nil
		}
		return err
	})
	return open, err
}

// wake has an interface send at once. One that was set up before the other end of its
// cable drops what it sends until the kernel has got round to the change, a second later
// at times; a new queue is begun without it.
func wake(h *netlink.Handle, name string) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	return h.QdiscReplace(&netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		QdiscType:  "pfifo",
	})
}

// wasKeptOut tells whether a connection failed as one does that is dropped or rejected,
// and not before it was begun.
func wasKeptOut(err error) bool {
	var network net.Error
	var call *os.SyscallError
	return errors.As(err, &network) && network.Timeout() || errors.As(err, &call) && call.Syscall == "connect"
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
