// Package record keeps the record of a highly available cluster in DNS: a name with the
// addresses of whoever leads. It is kept by dynamic updates, RFC 2136, which are plain, or
// signed with a key (TSIG, RFC 8945) or with an account of Kerberos (GSS-TSIG, RFC 3645).
//
// A change is one message that takes away the old addresses and adds the new ones, so that
// there is never a moment without a record, which resolvers and clients would remember
// (RFC 2308). Whether it came to pass is not believed of the answer but looked up at the
// server that took it: signatures of Samba's and Microsoft's answers do not verify for
// those who know how, and an answer may get lost.
//
// What was sent cannot be called back. So a server is asked for the record first, and one
// that hangs is sent nothing; and an update counts only where the record is still as the
// server has shown it, so that one which comes late does not undo another host's.
package record

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"banyan/internal/dnscp/config"
)

// Options are what an Updater has from elsewhere than the configuration.
type Options struct {
	// Resolver is the file that names the host's resolvers, resolv.conf(5); by default /etc/resolv.conf.
	Resolver string
	// Plain has an unsigned update tried where none by gss-tsig is taken, as dnscp.sh does.
	Plain bool
	// Dial connects in place of the host's own network; the address is one of IP, with a port.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Updater keeps the records of a configuration. Several goroutines may use it at once.
type Updater struct {
	dns     config.DNS
	options Options
	limits  limits

	mu       sync.Mutex
	takers   map[string]Server // by zone, the one that took the last update, which is tried first
	resolver netip.AddrPort    // the one that answered last, likewise
}

// limits are for how long a step may take.
type limits struct {
	dial     time.Duration // a connection
	exchange time.Duration // an update, from the connection to its answer
	answer   time.Duration // a question, likewise
	stagger  time.Duration // how long one resolver has alone before the next is asked too
	settle   time.Duration // from the answer to an update until it has to be seen
}

// New makes the Updater of a configuration that has a name.
func New(c config.DNS, o Options) *Updater {
	if o.Resolver == "" {
		o.Resolver = "/etc/resolv.conf"
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	return &Updater{dns: c, options: o, takers: map[string]Server{}, limits: limits{
		dial: 2 * time.Second, exchange: 5 * time.Second, answer: 2 * time.Second,
		stagger: 300 * time.Millisecond, settle: 500 * time.Millisecond,
	}}
}

// Wanted is a name and all the addresses that it is to have, of both families.
type Wanted struct {
	Name      string
	Addresses []netip.Addr
}

// Record is what a name has.
type Record struct {
	Addresses []netip.Addr // sorted; none where there is no such name
	TTL       int          // in seconds: the longer one, where those of A and AAAA differ
}

// Outcome tells who was asked, and how.
type Outcome struct {
	Zone   string
	Server string        // its name and address
	Auth   string        // how the update was authorized: one of config's ways, or "nsupdate -g"
	Took   time.Duration // from the call to the record's being seen
	// Complaint is why no server took the update, although the record is as wanted: it
	// has been so before, or the answer got lost. It would fail where the record changes.
	Complaint error
}

// Set replaces all addresses of a name, by one update. It sends it also where the record
// is right already, so that the servers' way to take updates is tried before it is needed, and
// a server that forgets old records (scavenging) sees that this one is used.
//
// The zone's servers are tried in turn. The errors of all are joined, one a line, each with
// the server and with what to do. An ended context ends it at once.
func (u *Updater) Set(ctx context.Context, w Wanted) (Outcome, error) {
	began := time.Now()
	outcome, err := u.set(ctx, w)
	if err != nil {
		return Outcome{}, failed(ctx, "update", w.Name, err)
	}
	outcome.Took = time.Since(began)
	return outcome, nil
}

func (u *Updater) set(ctx context.Context, w Wanted) (Outcome, error) {
	if len(w.Addresses) == 0 {
		return Outcome{}, errors.New("it would have no address")
	}
	zone, err := u.zone(ctx, w.Name)
	if err != nil {
		return Outcome{}, err
	}
	ways := u.ways(zone)
	var errs []error
	var refusing *Outcome // of the first server that showed what is wanted and took no update
	for server, err := range u.servers(ctx, zone) {
		for i := 0; err == nil && i < len(ways); {
			way := ways[i]
			outcome := Outcome{Zone: person(zone.name), Server: server.String(), Auth: way.name}
			shown, err := u.try(ctx, way, zone, server, w)
			if shown && !isRefusal(err) {
				u.prefer(zone, server)
				outcome.Complaint = err
				return outcome, nil
			}
			if shown && refusing == nil {
				refusing = &outcome
			}
			errs = append(errs, fmt.Errorf("%s, %s: %w", server, way.name, err))
			if errors.As(err, new(hopeless)) {
				ways = slices.Delete(ways, i, i+1)
				continue
			}
			if errors.As(err, new(unreachable)) {
				break // nor would it be in another way
			}
			i++
		}
		errs = append(errs, err)
		if len(ways) == 0 {
			break
		}
	}
	if refusing != nil && ctx.Err() == nil {
		refusing.Complaint = errors.Join(errs...)
		return *refusing, nil
	}
	return Outcome{}, errors.Join(append(errs, ctx.Err())...)
}

// try has a server change a record in one way, and looks whether it shows what is wanted. Where
// another host has changed the record meanwhile, it begins anew.
func (u *Updater) try(ctx context.Context, way way, z zone, server Server, w Wanted) (shown bool, err error) {
	for range 3 {
		var seen Record
		if seen, err = u.at(ctx, server, w.Name); err != nil {
			return false, err
		}
		if shown, err = u.tryOnce(ctx, way, server, replace(z.name, w, u.dns.TTL, seen), w); !errors.Is(err, errChanged) {
			return shown, err
		}
	}
	return shown, err
}

func (u *Updater) tryOnce(ctx context.Context, way way, server Server, change *dns.Msg, w Wanted) (shown bool, err error) {
	sent, err := way.send(ctx, server, change)
	if !sent {
		return false, err
	}
	patience := u.limits.settle
	if isRefusal(err) {
		patience = 0
	}
	differs := u.settled(ctx, server, w, patience)
	switch {
	case differs == nil:
		return true, err
	case isRefusal(err):
		return false, err // the other says no more than that
	}
	return false, errors.Join(err, differs)
}

// settled waits until a server shows what is wanted, for as long as it has patience.
func (u *Updater) settled(ctx context.Context, server Server, w Wanted, patience time.Duration) error {
	until := time.Now().Add(patience)
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		is, err := u.at(ctx, server, w.Name)
		if err != nil {
			return err
		}
		if equal(is.Addresses, w.Addresses) {
			return nil
		}
		if time.Now().Add(pause).After(until) {
			return fmt.Errorf("the record is not there, it shows %s: is this a secondary server? name the primary one under dns.servers", is)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// Lookup asks the zone's servers, in turn until one answers, for what a name has. A name
// that is not there has no addresses, and this is no error.
func (u *Updater) Lookup(ctx context.Context, name string) (Record, Outcome, error) {
	began := time.Now()
	zone, err := u.zone(ctx, name)
	if err != nil {
		return Record{}, Outcome{}, failed(ctx, "look up", name, err)
	}
	var errs []error
	for server, err := range u.servers(ctx, zone) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		is, err := u.at(ctx, server, name)
		if err == nil {
			return is, Outcome{Zone: person(zone.name), Server: server.String(), Took: time.Since(began)}, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", server, err))
	}
	return Record{}, Outcome{}, failed(ctx, "look up", name, errors.Join(errs...))
}

// failed is the error of what was to be done with a name. Where the context has ended, it
// says why, and not what broke off with it.
func failed(ctx context.Context, what, name string, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%s %s: %w", what, name, err)
}

// at asks a server for what a name has in a zone of the server's own.
func (u *Updater) at(ctx context.Context, server Server, name string) (Record, error) {
	kinds := []uint16{dns.TypeA, dns.TypeAAAA}
	answers := make([]*dns.Msg, len(kinds))
	var asking errgroup.Group
	for i, kind := range kinds { // at once, since a server may be far
		asking.Go(func() (err error) {
			answers[i], err = u.query(ctx, "tcp", server.Address, question(name, kind, false))
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return Record{}, err
	}
	var is Record
	for _, answer := range answers {
		if err := is.add(answer, name); err != nil {
			return Record{}, err
		}
	}
	return is, nil
}

// prefer has a server of a zone tried first from now on.
func (u *Updater) prefer(z zone, server Server) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.takers[z.name] = server
}

// canonical is a name as messages have it and as others are compared with it: RFC 4034, 6.2.
func canonical(name string) string { return dns.CanonicalName(name) }

// person is a name as people write it.
func person(name string) string { return strings.TrimSuffix(name, ".") }
