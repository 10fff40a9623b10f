package dnscp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"banyan/internal/dnscp/config"
	"banyan/internal/dnscp/record"
	"banyan/internal/dnscp/vip"
	"banyan/internal/patroni"
)

// script does the work of one call, as dnscp.sh does.
type script struct {
	call    Call
	log     *slog.Logger
	hands   hands
	patroni *patroni.Client // nil where it cannot be asked
}

// alone is for a host without a guard.
func (c Call) alone(ctx context.Context, log *slog.Logger) error {
	if len(c.VIPs) == 0 {
		log.Info("there are no -vips, and nothing to do")
		return nil
	}
	unlock, err := lockSelf(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	s := script{call: c, log: log, hands: ownHands()}
	if found, err := findPatroni(c.Scope); err != nil {
		log.Debug("Patroni is not asked", "error", err)
	} else if client, err := NewPatroni(found); err != nil {
		log.Warn("Patroni is not asked", "error", err)
	} else {
		s.patroni = &client
	}
	is, vouched := s.standing(ctx)
	switch {
	case c.Role == registerRole && is == leads && !vouched:
		return errors.New("it is not known whether this host leads, since Patroni does not tell: the record is left as it is")
	case is == leads:
		return s.take(ctx, unlock)
	default:
		return s.release(ctx)
	}
}

// standing is what this host is by Patroni's word, where it can be asked, else by that of
// the caller.
func (s script) standing(ctx context.Context) (is standing, vouched bool) {
	if s.patroni == nil {
		return s.call.wants(), false
	}
	switch o := settled(ctx, *s.patroni); o.standing {
	case silent, unlocked:
		s.log.Warn("Patroni does not tell who leads", "standing", o.standing, "error", o.err)
		return s.call.wants(), false
	case promoting, retains: // it has the lock
		return leads, true
	default:
		return o.standing, true
	}
}

// settleTime is for how long a call waits for Patroni to settle: on_role_change comes before
// the promotion, and only once.
const settleTime = 45 * time.Second

// settled asks until a promotion is over, or for as long as there is time.
func settled(ctx context.Context, client patroni.Client) observation {
	began := time.Now()
	for {
		o := ask(ctx, client, askTime)
		waits := map[standing]time.Duration{promoting: settleTime, unlocked: promotionTime}[o.standing]
		if time.Since(began) >= waits {
			return o
		}
		select {
		case <-ctx.Done():
			return o
		case <-time.After(promotionInterval):
		}
	}
}

// lockSelf has callbacks of one host work one after the other: of two that overlap, the one
// that began later is right. The lock goes with the process, whatever ends that.
func lockSelf(ctx context.Context) (unlock func(), err error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(self.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = self.Close() }, nil // a second time it does nothing
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", self.Name(), err), self.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another dnscp is still at work: %w", context.Cause(ctx)), self.Close())
		case <-time.After(promotionInterval):
		}
	}
}

// take has the VIPs here, and the record lead to them; unlock is called once they are here.
func (s script) take(ctx context.Context, unlock func()) error {
	all, err := vip.Interfaces()
	if err != nil {
		return err
	}
	places, err := vip.Own(all, s.call.VIPs, "")
	errs := []error{err}
	var fresh []vip.Place
	for _, p := range places {
		here := slices.ContainsFunc(vip.Held(all, p.Address.Addr()), p.Same)
		if here && s.call.Role != registerRole { // a guard's that was here before would run out
			here, err = vip.Permanent(p.Address.Addr())
			errs = append(errs, err)
		}
		if here {
			s.log.Debug("it is here", "vip", p.Address.Addr(), "interface", p.Interface)
			continue
		}
		if s.call.Role == registerRole {
			errs = append(errs, fmt.Errorf("%s is not on this host", p.Address.Addr()))
			continue
		}
		began := time.Now()
		if other, err := s.hands.probe(ctx, p, probeTime); err == nil && other != nil {
			s.log.Error("another host has the VIP, and this one leads", "vip", p.Address.Addr(), "mac", other)
		}
		if err := s.hands.lease(p, 0); err != nil {
			errs = append(errs, err)
			continue
		}
		s.log.Info("took the VIP", "vip", p.Address.Addr(), "interface", p.Interface, "took", time.Since(began).Round(time.Millisecond))
		fresh = append(fresh, p)
	}
	unlock() // a later call may have to give them up
	announced := make(chan error, 1)
	go func() { announced <- s.announce(ctx, fresh) }()
	if errors.Join(errs...) == nil {
		errs = append(errs, s.register(ctx, slices.SortedFunc(maps.Keys(places), netip.Addr.Compare)))
	}
	return errors.Join(append(errs, <-announced)...)
}

