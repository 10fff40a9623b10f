package dnscp

import (
	"sync/atomic"
	"time"

	"banyan/internal/patroni"
)

// standing is what an answer of Patroni makes of this node.
type standing int

const (
	silent    standing = iota // no answer, or none that is understood: a lease runs out
	follows                   // another node leads, or nobody: the VIPs go at once
	unlocked                  // PostgreSQL is a primary, and Patroni does not say that it has the lock: a lease runs out
	promoting                 // it has the lock, and PostgreSQL is no primary yet: VIPs that are there stay
	leads                     // it has the lock, and PostgreSQL takes writes: the VIPs are its
	retains                   // it has the lock, and PostgreSQL is away for a moment: VIPs that are there stay
)

// String is for people.
func (s standing) String() string {
	return [...]string{
		"does not answer", "does not lead", "has not said yet that its primary leads", "is being promoted", "leads",
		"leads, and its PostgreSQL does not run",
	}[s]
}

// standingOf reads an answer. The lock is Patroni's word that nobody else leads.
func standingOf(s patroni.Status) standing {
	primary := s.Role == "primary" || s.Role == "master"
	switch {
	case !s.Leader && s.State == "running" && primary:
		// Patroni was started again, and has not renewed the lock yet; or it has lost it, and
		// PostgreSQL is about to be stopped; or it is a primary of the past, or of a bootstrap.
		return unlocked
	case !s.Leader, s.Role == "standby_leader":
		return follows
	case s.State == "running" && primary:
		return leads
	case s.State == "running":
		return promoting // a standby leader's role is replica before Patroni has read as much
	}
	switch s.State {
	case "restarting", "starting", "crashed", "unknown":
		// Clients of a VIP without PostgreSQL are refused and come back; those of no VIP hang.
		// Patroni 2 and 3 recover one that crashed in the role of a replica.
		return retains
	}
	return follows // one that is being stopped will not come back: see before_stop
}

// observation is an answer of Patroni, or that there was none.
type observation struct {
	asked    time.Time // before the question: what Patroni says was so then, or later
	err      error
	standing standing
	status   patroni.Status
}

// lease is until when the VIPs may be here by what Patroni said.
type lease struct {
	known bool      // Patroni has said who leads since the guard started
	until time.Time // zero: they may not

	seen   int64     // dcs_last_seen of the last answer
	seenAt time.Time // when it was that, by the monotonic clock
}

// held tells whether the VIPs may be here.
func (l lease) held(now time.Time) bool { return now.Before(l.until) }

// after is the lease once Patroni has said that. Silence changes nothing: the lease runs out.
func (l lease) after(o observation, h holdDown) lease {
	if o.standing == silent {
		return l
	}
	l = l.noting(o)
	switch o.standing {
	case unlocked:
		return l
	case follows:
		l.known, l.until = true, time.Time{}
		return l
	case promoting, retains:
		if !l.held(o.asked) {
			l.until = time.Time{}
			return l // what a guard finds here at its start runs out by itself, or is this one's in the end
		}
	}
	l.known, l.until = true, o.asked.Add(h.Duration())
	if l.seen != 0 && !o.status.FailsafeActive && !o.status.Pause {
		l.until = earliest(l.until, l.bound(o, h.Times))
	}
	return l
}

// bound is the latest that an answer counts, by when Patroni's main loop has seen the DCS. Where
// that hangs and the REST API does not, the API says leader until ttl has passed since the last
// renewal. It is believed as ever until the key may be gone that was renewed the round before the
// DCS was last seen; from then on as long as that of the same round is there, and from one
// question to the next: in an outage of the DCS the main loop may wait that long before failsafe
// mode begins, in which the members vouch for the leader. In maintenance nobody is promoted but
// by hand.
// https://patroni.readthedocs.io/en/latest/dcs_failsafe_mode.html and pause.html
func (l lease) bound(o observation, t patroni.Times) time.Time {
	before := l.seenAt.Add(t.TTL - t.LoopWait - expiryDelay)
	same := l.seenAt.Add(t.TTL - expiryDelay)
	if step := earliest(same, o.asked.Add(leastHoldDown)); step.After(before) {
		return step
	}
	return before
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// noting takes note of when Patroni has seen the DCS. The wall clock that it tells this by
// may be set; so it counts from when the answer changed, and by that clock at first alone.
func (l lease) noting(o observation) lease {
	seen := o.status.DCSLastSeen
	switch {
	case seen == l.seen:
	case l.seen == 0:
		age := max(o.asked.Round(0).Sub(time.Unix(seen, 0)), 0)
		l.seenAt = o.asked.Add(-age)
	default:
		l.seenAt = o.asked.Add(-pollInterval)
	}
	l.seen = seen
	return l
}

// deadline is the end of the lease, for those who work beside the guard: a process that was
// frozen may go on long after it.
type deadline struct{ at atomic.Pointer[time.Time] }

func (d *deadline) set(at time.Time) { d.at.Store(&at) }

// left is how long it is until then; not above 0 once it has passed.
func (d *deadline) left() time.Duration {
	at := d.at.Load()
	if at == nil {
		return 0
	}
	return time.Until(*at)
}

func (d *deadline) passed() bool { return d.left() <= 0 }
