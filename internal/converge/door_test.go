package converge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestConnections(t *testing.T) {
	got, err := connections(`0      0         172.16.32.11:22      10.0.0.5:51234
0      36        172.16.32.11:22      10.0.0.5:51240
0      0  [::ffff:172.16.32.11]:22  [::ffff:10.0.0.6]:40000
0      0     10.0.0.1%eth0.7:22       10.0.0.2:1
0      0    [fe80::1]%bond-a:22     [fe80::2]:5000

0      0   [2001:db8::1]:22     [2001:db8::2]:5000
`)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, g := range got {
		words = append(words, g.addr.String()+" to "+g.at.String())
	}
	if want := []string{
		"10.0.0.5 to 172.16.32.11", "10.0.0.6 to 172.16.32.11", "10.0.0.2 to 10.0.0.1", "fe80::2 to fe80::1", "2001:db8::2 to 2001:db8::1",
	}; !slices.Equal(words, want) {
		t.Errorf("got  %q\nwant %q", words, want)
	}
	if _, err := connections("0 0 here:22 there:1\n"); err == nil || !strings.HasPrefix(err.Error(), "ss: ") {
		t.Errorf("what is no address: %v", err)
	}
}

func TestLetsIn(t *testing.T) {
	at := func(from, to, by string) guest { return guest{netip.MustParseAddr(from), netip.MustParseAddr(to), by} }
	v4, v6 := at("198.51.100.7", "172.16.32.11", "eth0"), at("2001:db8:1::7", "2001:db8::11", "")
	var all sync.WaitGroup // there is more to wait for than to do
	for name, c := range map[string]struct {
		rules    []string
		port     uint16
		in4, in6 bool
	}{
		"everybody":      {[]string{"tcp dport 22 accept"}, 22, true, true},
		"nobody":         {nil, 22, false, false},
		"dropped":        {nil, 22, false, false},
		"another port":   {[]string{"tcp dport 22 accept"}, 2222, false, false},
		"sources":        {[]string{"ip saddr { 198.51.100.0/24 } tcp dport 22 accept", "ip6 saddr { 2001:db8:1::/48 } tcp dport 22 accept"}, 22, true, true},
		"other sources":  {[]string{"ip saddr { 192.0.2.0/24 } tcp dport 22 accept", "ip6 saddr { 2001:db8:2::/48 } tcp dport 22 accept"}, 22, false, false},
		"one family":     {[]string{"ip6 saddr { 2001:db8:1::7 } tcp dport 22 accept"}, 22, false, true},
		"rejected":       {[]string{"tcp dport 22 reject"}, 22, false, false},
		"reset":          {[]string{"tcp dport 22 reject with tcp reset"}, 22, false, false},
		"an interface":   {[]string{`iifname "eth0" tcp dport 22 accept`}, 22, true, false},
		"its addresses":  {[]string{"ip daddr 172.16.32.11 tcp dport 22 accept", "ip6 daddr 2001:db8::11 tcp dport 22 accept"}, 22, true, true},
		"another's":      {[]string{"ip daddr 172.16.32.12 tcp dport 22 accept"}, 22, false, false},
		"the door alone": {[]string{"tcp dport 22 reject with tcp reset", "accept"}, 22, false, false},
	} {
		if name != "dropped" { // which takes its time
			c.rules = append(c.rules, "meta l4proto tcp reject with tcp reset")
		}
		for g, want := range map[guest]bool{v4: c.in4, v6: c.in6} {
			all.Go(func() {
				if open, err := letsIn(t.Context(), table(c.rules...).Content, g, c.port); err != nil || open != want {
					t.Errorf("%s, %s: %t, %v", name, g.addr, open, err)
				}
			})
		}
	}
	all.Wait()
	if _, err := letsIn(t.Context(), "table inet", v4, 22); err == nil || !strings.Contains(err.Error(), "nft: ") {
		t.Errorf("a table that is none: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := letsIn(ctx, table().Content, v4, 22); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}

func TestKeptOut(t *testing.T) {
	for want, errs := range map[bool][]error{
		true:  {&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", unix.EHOSTUNREACH)}, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}},
		false: {&net.OpError{Op: "dial", Err: os.NewSyscallError("bind", unix.EADDRNOTAVAIL)}, errors.New("connect"), context.Canceled},
	} {
		for _, err := range errs {
			if wasKeptOut(err) != want {
				t.Errorf("%v: not %t", err, want)
			}
		}
	}
}

// netOfThread is the network namespace that the test's thread is in.
func netOfThread(t *testing.T) int {
	t.Helper()
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // nothing was written
	return int(f.Fd())
}

func enter(t *testing.T, namespace int) {
	t.Helper()
	if err := unix.Setns(namespace, unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

// neighbour is a network namespace at the other end of a cable to the test's own, where
// the cable is dc1.
func neighbour(t *testing.T, own, its string) int {
	t.Helper()
	here := netOfThread(t)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	there := netOfThread(t)
	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "out"}, PeerName: "dc1", PeerNamespace: netlink.NsFd(here)}
	if err := netlink.LinkAdd(cable); err != nil {
		t.Fatal(err)
	}
	a, b := netip.MustParseAddr(own), netip.MustParseAddr(its)
	if err := address("out", b, a); err != nil {
		t.Fatal(err)
	}
	outside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	enter(t, here)
	if err := errors.Join(address("dc1", a, b), wake(outside, "out")); err != nil {
		t.Fatal(err)
	}
	return there
}

// listen listens on an address of the test's namespace, and returns its port.
func listen(t *testing.T, addr string) uint16 {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // nobody is there any more
	port, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("it listens on %s", l.Addr())
	}
	return uint16(port.Port)
}

func connect(t *testing.T, addr string, port uint16) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	conn, err := d.DialContext(t.Context(), "tcp", netip.AddrPortFrom(netip.MustParseAddr(addr), port).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	return conn
}

// visited is a machine with somebody who is connected to the port from 198.51.100.7.
func visited(t *testing.T) (m Machine, port uint16, visitor net.Conn) {
	t.Helper()
	m = firewalled(t)
	here := netOfThread(t)
	there := neighbour(t, "172.16.32.11", "198.51.100.7")
	port = listen(t, "172.16.32.11")
	enter(t, there)
	visitor = connect(t, "172.16.32.11", port)
	connect(t, "172.16.32.11", port)
	enter(t, here)
	return m, port, visitor
}

// Guests come from elsewhere, and not from this machine.
func TestGuests(t *testing.T) {
	_, port, _ := visited(t)
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	connect(t, "172.16.32.11", port)
	loopback := listen(t, "127.0.0.1")
	connect(t, "127.0.0.1", loopback)

	want := []guest{{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("172.16.32.11"), "dc1"}}
	if got, err := guests(t.Context(), port); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("guests are %v, %v", got, err)
	}
	if got, err := guests(t.Context(), loopback); err != nil || len(got) > 0 {
		t.Errorf("guests on the loopback interface are %v, %v", got, err)
	}

	// One from where nothing leads back any more is a guest still.
	cable, err := netlink.LinkByName("dc1")
	if err == nil {
		err = netlink.LinkSetDown(cable)
	}
	if err != nil {
		t.Fatal(err)
	}
	want[0].by = ""
	if got, err := guests(t.Context(), port); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("guests that cannot be reached are %v, %v", got, err)
	}
}

// A table that would keep out who is in is not loaded until it is asked for again, and at
// no boot either.
func TestRefusedTable(t *testing.T) {
	m, port, visitor := visited(t)
	with := func(rules ...string) NFTable {
		r := table(append(rules, "meta l4proto tcp reject with tcp reset")...)
		r.Door = port
		return r
	}
	first := with(`iifname "dc1" accept`)
	loads(t, m, first, "create root:root 0644")
	before := listed(t)
	second := with("ip saddr 192.0.2.0/24 accept")
	for _, want := range []string{
		"refused: it would keep out 198.51.100.7, from where somebody is logged in now (port ",
		"this table was refused, since it would have kept out who was logged in; the earlier one stays. Change firewall in the seed, or log out there and remove " + refusedTable,
	} {
		if _, err := Apply(t.Context(), m, one(second), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v", err)
		}
		if now := listed(t); now != before {
			t.Errorf("there is %s", now)
		}
		for path, want := range map[string]string{second.Path: first.Content, loadedTable: asLoaded(first.Content, first.With), refusedTable: second.Content} {
			if got := content(t, m.path(path)); got != want {
				t.Errorf("%s has %s", path, got)
			}
		}
	}
	boot := Machine{Root: m.Root}
	if err := os.Remove(m.path(second.Path)); err != nil { // as /etc is empty in the initramfs
		t.Fatal(err)
	}
	apply(t, boot, second)
	if got := content(t, m.path(second.Path)); got != first.Content {
		t.Errorf("the boot loads %s", got)
	}

	// Another table, and back: that one is forgotten.
	loads(t, m, first, "remember as the one that was loaded last")
	if _, err := Apply(t.Context(), m, one(second), nil); err == nil || !strings.Contains(err.Error(), "refused: it would keep out") {
		t.Errorf("the error is %v", err)
	}

	// Who was in has gone, as far as this machine knows.
	if err := visitor.Close(); err != nil {
		t.Fatal(err)
	}
	do(t, "ss", "--kill", "state", "established", fmt.Sprintf("sport = :%d", port))
	if err := os.Remove(m.path(refusedTable)); err != nil {
		t.Fatal(err)
	}
	loads(t, m, second, "change content")
	if now := listed(t); !strings.Contains(now, "192.0.2.0/24") {
		t.Errorf("there is %s", now)
	}
}

func FuzzConnections(f *testing.F) {
	f.Add("0 0 172.16.32.11:22 10.0.0.5:51234\n")
	f.Add("0 0 [fe80::1]%eth0:22 [::ffff:10.0.0.2]:1\n\n0 0 10.0.0.1%eth0:22 10.0.0.2:1")
	f.Fuzz(func(t *testing.T, ss string) {
		all, err := connections(ss)
		for i, g := range all {
			if err != nil || !g.addr.IsValid() || !g.at.IsValid() || g.addr.Is4In6() || slices.Contains(all[:i], g) {
				t.Errorf("%+v of %+v, %v", g, all, err)
			}
		}
	})
}
