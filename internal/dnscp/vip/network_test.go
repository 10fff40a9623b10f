//go:build lab

package vip

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"banyan/internal/command"
)

// limit is how long a test waits for what has to come.
const limit = 30 * time.Second

// The two hosts of the tests, on one cable.
var (
	thisMAC  = mac("02:00:00:00:00:11")
	otherMAC = mac("02:00:00:00:00:22")
)

// enter moves the test into a network namespace of its own, with the thread that it is on. The
// thread ends with the test, and the namespace with the thread.
func enter(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // for good
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	ip(t, "link set lo up")
}

// ip runs commands of ip(8) in the network that the caller is in.
func ip(t *testing.T, commands ...string) {
	t.Helper()
	_, err := command.Command{
		Name: "ip", Args: []string{"-batch", "-"}, Stdin: strings.NewReader(strings.Join(commands, "\n")),
	}.Run(context.Background())
	if err != nil {
		t.Fatalf("%q: %v", commands, err)
	}
}

// host is another host, in a network namespace of its own.
type host struct {
	calls chan func()
	fd    int // of the namespace
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{calls: make(chan func())}
	entered, left := make(chan error), make(chan struct{})
	go func() {
		defer close(left)
		runtime.LockOSThread() // for good
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			h.fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		entered <- err
		for call := range h.calls {
			call()
		}
	}()
	t.Cleanup(func() {
		close(h.calls)
		<-left
		if err := unix.Close(h.fd); err != nil {
			t.Error(err)
		}
	})
	if err := <-entered; err != nil {
		t.Fatal(err)
	}
	return h
}

// do runs something on the host. It must not end the test.
func (h *host) do(call func()) {
	done := make(chan struct{})
	h.calls <- func() {
		defer close(done)
		call()
	}
	<-done
}

// on asks a host for something that may fail.
func on[T any](t *testing.T, h *host, ask func() (T, error)) (answer T) {
	t.Helper()
	var err error
	h.do(func() { answer, err = ask() })
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// cable connects this host to another, from eth0 to eth0. Both have addresses in 10.0.0.0/24 and
// 2001:db8::/64.
func cable(t *testing.T) *host {
	t.Helper()
	h := newHost(t)
	link := &netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: "eth0", HardwareAddr: thisMAC},
		PeerName:         "eth0",
		PeerHardwareAddr: otherMAC,
		PeerNamespace:    netlink.NsFd(h.fd),
	}
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}
	ip(t, "link set eth0 up", "address add 10.0.0.11/24 dev eth0", "address add 2001:db8::11/64 dev eth0 nodad")
	h.do(func() {
		ip(t, "link set lo up", "link set eth0 up", "address add 10.0.0.22/24 dev eth0", "address add 2001:db8::22/64 dev eth0 nodad")
	})
	await(t, "the carrier", carrier("eth0", true))
	return h
}

// carrier asks whether an interface of this host can, or cannot, send.
func carrier(name string, want bool) func() bool {
	return func() bool {
		i, err := net.InterfaceByName(name)
		return err == nil && (i.Flags&net.FlagRunning != 0) == want
	}
}

// await waits until something is so. It looks from the thread of the test.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited for %s: %v", what, ctx.Err())
		}
	}
}

// watch is [Watch] until the test ends.
func watch(t *testing.T) <-chan Event {
	t.Helper()
	events, err := Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// next waits for an event of a kind, and returns those before it too.
func next(t *testing.T, events <-chan Event, kind Kind) (e Event, before []Event) {
	t.Helper()
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				t.Fatal("the watch has ended")
			}
			if e.Kind == kind {
				return e, before
			}
			before = append(before, e)
		case <-timeout.C:
			t.Fatalf("nothing %s, but %+v", kind, before)
		}
	}
}

// located is the place of an address on this host.
func located(t *testing.T, vip string) Place {
	t.Helper()
	all, err := Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	p, err := locate(all, []netip.Addr{netip.MustParseAddr(vip)}, netip.MustParseAddr(vip), "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// held is where an address is on this host.
func held(t *testing.T, vip string) (places []string) {
	t.Helper()
	all, err := Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range Held(all, netip.MustParseAddr(vip)) {
		places = append(places, p.String())
	}
	return places
}

// isHeld fails the test unless an address is where it should be, and there alone.
func isHeld(t *testing.T, vip string, want ...string) {
	t.Helper()
	if got := held(t, vip); !slices.Equal(got, want) {
		t.Fatalf("%s is held as %q, want %q", vip, got, want)
	}
}

// entry is an address of this host as the kernel has it.
func entry(t *testing.T, vip string) netlink.Addr {
	t.Helper()
	there, err := find(netip.MustParseAddr(vip))
	if err != nil || len(there) != 1 {
		t.Fatalf("%s is there as %+v, %v", vip, there, err)
	}
	return there[0].Addr
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
