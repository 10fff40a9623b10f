package dnscp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"banyan/internal/patroni"
)

// clusterInterval is how often Patroni is asked for its members where nobody has begun or
// ceased to replicate from here. Each such question has it read the DCS, and its answer would
// vouch for a main loop that hangs: see [lease].
const clusterInterval = 5 * time.Minute

// readers finds where those are led who only read.
type readers struct {
	patroni func() patroni.Client
	leader  []netip.Addr // where there is no replica

	streams []patroni.Stream // as the members were asked for
	asked   time.Time
	hosts   []string
}

// addresses are those of the replicas, or where there is none those of the leader, so that
// nobody who reads is without.
func (r *readers) addresses(ctx context.Context) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	self, err := r.patroni().Status(ctx)
	if err != nil {
		return nil, err
	}
	if r.asked.IsZero() || time.Since(r.asked) > clusterInterval || !slices.Equal(self.Replication, r.streams) {
		cluster, err := r.patroni().Cluster(ctx)
		if err != nil {
			return nil, err
		}
		hosts, known := streaming(cluster, self.Software)
		// A member is told a round later than PostgreSQL knows of it: until then it is asked for again.
		if members := len(cluster.Members) - 1; known >= min(members, len(self.Replication)) {
			r.streams, r.asked = self.Replication, time.Now()
		}
		r.hosts = hosts
	}
	addresses, err := resolve(ctx, r.hosts)
	if err != nil {
		return nil, fmt.Errorf("the addresses of the replicas: %w", err)
	}
	if len(addresses) == 0 {
		return r.leader, nil
	}
	return addresses, nil
}

// streaming are the hosts of the replicas that stream and take clients, and how many stream.
// Patroni says that of one from 3.0.4 on; before, one that streams is running.
func streaming(c patroni.Cluster, software patroni.Software) (hosts []string, known int) {
	state := "streaming"
	if !software.AtLeast(3, 0, 4) {
		state = "running"
	}
	for _, m := range c.Members {
		if m.Leads() || m.State != state {
			continue
		}
		known++
		if m.Tags["noloadbalance"] != true {
			hosts = append(hosts, m.Host)
		}
	}
	return hosts, known
}

// resolve finds the addresses of hosts, which Patroni may know by name. Who has none is left
// out; that nobody has is an error.
func resolve(ctx context.Context, hosts []string) ([]netip.Addr, error) {
	var all []netip.Addr
	var errs []error
	for _, host := range hosts {
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, a := range found {
			all = append(all, a.Unmap())
		}
	}
	if len(all) == 0 {
		return nil, errors.Join(errs...)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all), nil
}
