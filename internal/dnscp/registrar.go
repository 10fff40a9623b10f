package dnscp

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
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

// registrar keeps the record while this host has the VIPs, and never else: what it does
// ends with the lease.
type registrar struct {
	dns     config.DNS
	updater *record.Updater
	patroni patroni.Client
	log     *slog.Logger
	metrics *metrics

	until atomic.Pointer[time.Time] // of the lease
	term  *term                     // nil while this host does not lead
}

// term is the time in which this host leads, with the same VIPs.
type term struct {
	addresses []netip.Addr
	end       context.CancelFunc
	tried     chan struct{} // closed once the first attempt is over
	err       error         // what came of it
}

func newRegistrar(c config.DNS, client patroni.Client, log *slog.Logger, m *metrics) *registrar {
	return &registrar{dns: c, updater: record.New(c, record.Options{}), patroni: client, log: log, metrics: m}
}

// follow has the record lead to these VIPs until then; none is that this host does not lead.
// adopted is that they were here before the guard, and since is when they had to be.
func (r *registrar) follow(ctx context.Context, addresses []netip.Addr, adopted bool, until, since time.Time) {
	r.until.Store(&until)
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
	r.term = &term{addresses: addresses, end: func() { cancel(errNotLeading) }, tried: make(chan struct{})}
	go r.serve(ctx, r.term, adopted, since)
}

// errNotLeading is why a former leader writes no record.
var errNotLeading = errors.New("this host does not lead any more")

// serve keeps the record until the term ends.
func (r *registrar) serve(ctx context.Context, t *term, adopted bool, since time.Time) {
	fresh, retry := !adopted, retryLeast
	refresh := nextRefresh(time.Now(), hostSeed()+r.dns.Name)
	for first := true; ; first = false {
		now := time.Now()
		write := fresh || now.After(refresh)
		err := r.ensure(ctx, r.dns.Name, t.addresses, write)
		if first {
			t.err = err
			close(t.tried)
			if err == nil && fresh {
				r.metrics.transition.WithLabelValues(aboutRecord).Observe(time.Since(since).Seconds())
			}
		}
		if err == nil && r.dns.ReadName != "" {
			err = r.ensureReaders(ctx, t, write)
		}
		if ctx.Err() != nil {
			return
		}
		wait := checkInterval
		switch {
		case err != nil:
			r.metrics.failures.WithLabelValues(aboutRecord).Inc()
			wait, retry = retry, min(2*retry, retryMost)
			r.log.Error("the record is not as it should be", "error", err, "again_in", wait)
		default:
			if fresh, retry = false, retryLeast; now.After(refresh) {
				refresh = nextRefresh(time.Now(), hostSeed()+r.dns.Name)
			}
			if r.dns.ReadName != "" {
				wait = readersInterval
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
func (r *registrar) ensure(ctx context.Context, name string, addresses []netip.Addr, write bool) error {
	if !write {
		is, _, err := r.updater.Lookup(ctx, name)
		if err != nil {
			return err
		}
		if slices.Equal(is.Addresses, slices.SortedFunc(slices.Values(addresses), netip.Addr.Compare)) && is.TTL == r.dns.TTL {
			return nil
		}
		r.log.Warn("the record is not this host's", "name", name, "found", is)
	}
	// A process that was frozen may find itself here long after its lease.
	if !time.Now().Before(*r.until.Load()) {
		return errNotLeading
	}
	o, err := r.updater.Set(ctx, record.Wanted{Name: name, Addresses: addresses})
	if err != nil {
		return err
	}
	r.metrics.updated.WithLabelValues(name).SetToCurrentTime()
	r.log.Info("wrote the record", "name", name, "addresses", addresses, "ttl", r.dns.TTL,
		"zone", o.Zone, "server", o.Server, "auth", o.Auth, "took", o.Took.Round(time.Millisecond))
	if o.Complaint != nil {
		r.log.Warn("the record is right, and no server took the update", "name", name, "error", o.Complaint)
	}
	return nil
}

// ensureReaders has the second name lead to the replicas, or where there is none to the
// leader, so that nobody who reads is without.
func (r *registrar) ensureReaders(ctx context.Context, t *term, write bool) error {
	within, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	cluster, err := r.patroni.Cluster(within)
	if err != nil {
		return err
	}
	addresses, err := resolve(within, readers(cluster))
	if err != nil {
		return fmt.Errorf("the addresses of the replicas: %w", err)
	}
	if len(addresses) == 0 {
		addresses = t.addresses
	}
	return r.ensure(ctx, r.dns.ReadName, addresses, write)
}

// readers are the hosts of the replicas that stream and take clients. Before Patroni 3.0.4
// one that streams is "running".
func readers(c patroni.Cluster) []string {
	var hosts []string
	for _, m := range c.Members {
		if !m.Leads() && (m.State == "streaming" || m.State == "running") && m.Tags["noloadbalance"] != true {
			hosts = append(hosts, m.Host)
		}
	}
	return hosts
}

// resolve finds the addresses of hosts, which Patroni may know by name.
func resolve(ctx context.Context, hosts []string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, host := range hosts {
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			all = append(all, a.Unmap())
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all), nil
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
