package dnscp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"syscall"

	"banyan/internal/check"
	"banyan/internal/dnscp/config"
	"banyan/internal/dnscp/record"
	"banyan/internal/dnscp/vip"
)

// Result is what a host's connection point looks like.
type Result struct {
	State    check.State   `json:"state"` // the worst of them
	Checks   []check.Check `json:"checks"`
	HoldDown float64       `json:"hold_down,omitempty"` // in seconds, once Patroni has told its times

	arithmetic string
}

// ExitCode is that of `dnscp check`.
func (r Result) ExitCode() int { return r.State.ExitCode() }

// String is the table of the checks, and how the hold-down comes about.
func (r Result) String() string {
	s := check.Table(r.Checks)
	if r.arithmetic != "" {
		s += "\n" + r.arithmetic
	}
	return fmt.Sprintf("%s\n%s\n", s, check.Sum(r.Checks))
}

// sight is what was seen of a host.
type sight struct {
	config     config.Config
	patroni    observation
	hold       *holdDown // nil where Patroni has not told its times
	guard      error     // does not answer
	interfaces []vip.Interface
	secret     error // cannot be read, or others may read it
	found      record.Found
	zone       error // the zone, its servers or the realm are not found
	way        error // an update would be refused
	records    []seen
}

// seen is a name as its zone's server has it.
type seen struct {
	name   string
	record record.Record
	server string
	err    error
}

// Check looks at this host's connection point. It changes nothing: a guard that is woken
// does what it does anyway.
func Check(ctx context.Context, c config.Config) (Result, error) {
	s := sight{config: c}
	client, err := NewPatroni(c.Patroni)
	if err != nil {
		return Result{}, err
	}
	s.patroni = ask(ctx, client, askTime)
	if times, err := askTimes(ctx, client); err == nil { // else Patroni's check says why, or it is silent on this
		h := holdDownOf(c, times)
		s.hold = &h
	}
	_, s.guard = wakeUp(ctx, Socket)
	if s.interfaces, err = vip.Interfaces(); err != nil {
		return Result{}, err
	}
	if c.DNS.SecretFile != "" {
		s.secret = checkSecret(c.DNS.SecretFile)
	}
	if c.DNS.Name != "" {
		updater := record.New(c.DNS, record.Options{})
		s.found, s.zone = updater.Find(ctx, c.DNS.Name)
		if s.zone == nil {
			s.way = updater.Try(ctx, c.DNS.Name)
		}
		for _, name := range []string{c.DNS.Name, c.DNS.ReadName} {
			if name == "" {
				continue
			}
			is, o, err := updater.Lookup(ctx, name)
			s.records = append(s.records, seen{name, is, o.Server, err})
		}
	}
	return s.judge(), nil
}

// guardUser is who the guard runs as, by the package.
const guardUser = "dnscp"

// checkSecret refuses a secret that the guard may not read, or that everybody may.
func checkSecret(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s has no owner", path)
	}
	guard, err := user.Lookup(guardUser)
	if errors.As(err, new(user.UnknownUserError)) { // dnscp is not from its package
		guard, err = user.Current()
	}
	if err != nil {
		return err
	}
	return secretFor(path, info.Mode(), fmt.Sprint(stat.Uid), fmt.Sprint(stat.Gid), *guard)
}

func secretFor(path string, mode fs.FileMode, uid, gid string, guard user.User) error {
	switch {
	case mode.Perm()&0o007 != 0:
		return fmt.Errorf("%s is for everybody to read", path)
	case guard.Uid == "0", uid == guard.Uid && mode.Perm()&0o400 != 0, gid == guard.Gid && mode.Perm()&0o040 != 0:
		return nil
	}
	return fmt.Errorf("%s is not for %s to read", path, guard.Username)
}

// judge makes the checks of what was seen.
func (s sight) judge() Result {
	var r Result
	for _, look := range []func() []check.Check{s.checkPatroni, s.checkHoldDown, s.checkGuard, s.checkVIPs, s.checkZone, s.checkRecords} {
		r.Checks = append(r.Checks, look()...)
	}
	r.State = check.Worst(r.Checks)
	if s.hold != nil {
		r.HoldDown, r.arithmetic = s.hold.Duration().Seconds(), s.hold.String()
	}
	return r
}

func (s sight) checkPatroni() []check.Check {
	v := check.Begin("Patroni")
	if s.patroni.standing == silent {
		v.Fail("systemctl status patroni; the address is patroni.url of the configuration", "it does not answer: %v", s.patroni.err)
	}
	return v.End("at %s, %s", s.config.Patroni.URL, s.patroni.standing)
}

