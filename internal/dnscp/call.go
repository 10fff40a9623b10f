package dnscp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// Run does what a callback is for. Where a guard runs it is woken, and knows better than a
// call that may be late what is to be done; the error then is what it could not do. Else
// the work is done here, with the privileges of this process.
func (c Call) Run(ctx context.Context, log *slog.Logger) error {
	answer, err := Wake(ctx)
	switch {
	case errors.Is(err, ErrNoGuard) && hasGuard():
		return errNotRunning // who does its work leaves a VIP that it would not know of
	case errors.Is(err, ErrNoGuard):
		return c.alone(ctx, log)
	case err != nil:
		return err
	case answer.Error != "":
		return errors.New(answer.Error)
	}
	log.Debug("the guard has looked", "patroni", answer.Standing, "holds", answer.Holds)
	return nil
}

// errNotRunning is that a host has a guard which does not run.
var errNotRunning = errors.New("the guard does not run: systemctl start dnscp.socket dnscp.service")

// hasGuard tells whether this host is to have a guard.
func hasGuard() bool {
	_, err := os.Stat(config.File)
	return !errors.Is(err, fs.ErrNotExist)
}

// BeforeStop has the VIPs go before PostgreSQL stops. Without a guard those in vips, separated
// by commas, are removed here.
func BeforeStop(ctx context.Context, vips string, log *slog.Logger) error {
	answer, err := Wake(ctx)
	if errors.Is(err, ErrNoGuard) && vips != "" && !hasGuard() {
		c := Call{Action: "on_stop"}
		if c.VIPs, err = parseVIPs(vips); err != nil {
			return err
		}
		return c.alone(ctx, log)
	}
	switch {
	case errors.Is(err, ErrNoGuard) && hasGuard():
		return errNotRunning
	case errors.Is(err, ErrNoGuard):
		return fmt.Errorf("%w: name the VIPs by --vips", err)
	case err != nil:
		return err
	}
	if len(answer.Holds) > 0 {
		log.Info("the VIPs stay, since Patroni stops no leader for good", "patroni", answer.Standing, "holds", answer.Holds)
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	return nil
}

// alone is dnscp.sh: there is no guard on this host.
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
	is, vouched, err := c.standing(ctx, log)
	if err != nil {
		return err
	}
	s := alone{call: c, log: log, hands: ownHands()}
	switch {
	case c.Role == registerRole && is == leads && !vouched:
		return errors.New("it is not known whether this host leads, since Patroni's configuration is not found: the record is left as it is")
	case is == leads:
		return s.take(ctx, unlock)
	default:
		return s.release(ctx)
	}
}

// registerRole is what dnscp.sh has cron say once a day.
const registerRole = "registerdns"

// standing is what this host is by Patroni's word, where it can be asked, else by that of
// the caller.
func (c Call) standing(ctx context.Context, log *slog.Logger) (is standing, vouched bool, err error) {
	wants := c.wants()
	found, err := FindPatroni()
	if err != nil {
		log.Debug("Patroni is not asked", "error", err)
		return c.otherwise(wants), false, nil
	}
	client, err := NewPatroni(found)
	if err != nil {
		return silent, false, err
	}
	switch o := settled(ctx, client); o.standing {
	case silent, unlocked:
		log.Warn("Patroni does not tell who leads", "standing", o.standing, "error", o.err)
		return c.otherwise(wants), false, nil
	case promoting, retains: // it has the lock
		return leads, true, nil
	default:
		return o.standing, true, nil
	}
}

