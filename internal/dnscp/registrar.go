package dnscp

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"banyan/internal/dnscp/config"
	"banyan/internal/dnscp/record"
	"banyan/internal/patroni"
)

const (
	// checkInterval is how often the leader looks whether the record is still its own: an
	// update of a former leader may arrive late, and people edit zones.
	checkInterval = time.Minute
	// readersInterval is how often it looks which replicas there are, where they have a name.
	readersInterval = 10 * time.Second
	// retryLeast and retryMost are what lies between attempts that fail; it is doubled.
	retryLeast = time.Second
	retryMost  = 30 * time.Second
	// refreshInterval is how often a record is written that is right: servers that scavenge
	// forget what nobody refreshes for days.
	refreshInterval = 24 * time.Hour
)

// registrar keeps the records while this host has the VIPs, and never else: what it does
// ends with the lease.
type registrar struct {
	dns     config.DNS
	updater *record.Updater
	patroni func() patroni.Client
	log     *slog.Logger
	metrics *metrics

	lease *deadline
	term  *term // nil while this host does not lead
}

// term is the time in which this host leads, with the same VIPs.
type term struct {
	addresses []netip.Addr
	end       context.CancelFunc
	tried     chan struct{} // closed once the first attempt is over

	mu     sync.Mutex
	result error // of the last attempt
}

// attempted takes note of what came of an attempt.
func (t *term) attempted(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result = err
	select {
	case <-t.tried:
	default:
		close(t.tried)
	}
}

// settled waits until the record was tried, and returns what came of the last attempt.
func (t *term) settled(ctx context.Context) error {
	select {
	case <-t.tried:
	case <-ctx.Done():
		return fmt.Errorf("the record is still being tried: %w", context.Cause(ctx))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.result
}

func newRegistrar(c config.DNS, client func() patroni.Client, lease *deadline, log *slog.Logger, m *metrics) *registrar {
	return &registrar{lease: lease, dns: c, updater: record.New(c, record.Options{}), patroni: client, log: log, metrics: m}
}

// follow has the name lead to these VIPs; none is that this host does not lead.
// adopted is that they were here before the guard, and since is when they had to be.
func (r *registrar) follow(ctx context.Context, addresses []netip.Addr, adopted bool, since time.Time) {
	if r.term != nil && slices.Equal(r.term.addresses, addresses) {
		return
	}
	if r.term != nil {
		r.term.end()
		r.term = nil
	}
	if len(addresses) == 0 {
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	t := &term{addresses: addresses, end: func() { cancel(errNotLeading) }, tried: make(chan struct{})}
	r.term = t
	timed := adopted // only a change is
	go r.keep(ctx, kept{
		name: r.dns.Name, every: checkInterval, fresh: !adopted,
		addresses: func(context.Context) ([]netip.Addr, error) { return addresses, nil },
		attempted: func(err error) {
			t.attempted(err)
			if err == nil && !timed {
				timed = true
				r.metrics.transition.WithLabelValues(aboutRecord).Observe(time.Since(since).Seconds())
			}
		},
	})
	if r.dns.ReadName != "" {
		readers := &readers{patroni: r.patroni, leader: addresses}
		go r.keep(ctx, kept{
			name: r.dns.ReadName, every: readersInterval, fresh: !adopted, addresses: readers.addresses, attempted: func(error) {},
		})
	}
}

// errNotLeading is why a former leader writes no record.
var errNotLeading = errors.New("this host does not lead any more")

// leads refuses what comes after the lease: a process that was frozen may go on long after it.
func (r *registrar) leads() error {
	if r.lease.passed() {
		return errNotLeading
	}
	return nil
}

// kept is a name, and how it is kept.
type kept struct {
	name      string
	every     time.Duration // how often it is looked at
	fresh     bool          // it is written at first, whatever it is
	addresses func(context.Context) ([]netip.Addr, error)
	attempted func(error) // is told what came of each attempt
	capped    bool        // the server allows a shorter TTL only: it is not written again for that
}

// keep keeps a name until the term ends.
func (r *registrar) keep(ctx context.Context, k kept) {
	seed := hostSeed() + k.name
	retry, refresh := retryLeast, nextRefresh(time.Now(), seed)
	for {
		daily := time.Now().After(refresh)
		addresses, err := k.addresses(ctx)
		if err == nil {
			err = r.ensure(ctx, &k, addresses, k.fresh || daily)
		}
		if ctx.Err() != nil {
			return
		}
		k.attempted(err)
		wait := k.every
		if err != nil {
			r.metrics.failures.WithLabelValues(aboutRecord).Inc()
			wait, retry = retry, min(2*retry, retryMost)
			r.log.Error("the record is not as it should be", "name", k.name, "error", err, "again_in", wait)
		} else {
			k.fresh, retry = false, retryLeast
			if daily {
				refresh = nextRefresh(time.Now(), seed)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// ensure has a name lead to these addresses. Unless it is to be written whatever it is, it is
// looked at first.
func (r *registrar) ensure(ctx context.Context, k *kept, addresses []netip.Addr, always bool) error {
	same := false
	if !always {
		is, _, err := r.updater.Lookup(ctx, k.name)
		if err != nil {
			return err
		}
		same = is.Has(addresses)
		switch {
		case same && (is.TTL == r.dns.TTL || k.capped):
			return nil
		case same:
			r.log.Warn("the record has another TTL", "name", k.name, "ttl", is.TTL)
		default:
			r.log.Warn("the record leads elsewhere", "name", k.name, "found", is)
		}
	}
	err := write(ctx, r.updater, record.Wanted{Name: k.name, Addresses: addresses, Still: r.leads}, r.dns.TTL, r.log)
	if err == nil {
		k.capped = k.capped || same // the server has heard which TTL is wanted
		r.metrics.updated.WithLabelValues(k.name).SetToCurrentTime()
	}
	return err
}

// write has a name lead to these addresses. A record that is right, and that no server takes an
// update of, is an error.
func write(ctx context.Context, u *record.Updater, w record.Wanted, ttl int, log *slog.Logger) error {
	o, err := u.Set(ctx, w)
	if err == nil && !o.Taken {
		err = o.Complaint
	}
	if err != nil {
		return err
	}
	log.Info("wrote the record", "name", w.Name, "addresses", w.Addresses, "ttl", ttl,
		"zone", o.Zone, "server", o.Server, "auth", o.Auth, "took", o.Took.Round(time.Millisecond))
	if o.Complaint != nil {
		log.Warn("not all went well with the record, though it was written", "name", w.Name, "error", o.Complaint)
	}
	return nil
}

// nextRefresh is the first time after now that is the host's own of each day, so that all
// clusters of a site do not come to the servers at once.
func nextRefresh(now time.Time, seed string) time.Time {
	offset := time.Duration(crc32.ChecksumIEEE([]byte(seed))) * time.Second % refreshInterval
	at := now.UTC().Truncate(refreshInterval).Add(offset)
	if !at.After(now) {
		at = at.Add(refreshInterval)
	}
	return at
}

// hostSeed is what tells hosts apart; none is as good as another.
func hostSeed() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}
