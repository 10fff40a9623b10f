// Package dnscp keeps the virtual addresses of a cluster, and the name that leads to them,
// on the host of its leader.
//
// A guard on each host asks the Patroni of that host alone. The addresses are leases, which
// each good answer renews and which the kernel ends by itself, so that whatever dies or
// freezes, they are gone before another node can be promoted; [holdDown] has the arithmetic.
// Patroni's callbacks may be killed, skipped and reordered, and only wake the guard.
package dnscp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"banyan/internal/dnscp/config"
	"banyan/internal/dnscp/vip"
)

// Guard keeps what its configuration says on this host.
type Guard struct {
	config    config.Config
	log       *slog.Logger
	metrics   *metrics
	patroni   *line
	holder    *holder
	registrar *registrar // nil where there is no record

	hold           holdDown // zero until Patroni's times are known
	lease          lease
	deadline       deadline // its end
	last           observation
	promotingSince time.Time
	waiting        []wake
	failed         error // what could not be done the last time
}

// NewGuard makes the guard of a configuration.
func NewGuard(c config.Config, log *slog.Logger) (*Guard, error) {
	to := &line{config: c.Patroni}
	if err := to.renew(); err != nil {
		return nil, err
	}
	m := newMetrics(c.VIPs)
	g := &Guard{config: c, log: log, metrics: m, patroni: to}
	g.holder = newHolder(c, &g.deadline, log, m)
	if c.DNS.Name != "" {
		g.registrar = newRegistrar(c.DNS, to.client, &g.deadline, log, m)
	}
	return g, nil
}

// Run guards until the context ends. The VIPs then stay for what is left of their lease,
// so that a guard that is restarted interrupts nobody. Whoever connects to one of the
// sockets wakes it.
func (g *Guard) Run(ctx context.Context, sockets []*net.UnixListener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := vip.Watch(ctx)
	if err != nil {
		return err
	}
	wakes, broken := make(chan wake), make(chan error, len(sockets))
	for _, l := range sockets {
		go func() { broken <- serve(ctx, l, wakes, g.log) }()
		defer l.Close() // who waits there meets the next guard
	}
	unpublished := g.metrics.publish(ctx, g.config.Metrics)
	times := newTimekeeper(g.patroni.client, g.log)
	go times.run(ctx)
	alive, stop := heartbeat()
	defer stop()

	answers := make(chan observation, 1)
	asking := false
	look := func() {
		if !asking {
			asking = true
			client, limit := g.patroni.client(), g.hold.limit()
			go func() { answers <- ask(ctx, client, limit) }()
		}
	}
	next, expiry := time.NewTimer(0), time.NewTimer(0)
	ready := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-broken:
			if err != nil {
				return err
			}
		case err := <-unpublished:
			if err != nil {
				g.log.Error("the metrics are not published", "error", err)
			}
		case <-alive:
			if _, err := daemon.SdNotify(false, daemon.SdNotifyWatchdog); err != nil {
				return fmt.Errorf("tell systemd: %w", err)
			}
		case w := <-wakes:
			g.waiting = append(g.waiting, w)
			look()
		case e, open := <-events:
			switch {
			case ctx.Err() != nil: // which closes it
			case !open:
				return errors.New("the kernel no longer tells what becomes of addresses")
			case g.holder.concerns(e):
				g.log.Warn("looking again", "because", e)
				g.holder.announceAgain(ctx)
				look()
			}
		case t := <-times.times:
			g.setHoldDown(holdDownOf(g.config, t))
			look()
		case <-next.C:
			look()
		case <-expiry.C:
			g.apply(ctx)
		case o := <-answers:
			asking = false
			o = g.learn(o)
			g.apply(ctx)
			if g.reply(ctx, o) {
				look()
			}
			next.Reset(g.hold.interval(g.last, g.promotingSince))
			if g.lease.until.IsZero() {
				expiry.Stop()
			} else {
				expiry.Reset(max(time.Until(g.lease.until), 0))
			}
			if !ready {
				ready = true
				if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
					return fmt.Errorf("tell systemd: %w", err)
				}
			}
		}
	}
}

// heartbeat ticks more often than systemd wants to hear that this process is well.
func heartbeat() (ticks <-chan time.Time, stop func()) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return nil, func() {}
	}
	t := time.NewTicker(every / 3)
	return t.C, t.Stop
}