// otherwise is what the caller wants; one who is to register again wants nothing changed.
func (c Call) otherwise(wants standing) standing {
	if wants == retains {
		return leads
	}
	return wants
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

// alone does the work of one call.
type alone struct {
	call  Call
	log   *slog.Logger
	hands hands
}

// take has the VIPs here, and the record lead to them; unlock is called once they are here.
func (a alone) take(ctx context.Context, unlock func()) error {
	all, err := vip.Interfaces()
	if err != nil {
		return err
	}
	places, err := vip.Own(all, a.call.VIPs, "")
	errs := []error{err}
	var taken []vip.Place
	for _, p := range places {
		if slices.ContainsFunc(vip.Held(all, p.Address.Addr()), p.Same) {
			a.log.Debug("it is here", "vip", p.Address.Addr(), "interface", p.Interface)
			continue
		}
		if a.call.Role == registerRole {
			errs = append(errs, fmt.Errorf("%s is not on this host", p.Address.Addr()))
			continue
		}
		began := time.Now()
		if _, raw := vip.Privileged(); raw {
			if other, err := vip.Probe(ctx, p, probeTime); err == nil && other != nil {
				a.log.Error("another host has the VIP, and this one leads", "vip", p.Address.Addr(), "mac", other)
			}
		}
		if err := a.hands.lease(p, 0); err != nil {
			errs = append(errs, err)
			continue
		}
		a.log.Info("took the VIP", "vip", p.Address.Addr(), "interface", p.Interface, "took", time.Since(began).Round(time.Millisecond))
		taken = append(taken, p)
	}
	unlock() // a later call may have to give them up
	announced := make(chan error, 1)
	go func() { announced <- a.announce(ctx, taken) }()
	if errors.Join(errs...) == nil {
		errs = append(errs, a.register(ctx, slices.SortedFunc(maps.Keys(places), netip.Addr.Compare)))
	}
	return errors.Join(append(errs, <-announced)...)
}

// announce tells the subnets over some seconds, as long as the VIPs are here.
func (a alone) announce(ctx context.Context, places []vip.Place) error {
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
			if err := a.hands.announce(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// release removes the VIPs, and what cron does for them.
func (a alone) release(ctx context.Context) error {
	var errs []error
	for _, addr := range a.call.VIPs {
		_, severed := a.hands.sever(addr)
		gone, err := a.hands.release(addr)
		errs = append(errs, severed, err)
		for _, name := range gone {
			a.log.Info("removed the VIP", "vip", addr, "interface", name)
		}
	}
	if err := schedule(ctx, a.call, false); err != nil {
		a.log.Warn("the daily refresh of the record is still in the crontab", "error", err)
	}
	return errors.Join(errs...)
}

// register has the record lead to the VIPs, now and daily.
func (a alone) register(ctx context.Context, vips []netip.Addr) error {
	d := a.call.DNS()
	if d.Name == "" {
		a.log.Debug("there is neither a password nor a zone, and so no record")
		return nil
	}
	if d.Zone == "" {
		domain, err := zoneOf(ctx, d)
		if err != nil {
			return fmt.Errorf("the record's zone is not given: %w", err)
		}
		d.Name += "." + domain
		a.log.Info("the name is in the zone of this host's realm", "name", d.Name)
	}
	if err := schedule(ctx, a.call, true); err != nil {
		a.log.Warn("the record is not refreshed daily, which zones with scavenging want", "error", err)
	}
	o, err := record.New(d, record.Options{Plain: true}).Set(ctx, record.Wanted{Name: d.Name, Addresses: vips, Still: func() error { return a.leads(ctx) }})
	if err == nil && !o.Taken {
		err = o.Complaint
	}
	if err != nil {
		return err
	}
	a.log.Info("wrote the record", "name", d.Name, "addresses", vips, "ttl", d.TTL,
		"zone", o.Zone, "server", o.Server, "auth", o.Auth, "took", o.Took.Round(time.Millisecond))
	return nil
}

// leads refuses what another host is to do by now, as far as Patroni can be asked.
func (a alone) leads(ctx context.Context) error {
	found, err := FindPatroni()
	if err != nil {
		return nil //nolint:nilerr // then it was not asked before, either
	}
	client, err := NewPatroni(found)
	if err != nil {
		return err
	}
	if o := ask(ctx, client, askTime); o.standing == follows {
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
