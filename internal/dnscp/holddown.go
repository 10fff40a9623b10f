package dnscp

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"banyan/internal/dnscp/config"
	"banyan/internal/patroni"
)

// expiryDelay is what the kernel may take longer to remove an address than its lifetime
// says: inet_addr's check_lifetime and addrconf_verify run once a second at most.
const expiryDelay = time.Second

// leastHoldDown is the shortest hold-down: some polls, and what the kernel counts in.
const leastHoldDown = 2 * time.Second

// holdDown is for how long the VIPs may stay after the last good answer of Patroni.
type holdDown struct {
	Times    patroni.Times
	Watchdog config.Watchdog
	Wanted   time.Duration // by the configuration; 0 for what is computed
}

// holdDownOf is that of a configuration, by Patroni's times.
func holdDownOf(c config.Config, t patroni.Times) holdDown {
	return holdDown{t, c.Patroni.Watchdog, time.Duration(c.HoldDown) * time.Second}
}

// promotion is how long after the last good answer of a Patroni that then fell silent
// another node can be promoted. The key of that answer was renewed one round before, and for as
// long as Patroni tries again where the DCS does not answer; it expires ttl after its renewal. (In
// one round it may do so twice, for reading and for the renewal. Who falls silent in just that round
// has a key that is older by a retry_timeout: at Patroni's own ttl of loop_wait + 2*retry_timeout
// nothing would be left.)
// https://patroni.readthedocs.io/en/latest/watchdog.html
func (h holdDown) promotion() time.Duration {
	return h.Times.TTL - h.Times.LoopWait - h.Times.RetryTimeout
}

// reset is how long after the last good answer the watchdog resets a node whose Patroni
// fell silent, at the earliest; false where there is none. It is fed once a round.
func (h holdDown) reset() (time.Duration, bool) {
	fires := h.Times.TTL - time.Duration(h.Watchdog.SafetyMargin)*time.Second
	if h.Watchdog.SafetyMargin == -1 {
		fires = h.Times.TTL / 2
	}
	return fires - h.Times.LoopWait, h.Watchdog.Mode != config.WatchdogOff
}

// Safe is the longest that keeps the promise of one holder.
func (h holdDown) Safe() time.Duration { return max(h.promotion()-expiryDelay, 0) }

// Duration is what counts: what is wanted, or computed, and never more than is safe. Below
// leastHoldDown there is none, and no VIP is taken: Patroni's own rule, loop_wait +
// 2*retry_timeout <= ttl, leaves more.
func (h holdDown) Duration() time.Duration {
	d := h.Safe()
	// The watchdog ends PostgreSQL as well: what it leaves is no matter of safety.
	if reset, ok := h.reset(); ok {
		d = min(d, max(reset-expiryDelay, leastHoldDown))
	}
	d = min(cmp.Or(h.Wanted, d), h.Safe())
	if d < leastHoldDown {
		return 0
	}
	return d
}

// String is the arithmetic, for people.
func (h holdDown) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	t := h.Times
	line("Another node is promoted %v after the last good answer at the earliest:", h.promotion())
	line("  ttl %v - loop_wait %v - retry_timeout %v", t.TTL, t.LoopWait, t.RetryTimeout)
	if reset, ok := h.reset(); ok {
		line("The watchdog resets this node %v after it at the earliest:", reset)
		if h.Watchdog.SafetyMargin == -1 {
			line("  ttl %v / 2 - loop_wait %v", t.TTL, t.LoopWait)
		} else {
			line("  ttl %v - safety_margin %ds - loop_wait %v", t.TTL, h.Watchdog.SafetyMargin, t.LoopWait)
		}
		if reset-expiryDelay < leastHoldDown {
			line("  That is less than %v, the least that a lease is for, and so that counts.", leastHoldDown)
		}
	}
	line("The kernel may take %v to remove an address whose lifetime has passed.", expiryDelay)
	if h.Wanted != 0 {
		line("hold_down of the configuration is %v, and may be %v.", h.Wanted, h.Safe())
	}
	if d := h.Duration(); d > 0 {
		line("So the hold-down is %v.", d)
	} else {
		line("That leaves less than %v, so that no VIP can be had: lower loop_wait or retry_timeout, or raise ttl.", leastHoldDown)
	}
	return b.String()
}