func (s sight) checkHoldDown() []check.Check {
	v := check.Begin("hold-down")
	if s.hold == nil {
		return v.Skip("Patroni has not told its times")
	}
	h := s.hold
	watched := s.config.Patroni.Watchdog.Mode == config.WatchdogRequired // what is automatic may not be there
	switch {
	case h.Duration() == 0:
		v.Fail("patronictl edit-config: lower loop_wait or retry_timeout, or raise ttl", "Patroni's times leave no room for a VIP")
	case h.Wanted > h.Safe():
		v.Warn("hold_down of the configuration: lower it, or leave it out", "%v are wanted, and %v count", h.Wanted, h.Safe())
	case s.patroni.standing != silent && s.patroni.status.DCSLastSeen == 0 && !watched:
		v.Warn("update Patroni to 2.1, or give it a watchdog", "a Patroni that hangs, and whose REST API does not, is not noticed before ttl")
	}
	return v.End("%v", h.Duration())
}

func (s sight) checkGuard() []check.Check {
	v := check.Begin("guard")
	switch {
	case errors.Is(s.guard, errNoGuard):
		v.Fail("systemctl enable --now dnscp.socket dnscp.service", "it does not run")
	case s.guard != nil:
		v.Fail("journalctl -u dnscp", "%v", s.guard)
	}
	return v.End("answers at %s", Socket)
}

func (s sight) checkVIPs() []check.Check {
	var checks []check.Check
	places, err := vip.Own(s.interfaces, s.config.VIPs, s.config.Interface)
	if err != nil {
		v := check.Begin("VIPs")
		v.Fail("ip address; the VIPs of the configuration", "%v", err)
		checks = append(checks, v.End("")...)
	}
	for _, addr := range s.config.VIPs {
		v := check.Begin("VIP " + addr.String())
		p, own := places[addr]
		held := vip.Held(s.interfaces, addr)
		switch {
		case !own && len(held) == 0:
			checks = append(checks, v.End("of another site")...)
			continue
		case !own:
			v.Fail("journalctl -u dnscp", "it is on %s, which is not in its subnet", held[0].Interface)
		case s.patroni.standing == leads && len(held) == 0:
			v.Fail("journalctl -u dnscp", "this host leads, and does not have it")
		case s.patroni.standing == follows && len(held) > 0:
			v.Fail("journalctl -u dnscp", "this host has it, and does not lead")
		}
		is := "not here"
		if len(held) > 0 {
			is = "here"
		}
		checks = append(checks, v.End("%s, %s", p, is)...)
	}
	return checks
}

// checkZone: where an update goes, and by whose word.
func (s sight) checkZone() []check.Check {
	if s.config.DNS.Name == "" {
		return nil
	}
	v := check.Begin("zone")
	if s.zone != nil {
		v.Fail("dns.zone and dns.servers of the configuration, or the host's resolvers", "%v", s.zone)
	}
	if s.found.Absent != nil {
		v.Warn("the NS records of the zone, or dns.servers", "%v", s.found.Absent)
	}
	if s.way != nil {
		v.Fail("the secret, the account or key, and the way to the servers", "an update would fail: %v", s.way)
	}
	if s.secret != nil {
		v.Fail(fmt.Sprintf("chown dnscp: %[1]s; chmod 600 %[1]s", s.config.DNS.SecretFile), "the secret: %v", s.secret)
	}
	ttl := s.config.DNS.TTL
	if ttl > ttlMoving && len(s.own()) < len(s.config.VIPs) {
		v.Warn("dns.ttl: 30 is usual", "for up to %d s clients look for the leader at the site that it left", ttl)
	}
	if ttl > ttlMoving && s.config.DNS.ReadName != "" {
		v.Warn("dns.ttl: 30 is usual", "for up to %d s clients look for replicas that are gone", ttl)
	}
	by := string(s.config.DNS.Auth)
	if s.found.Realm != "" {
		by += " in the realm " + s.found.Realm
	}
	return v.End("%s, updated at %v by %s", s.found.Zone, s.found.Servers, by)
}

func (s sight) checkRecords() []check.Check {
	var checks []check.Check
	own := s.own()
	for _, r := range s.records {
		v := check.Begin("record " + r.name)
		if r.err != nil {
			v.Fail("the zone's servers are those of dns.servers, or of its SOA and NS records", "%v", r.err)
		}
		if r.err == nil && r.name == s.config.DNS.Name {
			switch {
			case s.patroni.standing == leads && !r.record.Has(own):
				v.Fail("journalctl -u dnscp", "it leads to %v, and this host, which leads, has %v", r.record.Addresses, own)
			case len(r.record.Addresses) == 0:
				v.Fail("on the leader: journalctl -u dnscp", "there is no such name")
			case slices.ContainsFunc(r.record.Addresses, func(a netip.Addr) bool { return !slices.Contains(s.config.VIPs, a) }):
				v.Fail("on the leader: journalctl -u dnscp", "it leads to %v, and the VIPs are %v", r.record.Addresses, s.config.VIPs)
			}
		}
		checks = append(checks, v.End("%s at %s", r.record, r.server)...)
	}
	return checks
}

// ttlMoving is the longest that a record may be kept where what it leads to changes.
const ttlMoving = 30

// own are the VIPs of this host's subnets, in order; what is wrong with them checkVIPs says.
func (s sight) own() []netip.Addr {
	places, _ := vip.Own(s.interfaces, s.config.VIPs, s.config.Interface)
	return slices.SortedFunc(maps.Keys(places), netip.Addr.Compare)
}
