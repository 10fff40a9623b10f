package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Set replaces all addresses of a name, by one update. It sends it also where the record
// is right already, so that the servers' way to take updates is tried before it is needed, and
// a server that forgets old records (scavenging) sees that this one is used.
//
// The zone's servers are tried in turn. The errors of all are joined, one a line, each with
// the server and with what to do. An ended context ends it at once, and so does an error of
// w.Still, which the error wraps. It is given up after 45 s, however many servers there are and
// whatever they do, and the error says so. An nsupdate that does not mind being told to end is
// killed ten seconds later.
func (u *Updater) Set(ctx context.Context, w Wanted) (Outcome, error) {
	began := time.Now()
	within, cancel := u.within(ctx)
	defer cancel()
	outcome, err := u.set(within, w)
	if err != nil {
		return Outcome{}, failed(ctx, "update", w.Name, err)
	}
	outcome.Took = time.Since(began)
	return outcome, nil
}

// within is the context of all that is done for one call.
func (u *Updater) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, u.limits.whole, fmt.Errorf("given up after %v, which is as long as it may take", u.limits.whole))
}

func (u *Updater) set(ctx context.Context, w Wanted) (Outcome, error) {
	if len(w.Addresses) == 0 {
		return Outcome{}, errors.New("it would have no address")
	}
	zone, err := u.zone(ctx, w.Name)
	if err != nil {
		return Outcome{}, err
	}
	ways := u.ways()
	var errs []error
	var untaken *Outcome // of the first server that showed what is wanted and is not known to have taken the update
	for server, err := range u.servers(ctx, zone) {
		for i := 0; err == nil && i < len(ways); {
			way := ways[i]
			outcome := Outcome{Zone: person(zone.name), Server: server.String(), Auth: way.name}
			s, err := u.change(ctx, way, zone, server, w)
			if s == taken {
				u.preferServer(zone, server)
				outcome.Taken, outcome.Complaint = true, errors.Join(append(errs, err)...)
				return outcome, nil
			}
			if errors.As(err, new(over)) {
				return Outcome{}, err
			}
			if s == shown && untaken == nil {
				untaken = &outcome
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
	if untaken != nil && ctx.Err() == nil {
		untaken.Complaint = errors.Join(errs...)
		return *untaken, nil
	}
	if ctx.Err() != nil {
		errs = append([]error{context.Cause(ctx)}, errs...)
	}
	return Outcome{}, errors.Join(errs...)
}

// state is what has become of an update.
type state int

const (
	neither state = iota
	shown         // the record is as wanted, and may have been so before
	taken         // the server took the update, and shows it
)

// change has a server change a record in one way, and looks whether it shows what is wanted.
//
// Where the record is another one than was seen, because another host has written it meanwhile, it
// begins anew. Where it looks as before all the same, what was seen may be a wildcard's, which
// the prerequisites of an update know nothing of (RFC 2136, 3.2, and RFC 4592, 3.3): so the next
// one has it that the name has no address of its own.
func (u *Updater) change(ctx context.Context, way way, z zone, server Server, w Wanted) (state, error) {
	var last Record
	for turn, wildcard := 1, false; ; turn++ {
		is, err := u.at(ctx, server, w.Name)
		if err != nil {
			return neither, err
		}
		basis := is.Record
		if turn > 1 && !wildcard && is.Has(last.Addresses) {
			wildcard, basis = true, Record{}
		}
		last = is.Record
		s, err := u.changeOnce(ctx, way, z, server, basis, is, w)
		if turn == 3 || !errors.Is(err, errChanged) {
			return s, err
		}
	}
}

// changeOnce sends one update, which counts where the name's own addresses are those of basis. was
// is what the server showed before it.
func (u *Updater) changeOnce(ctx context.Context, way way, z zone, server Server, basis Record, was sight, w Wanted) (state, error) {
	sent, err := way.send(ctx, z, server, replace(z.name, w, u.dns.TTL, basis), w.Still)
	if !sent {
		return neither, err
	}
	patience := u.limits.settle
	if isRefusal(err) {
		patience = 0
	}
	is, differs := u.settled(ctx, server, w, patience)
	switch {
	case differs == nil && err == nil:
		return taken, nil
	case differs == nil && !isRefusal(err) && (is.TTL != was.TTL || !is.Has(was.Addresses)):
		return taken, err // the answer got lost
	case differs == nil:
		return shown, err
	case isRefusal(err):
		return neither, err // the other says no more than that
	}
	return neither, errors.Join(err, differs)
}

// settled waits until a server shows what is wanted, for as long as it has patience.
func (u *Updater) settled(ctx context.Context, server Server, w Wanted, patience time.Duration) (sight, error) {
	until := time.Now().Add(patience)
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		is, err := u.at(ctx, server, w.Name)
		if err != nil {
			return sight{}, err
		}
		if is.alias == "" && is.Has(w.Addresses) {
			return is, nil
		}
		if time.Now().Add(pause).After(until) {
			if err := is.refuseAlias(w.Name); err != nil {
				return sight{}, err
			}
			return sight{}, fmt.Errorf("the record is not there, it shows %s: a secondary server that hands updates on shows them "+
				"once the primary one has told it: name the primary one under dns.servers", is)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return sight{}, context.Cause(ctx)
		}
	}
}
