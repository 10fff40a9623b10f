//go:build lab

package vip

import (
	"context"
	"testing"
	"time"
)

func TestWatchReportsWhoRemovedTheAddress(t *testing.T) {
	enter(t)
	cable(t)
	events := watch(t)
	for _, f := range families {
		must(t, Lease(located(t, f.vip), time.Hour))
		ip(t, "address del "+f.vip+f.bits+" dev eth0")
		e, before := next(t, events, Removed)
		if e.Address.String() != f.vip+f.bits || e.Interface != "eth0" || len(before) > 0 {
			t.Errorf("got %+v, after %+v", e, before)
		}
	}
}

func TestWatchReportsACarrier(t *testing.T) {
	enter(t)
	other := cable(t)
	events := watch(t)
	// The kernel takes its time to tell, and leaves out what was over meanwhile.
	other.do(func() { ip(t, "link set eth0 down") })
	await(t, "the carrier to go", carrier("eth0", false))
	other.do(func() { ip(t, "link set eth0 up") })
	await(t, "the carrier to come", carrier("eth0", true))
	e, before := next(t, events, LinkUp)
	if e.Interface != "eth0" || e.Index != located(t, "10.0.0.180").Index || len(before) > 0 {
		t.Errorf("got %+v, after %+v", e, before)
	}
}

// An interface is new, and then one that was set down and is up again by another name.
func TestWatchReportsANewInterface(t *testing.T) {
	enter(t)
	events := watch(t)
	cable(t)
	if e, _ := next(t, events, LinkUp); e.Interface != "eth0" {
		t.Errorf("got %+v", e)
	}
	ip(t, "link set eth0 down", "link set eth0 name wan0", "link set wan0 up")
	if e, _ := next(t, events, LinkUp); e.Interface != "wan0" {
		t.Errorf("got %+v", e)
	}
}

func TestAWatchEndsWithItsContext(t *testing.T) {
	enter(t)
	ctx, cancel := context.WithCancel(t.Context())
	events, err := Watch(ctx)
	must(t, err)
	cancel()
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case e, ok := <-events:
		if ok {
			t.Errorf("got %+v", e)
		}
	case <-timeout.C:
		t.Error("it goes on")
	}
}

// The kernel throws away what nobody reads in time; the watch says so, and goes on.
func TestWatchSurvivesAFlood(t *testing.T) {
	enter(t)
	cable(t)
	s, err := subscribe()
	must(t, err)
	t.Cleanup(s.Close)
	must(t, s.SetReceiveBufferSize(1, false)) // as little as the kernel allows
	w, err := newWatcher()
	must(t, err)
	p := located(t, "10.0.0.180")
	for range 100 { // nobody reads
		must(t, Lease(p, time.Hour))
		_, err := Release(p.Address.Addr())
		must(t, err)
	}
	go w.run(s.Receive)
	next(t, w.events, Lost)
	must(t, Lease(p, time.Hour))
	_, err = Release(p.Address.Addr())
	must(t, err)
	next(t, w.events, Removed)
}