// announce tells the subnets over some seconds, as long as the VIPs are here.
func (s script) announce(ctx context.Context, places []vip.Place) error {
	began := time.Now()
	for _, at := range announcements {
		if len(places) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(began.Add(at))):
		}
		all, err := vip.Interfaces()
		if err != nil {
			return err
		}
		for _, p := range places {
			if !slices.ContainsFunc(vip.Held(all, p.Address.Addr()), p.Same) {
				continue
			}
			if err := s.hands.announce(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// release removes the VIPs, and what cron does for them.
func (s script) release(ctx context.Context) error {
	var errs []error
	for _, addr := range s.call.VIPs {
		sever(addr, s.hands.sever, s.log)
		gone, err := s.hands.release(addr)
		errs = append(errs, err)
		for _, name := range gone {
			s.log.Info("removed the VIP", "vip", addr, "interface", name)
		}
	}
	if err := schedule(ctx, s.call, false); err != nil {
		s.log.Warn("the daily refresh of the record is still in the crontab", "error", err)
	}
	return errors.Join(errs...)
}

// register has the record lead to the VIPs, now and daily.
func (s script) register(ctx context.Context, vips []netip.Addr) error {
	d := s.call.DNS()
	if d.Name == "" {
		s.log.Debug("there is neither a password nor a zone, and so no record")
		return nil
	}
	if d.Zone == "" {
		domain, err := zoneOf(ctx, d)
		if err != nil {
			return fmt.Errorf("the record's zone is not given: %w", err)
		}
		d.Name += "." + domain
		s.log.Info("the name is in the zone of this host's realm", "name", d.Name)
	}
	if err := schedule(ctx, s.call, true); err != nil {
		s.log.Warn("the record is not refreshed daily, which zones with scavenging want", "error", err)
	}
	wanted := record.Wanted{Name: d.Name, Addresses: vips, Still: func() error { return s.leads(ctx) }}
	return write(ctx, record.New(d, record.Options{Plain: true}), wanted, d.TTL, s.log)
}

// leads refuses what another host is to do by now, as far as Patroni can be asked.
func (s script) leads(ctx context.Context) error {
	if s.patroni != nil && ask(ctx, *s.patroni, askTime).standing == follows {
		return errNotLeading
	}
	return nil
}

// zoneOf is where a name belongs whose zone is not given: as dnscp.sh has it, in the zone
// of the realm that this host is in.
func zoneOf(ctx context.Context, d config.DNS) (string, error) {
	domain, err := hostDomain()
	if err != nil {
		return "", err
	}
	realm, err := record.New(d, record.Options{}).RealmOf(ctx, domain)
	return strings.ToLower(realm), err
}

// hostDomain is the domain that this host is in.
func hostDomain() (string, error) {
	if name, err := os.Hostname(); err == nil {
		if _, domain, ok := strings.Cut(name, "."); ok {
			return domain, nil
		}
	}
	resolver, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(resolver)) {
		if words := strings.Fields(line); len(words) > 1 && (words[0] == "search" || words[0] == "domain") {
			return words[1], nil
		}
	}
	return "", errors.New("neither the host's name nor /etc/resolv.conf has a domain: give -dnszonefqdn")
}
