//go:build lab

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
)

// router joins networks: it takes what the gateway of one sends to another, and hands
// it over later, or never. A packet goes over two lines, that of either network. netem,
// tc-netem(8), would do the same, and few kernels have it.
type router struct {
	lines   []*line
	forward sync.WaitGroup
}

// line is what joins a network to the router.
type line struct {
	network *network
	tun     *os.File

	mu    sync.Mutex
	cut   bool
	delay time.Duration // of each packet, in either direction
	loss  float64       // the part of the packets that is lost, in either direction
}

// packet is one on its way.
type packet struct {
	data []byte
	due  time.Time
}

// backlog is how many packets are on the way from one network to another at most. More
// are dropped, as a router does whose queue is full.
const backlog = 4096

// siteAddress is an address at a site, counted from 0.
func siteAddress(site int, last byte) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(213 + site), 0, last})
}

// newSites makes networks that a router joins, 10.213.0.0/24 and so on.
func newSites(t testing.TB, count int) []*network {
	t.Helper()
	r := new(router)
	var sites []*network
	for i := range count {
		n := newNetwork(t, netip.PrefixFrom(siteAddress(i, 1), prefix.Bits()))
		sites = append(sites, n)
		if err := r.join(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	// Before the networks go.
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	for _, from := range r.lines {
		r.forward.Go(func() { r.serve(t, from) })
	}
	return sites
}

// join makes the bridge of a network its gateway, and lays a line to it.
func (r *router) join(ctx context.Context, n *network) error {
	tun, err := inNamespace(n.namespace, func() (*os.File, error) { return openTUN("wan") })
	if err != nil {
		return err
	}
	n.line = &line{network: n, tun: tun}
	r.lines = append(r.lines, n.line)
	if err := n.ip("link set wan up", fmt.Sprintf("route add default dev wan src %s", n.prefix.Addr())); err != nil {
		return err
	}
	_, err = command.Run(ctx, "ip", "netns", "exec", n.namespace, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	return err
}

// openTUN makes a network interface whose other end is a file, one packet a read or write:
// https://docs.kernel.org/networking/tuntap.html
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make %s: %w", name, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// close ends the lines, and waits for those who serve them.
func (r *router) close() (err error) {
	for _, l := range r.lines {
		err = errors.Join(err, l.tun.Close())
	}
	r.forward.Wait()
	return err
}

// serve forwards what comes from a line until that is closed.
func (r *router) serve(t testing.TB, from *line) {
	queues := map[*line]chan packet{}
	for _, to := range r.lines {
		if to != from {
			queue := make(chan packet, backlog)
			defer close(queue)
			queues[to] = queue
			r.forward.Go(func() { to.deliver(t, queue) })
		}
	}
	buffer := make([]byte, 1<<16)
	for {
		size, err := from.tun.Read(buffer)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			t.Errorf("the router hears no more from %s: %v", from.network.prefix, err)
			return
		}
		to := r.route(buffer[:size])
		if to == nil || to == from {
			continue
		}
		delay, ok := from.pass()
		more, ok2 := to.pass()
		if !ok || !ok2 {
			continue
		}
		select {
		case queues[to] <- packet{append([]byte(nil), buffer[:size]...), time.Now().Add(delay + more)}:
		default:
		}
	}
}

// route is the line to where a packet goes, or nil. Only IPv4 is routed, RFC 791.
func (r *router) route(data []byte) *line {
	if len(data) < 20 || data[0]>>4 != 4 {
		return nil
	}
	to := netip.AddrFrom4([4]byte(data[16:20]))
	for _, l := range r.lines {
		if l.network.prefix.Contains(to) {
			return l
		}
	}
	return nil
}

// deliver hands packets over when they are due, in the order in which they came.
func (l *line) deliver(t testing.TB, queue <-chan packet) {
	for p := range queue {
		<-time.After(time.Until(p.due))
		_, err := l.tun.Write(p.data)
		switch {
		case errors.Is(err, os.ErrClosed):
		case err != nil && !errors.Is(err, io.ErrShortWrite):
			t.Errorf("the router reaches %s no more: %v", l.network.prefix, err)
		}
	}
}

// pass tells how late a packet comes over the line, and whether it does.
func (l *line) pass() (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delay, !l.cut && rand.Float64() >= l.loss
}

// set says what becomes of packets from now on.
func (l *line) set(delay time.Duration, loss float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay, l.loss = delay, loss
}

// setCut cuts the line, or mends it: nothing comes through, and nobody is told.
func (l *line) setCut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
}
