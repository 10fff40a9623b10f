package dnscp

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"banyan/internal/dnscp/config"
	"banyan/internal/dnscp/vip"
)

// probeTime is for how long others may answer for a VIP before it is taken. RFC 5227 waits
// for seconds, since a newcomer may be wrong; a leader is not, and only has to report who is.
const probeTime = 25 * time.Millisecond

// announcements are when the subnet is told where a VIP is, after it was taken. One frame
// is not enough: switches learn, and hosts wake up.
var announcements = []time.Duration{0, 100 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}

// announceInterval is how often it is told after that, while the VIP is here: a host that was
// frozen may have said something else.
const announceInterval = time.Minute

// holder has the VIPs on this host, or not.
type holder struct {
	vips    []netip.Addr
	name    string // of the interface; "" to find it
	log     *slog.Logger
	metrics *metrics

	taken map[netip.Addr]taken
	lease *deadline
}

// taken is a VIP that this guard leases.
type taken struct {
	place   vip.Place
	adopted bool               // it was here already
	hush    context.CancelFunc // ends its being announced
}

func newHolder(c config.Config, lease *deadline, log *slog.Logger, m *metrics) *holder {
	return &holder{lease: lease, vips: c.VIPs, name: c.Interface, log: log, metrics: m, taken: map[netip.Addr]taken{}}
}

// keep leases the VIPs of this host's subnets for what is left, and takes those that are not
// here or that were not this guard's. since is when it was known that they are this host's.
func (h *holder) keep(ctx context.Context, since time.Time) error {
	all, err := vip.Interfaces()
	if err != nil {
		return err
	}
	places, err := vip.Own(all, h.vips, h.name)
	errs := []error{err}
	var absent []vip.Place
	for addr, p := range places {
		if !slices.ContainsFunc(vip.Held(all, addr), p.Same) {
			absent = append(absent, p)
		}
	}
	for addr := range h.taken {
		if _, ok := places[addr]; !ok { // its subnet is gone from here
			errs = append(errs, h.drop(addr, "this host is no longer in its subnet"))
		}
	}
	h.probe(ctx, absent)
	for addr, p := range places {
		// The kernel counts whole seconds, and may be late: see expiryDelay.
		lifetime := h.lease.left().Truncate(time.Second)
		if lifetime < time.Second {
			continue // the lease that is there runs out
		}
		if err := vip.Lease(p, lifetime); err != nil {
			errs = append(errs, err)
			continue
		}
		if h.lease.passed() { // this process was frozen on the way
			_, err := vip.Release(addr)
			errs = append(errs, err)
			continue
		}
		missed := slices.ContainsFunc(absent, p.Same)
		if t, ok := h.taken[addr]; !ok || missed || !t.place.Same(p) {
			h.take(ctx, addr, p, !missed, since)
		}
	}
	return errors.Join(errs...)
}

// probe asks the subnets who else has these addresses, and reports it.
func (h *holder) probe(ctx context.Context, places []vip.Place) {
	var asking sync.WaitGroup
	for _, p := range places {
		asking.Go(func() {
			other, err := vip.Probe(ctx, p, probeTime)
			switch {
			case err != nil:
				h.log.Warn("it is not known whether another host has the VIP", "vip", p.Address.Addr(), "interface", p.Interface, "error", err)
			case other != nil:
				h.conflict(p, other)
			}
		})
	}
	asking.Wait()
}

func (h *holder) conflict(p vip.Place, other net.HardwareAddr) {
	h.metrics.conflicts.WithLabelValues(p.Address.Addr().String()).Inc()
	h.log.Error("another host has the VIP, and this one leads: look for it by its MAC address", "vip", p.Address.Addr(), "interface", p.Interface, "mac", other)
}

// take is for a VIP that is leased by now; adopted is that it was here before this guard.
func (h *holder) take(ctx context.Context, addr netip.Addr, p vip.Place, adopted bool, since time.Time) {
	h.tell(ctx, addr, taken{place: p, adopted: adopted})
	h.metrics.held.WithLabelValues(addr.String()).Set(1)
	if adopted {
		h.log.Info("took over the VIP, which was here", "vip", addr, "interface", p.Interface)
		return
	}
	took := time.Since(since)
	h.metrics.transition.WithLabelValues(aboutVIP).Observe(took.Seconds())
	h.log.Info("took the VIP", "vip", addr, "interface", p.Interface, "took", took.Round(time.Millisecond))
}