// learn takes note of an answer. One that came before Patroni's times are known is none:
// nobody could tell for how long it counts.
func (g *Guard) learn(o observation) observation {
	if g.hold == (holdDown{}) && o.err == nil {
		o.standing, o.err = silent, errors.New("its ttl, loop_wait and retry_timeout are not known yet")
	}
	if o.standing == silent {
		g.metrics.failures.WithLabelValues(aboutPatroni).Inc()
		if err := g.patroni.renew(); err != nil { // a certificate may have been renewed
			o.err = errors.Join(o.err, err)
		}
	}
	if o.standing != g.last.standing || g.last.asked.IsZero() {
		attrs := []any{"state", o.status.State, "role", o.status.Role}
		if o.err != nil {
			attrs = []any{"error", o.err}
		}
		g.log.Info("Patroni "+o.standing.String(), attrs...)
		g.promotingSince = o.asked
	}
	g.last = o
	g.lease = g.lease.after(o, g.hold)
	g.metrics.leader.Set(map[standing]float64{leads: 1, retains: 1}[o.standing])
	return o
}

// setHoldDown is for when Patroni has told its times.
func (g *Guard) setHoldDown(h holdDown) {
	if g.hold == h {
		return
	}
	g.hold = h
	g.metrics.holdDown.Set(h.Duration().Seconds())
	if !g.lease.until.IsZero() { // which was by the one before
		g.lease.until = earliest(g.lease.until, g.last.asked.Add(h.Duration()))
	}
	attrs := []any{"hold_down", h.Duration(), "ttl", h.Times.TTL, "loop_wait", h.Times.LoopWait, "retry_timeout", h.Times.RetryTimeout}
	if h.Duration() == 0 {
		g.log.Error("Patroni's times leave no room for a VIP, see dnscp check", attrs...)
		return
	}
	g.log.Info("the hold-down is set", attrs...)
}

// apply has the VIPs and the record be as the lease says.
func (g *Guard) apply(ctx context.Context) {
	var err error
	g.deadline.set(g.lease.until)
	held := g.lease.held(time.Now())
	switch {
	case held:
		err = g.holder.keep(ctx, g.since())
	case g.lease.known:
		err = g.holder.release(g.last.standing)
	default:
		err = g.holder.bound()
	}
	if err != nil {
		g.metrics.failures.WithLabelValues(aboutVIP).Inc()
		if g.failed == nil || g.failed.Error() != err.Error() { // else it was said
			g.log.Error("the VIPs are not as they should be", "error", err)
		}
	}
	g.failed = err
	if g.registrar != nil && g.lease.known {
		var vips []netip.Addr
		if held {
			vips = g.holder.held()
		}
		g.registrar.follow(ctx, vips, g.holder.adopted(), g.since())
	}
}

// since is when this host was told what it now does.
func (g *Guard) since() time.Time {
	at := g.last.asked
	for _, w := range g.waiting {
		if w.at.Before(at) {
			at = w.at
		}
	}
	return at
}

// reply tells those who wait what came of it, once what they came for is settled: where a
// promotion goes on they wait for its end. It returns whether one came after the question.
func (g *Guard) reply(ctx context.Context, o observation) (again bool) {
	var waiting []wake
	for _, w := range g.waiting {
		switch {
		case w.at.After(o.asked):
			again = true
			waiting = append(waiting, w)
		case (o.standing == promoting || o.standing == unlocked) && o.asked.Sub(w.at) < promotionTime:
			waiting = append(waiting, w)
		default:
			g.tell(ctx, w, o)
		}
	}
	g.waiting = waiting
	return again
}

// recordPatience is how long a callback is kept for the record, once the VIP is here.
const recordPatience = 15 * time.Second

// tell answers one of them, once the record has been tried.
func (g *Guard) tell(ctx context.Context, w wake, o observation) {
	a := answer{Standing: o.standing.String(), Holds: g.holder.held()}
	failed := errors.Join(g.failed, o.err)
	if o.standing == promoting {
		failed = errors.Join(failed, fmt.Errorf("PostgreSQL is no primary after %v", promotionTime))
	}
	var t *term
	if o.standing == leads && g.registrar != nil {
		t = g.registrar.term
	}
	go func() {
		if t != nil {
			ctx, cancel := context.WithTimeoutCause(ctx, recordPatience, fmt.Errorf("not done after %v", recordPatience))
			defer cancel()
			failed = errors.Join(failed, t.settled(ctx))
		}
		if failed != nil {
			a.Error = failed.Error()
		}
		w.answer <- a
	}()
}
