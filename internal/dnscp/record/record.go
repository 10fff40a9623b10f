// Package record keeps the record of a highly available cluster in DNS: a name with the
// addresses of whoever leads. It is kept by dynamic updates, RFC 2136, which are plain, or
// signed with a key (TSIG, RFC 8945) or with an account of Kerberos (GSS-TSIG, RFC 3645).
//
// A change is one message that takes away the old addresses and adds the new ones, so that
// there is never a moment without a record, which resolvers and clients would remember
// (RFC 2308). Whether it came to pass is not believed of the answer but looked up at the
// server that took it: signatures of Samba's and Microsoft's answers do not verify even
// for those who know how, and an answer may get lost.
//
// What was sent cannot be called back. So a server is asked for the record first, and one
// that hangs is sent nothing; and an update counts only where the record is still as the
// server has shown it, so that one which comes late does not undo another host's. Whether it may
// be sent at all is asked last, when the connection is there.
package record

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
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
	kdc      netip.AddrPort    // the one that gave a ticket last, likewise
}

// limits are for how long a step may take.
type limits struct {
	dial     time.Duration // a connection
	exchange time.Duration // an update, from the connection to its answer
	answer   time.Duration // a question, likewise
	stagger  time.Duration // how long one resolver has alone before the next is asked too
	settle   time.Duration // from the answer to an update until it has to be seen
	nsupdate time.Duration // logging in by kinit and an update by nsupdate together
	whole    time.Duration // all of Set, or of Try
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
		nsupdate: 20 * time.Second, whole: 45 * time.Second,
	}}
}

// Wanted is a name and all the addresses that it is to have, of both families.
type Wanted struct {
	Name      string
	Addresses []netip.Addr
	// Still tells why the name may not be written any more, such as that this host no longer
	// leads; nil where it may. It is asked directly before each update is written to a server,
	// however long it took to get there. Without it the name may be written always.
	Still func() error
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
	// Taken is whether a server took the update: it said so, or the record has changed to what
	// is wanted while the answer got lost. Where it is false the record is as wanted because it
	// was so before; no server takes updates, and one that changes the record would fail.
	Taken bool
	// Complaint is what was wrong although the record is as wanted: where Taken, what became
	// of the answer, and else why each server did not take the update. It may be nil.
	Complaint error
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
			err = is.refuseAlias(name)
		}
		if err == nil {
			return is.Record, Outcome{Zone: person(zone.name), Server: server.String(), Took: time.Since(began)}, nil
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

// sight is what a server shows for a name. An alias has no addresses of its own.
type sight struct {
	Record
	alias string // what the name is an alias of, in its place or by a wildcard
}

// at asks a server for what a name has in a zone of the server's own.
func (u *Updater) at(ctx context.Context, server Server, name string) (sight, error) {
	kinds := []uint16{dns.TypeA, dns.TypeAAAA}
	answers := make([]*dns.Msg, len(kinds))
	var asking errgroup.Group
	for i, kind := range kinds { // at once, since a server may be far
		asking.Go(func() (err error) {
			answers[i], err = u.query(ctx, "tcp", server.Address, question(name, kind, false), u.keyed())
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return sight{}, err
	}
	var is sight
	for _, answer := range answers {
		if err := authoritative(answer, name); err != nil {
			return sight{}, err
		}
		is.add(answer, name)
	}
	return is, nil
}

// preferServer has a server of a zone tried first from now on.
func (u *Updater) preferServer(z zone, server Server) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.takers[z.name] = server
}

// canonical is a name as messages have it and as others are compared with it: RFC 4034, 6.2.
func canonical(name string) string { return dns.CanonicalName(name) }

// person is a name as people write it.
func person(name string) string { return strings.TrimSuffix(name, ".") }
