//go:build lab

package lab

import (
	"context"
	"net/netip"
	"testing"
	"time"
)

// echoTime is how long an answer from an echo takes.
func echoTime(t *testing.T, from *network, to netip.AddrPort) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	conn, err := from.dial(ctx, "udp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	if err := exchange(ctx, conn, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

// Sites reach one another through the router, as late as it was told, unless one is cut off.
func TestSites(t *testing.T) {
	t.Parallel()
	sites := newSites(t, 3)
	to := netip.AddrPortFrom(siteAddress(1, 1), 7)
	listen(t, sites[1].namespace, "udp", to)
	reached := func(from *network) string {
		got, err := knock(t.Context(), from.dial, "udp", to)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	expect := func(when string, want ...string) {
		t.Helper()
		for i, from := range []*network{sites[0], sites[2], sites[1]} {
			if got := reached(from); got != want[i] {
				t.Errorf("%s, from %s to %s it is %s, want %s", when, from.prefix, to, got, want[i])
			}
		}
	}
	expect("at first", open, open, open)

	const delay = 100 * time.Millisecond
	near := echoTime(t, sites[0], to)
	sites[1].line.set(delay, 0)
	if far := echoTime(t, sites[0], to); near >= delay || far < 2*delay {
		t.Errorf("an answer takes %v, and %v over a line of %v", near, far, delay)
	}
	sites[1].line.set(0, 1)
	expect("where all packets are lost", dropped, dropped, open)
	sites[1].line.set(0, 0)

	sites[0].line.setCut(true)
	expect("with one site cut off", dropped, open, open)
	sites[0].line.setCut(false)
	expect("with that mended", open, open, open)
}
