package dnscp

import (
	"time"

	"banyan/internal/patroni"
)

// standing is what an answer of Patroni makes of this node.
type standing int

const (
	silent    standing = iota // no answer, or none that is understood
	follows                   // another node leads, or nobody: the VIPs go at once
	promoting                 // it has the lock, and PostgreSQL is no primary yet: VIPs that are there stay
	leads                     // it has the lock, and PostgreSQL takes writes: the VIPs are its
	retains                   // it has the lock, and PostgreSQL is away for a moment: VIPs that are there stay
)

// String is for the journal.
func (s standing) String() string {
	return [...]string{"does not answer", "does not lead", "is being promoted", "leads", "leads, and its PostgreSQL does not run"}[s]
}

// standingOf reads an answer. The lock is Patroni's word that nobody else leads; a primary
// without it may be one of the past, or one that is being bootstrapped.
func standingOf(s patroni.Status) standing {
	primary := s.Role == "primary" || s.Role == "master"
	switch {
	case !s.Leader:
		return follows
	case s.State == "running" && primary:
		return leads
	case s.State == "running" && (s.Role == "replica" || s.Role == "promoted"):
		// A standby leader's role is standby_leader, and before Patroni has read as much replica.
		return promoting
	case primary:
		// Clients of a VIP without PostgreSQL are refused and come back; those of no VIP
		// hang. But one that is being stopped will not come back: see before_stop.
		switch s.State {
		case "restarting", "starting", "crashed", "unknown":
			return retains
		}
	}
	return follows
}

// observation is an answer of Patroni, or that there was none.
type observation struct {
	asked    time.Time // before the question: what Patroni says was so then, or later
	err      error
	standing standing
	status   patroni.Status
	times    *patroni.Times // nil where it was not asked for them, or did not tell
}

// lease is until when the VIPs may be here by what Patroni said.
type lease struct {
	known bool      // Patroni has said something since the guard started
	until time.Time // zero: they may not
}

// held tells whether the VIPs may be here.
func (l lease) held(now time.Time) bool { return now.Before(l.until) }

// after is the lease once Patroni has said that. Silence changes nothing: the lease runs out.
func (l lease) after(o observation, h HoldDown) lease {
	switch o.standing {
	case silent:
		return l
	case follows:
		return lease{known: true}
	case leads:
	default:
		if !l.held(o.asked) {
			return lease{known: true}
		}
	}
	until := o.asked.Add(h.Duration())
	if limit, ok := vouched(o.status, h.Times); ok {
		// Where Patroni's main loop hangs and its REST API does not, that says leader until
		// ttl has passed since the last round. The wall clock that last_seen is of is
		// compared with itself, and the result is counted as the monotonic clock does.
		if left := limit.Sub(o.asked.Round(0)); left < h.Duration() {
			until = o.asked.Add(max(left, 0))
		}
	}
	return lease{known: true, until: until}
}

// vouched is until when the key that Patroni renewed in its last round is there, where it
// tells when that was: last_seen is read before the renewal, which may be of the round before.
// In failsafe mode the other members vouch for the leader, and in maintenance nobody is
// promoted: https://patroni.readthedocs.io/en/latest/dcs_failsafe_mode.html and pause.html
func vouched(s patroni.Status, t patroni.Times) (time.Time, bool) {
	if s.DCSLastSeen == 0 || s.FailsafeActive || s.Pause {
		return time.Time{}, false
	}
	return time.Unix(s.DCSLastSeen, 0).Add(t.TTL - t.LoopWait - expiryDelay), true
}