// announce tells the subnet, again over some seconds, and then now and then.
func (h *holder) announce(ctx context.Context, p vip.Place) {
	began, failed := time.Now(), false
	for n := 0; ; n++ {
		next := began.Add(announcements[len(announcements)-1] + time.Duration(n-len(announcements)+1)*announceInterval)
		if n < len(announcements) {
			next = began.Add(announcements[n])
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next)):
		}
		if h.lease.passed() {
			continue // nobody is to be told of a VIP that is not this host's any more
		}
		if err := vip.Announce(p); err != nil && !failed {
			failed = true
			h.log.Warn("the VIP is not announced", "vip", p.Address.Addr(), "interface", p.Interface, "error", err)
		}
	}
}

// tell announces a VIP from now on, anew where it was announced before.
func (h *holder) tell(ctx context.Context, addr netip.Addr, t taken) {
	if before, ok := h.taken[addr]; ok {
		before.hush()
	}
	ctx, t.hush = context.WithCancel(ctx)
	h.taken[addr] = t
	go h.announce(ctx, t.place)
}

// announceAgain begins anew, for VIPs whose interface was away.
func (h *holder) announceAgain(ctx context.Context) {
	for addr, t := range h.taken {
		h.tell(ctx, addr, t)
	}
}

// release removes the VIPs, whoever has brought them here. Where Patroni says that this host
// does not lead its clients are told, too; where a lease is over it may lead again in a moment.
func (h *holder) release(why standing) error {
	all, err := vip.Interfaces()
	errs := []error{err} // whatever is there, it goes
	for _, addr := range h.vips {
		if why == follows && len(vip.Held(all, addr)) > 0 { // else nobody could be told
			sever(addr, vip.Sever, h.log)
		}
		errs = append(errs, h.drop(addr, "Patroni "+why.String()))
	}
	return errors.Join(errs...)
}

func (h *holder) drop(addr netip.Addr, why string) error {
	gone, err := vip.Release(addr)
	for _, name := range gone {
		h.log.Info("removed the VIP", "vip", addr, "interface", name, "because", why)
	}
	if err != nil {
		return err
	}
	if t, ok := h.taken[addr]; ok {
		t.hush()
		delete(h.taken, addr)
		if len(gone) == 0 {
			h.log.Info("the VIP is gone", "vip", addr, "interface", t.place.Interface, "because", why)
		}
	}
	h.metrics.held.WithLabelValues(addr.String()).Set(0)
	return nil
}

// bound sees to it that a VIP which was here before this guard, and stays for ever, such as
// dnscp.sh's, runs out unless Patroni says soon that this host leads.
func (h *holder) bound() error {
	all, err := vip.Interfaces()
	if err != nil {
		return err
	}
	var errs []error
	for _, addr := range h.vips {
		permanent, err := vip.Permanent(addr)
		if err != nil || !permanent {
			errs = append(errs, err)
			continue
		}
		for _, p := range vip.Held(all, addr) {
			h.log.Info("bounded a VIP that was here for ever", "vip", addr, "interface", p.Interface, "lifetime", leastHoldDown)
			errs = append(errs, vip.Lease(p, leastHoldDown))
		}
	}
	return errors.Join(errs...)
}

// concerns tells whether an event may be about a VIP. What this holder removes itself it
// has not taken any more.
func (h *holder) concerns(e vip.Event) bool {
	if e.Kind == vip.Removed {
		_, ok := h.taken[e.Address.Addr()]
		return ok
	}
	for _, t := range h.taken {
		if e.Kind == vip.Lost || t.place.Index == e.Index {
			return true
		}
	}
	return false
}

// held are the VIPs that are on this host by this guard, in order.
func (h *holder) held() []netip.Addr {
	return slices.SortedFunc(maps.Keys(h.taken), netip.Addr.Compare)
}

// adopted tells whether all of them were here before this guard.
func (h *holder) adopted() bool {
	for _, t := range h.taken {
		if !t.adopted {
			return false
		}
	}
	return true
}
