package dnscp

import (
	"testing"
	"time"

	"banyan/internal/dnscp/config"
	"banyan/internal/patroni"
)

// TestStanding has what Patroni 2 to 4 say in each situation.
func TestStanding(t *testing.T) {
	for _, c := range []struct {
		what string
		said patroni.Status
		want standing
	}{
		{"a leader", patroni.Status{Leader: true, State: "running", Role: "primary"}, leads},
		{"a leader of Patroni 2 and 3", patroni.Status{Leader: true, State: "running", Role: "master"}, leads},
		{"a replica", patroni.Status{State: "running", Role: "replica"}, follows},
		{"a primary without the lock", patroni.Status{State: "running", Role: "primary"}, follows},
		{"a promotion", patroni.Status{Leader: true, State: "running", Role: "replica"}, promoting},
		{"a standby leader", patroni.Status{Leader: true, State: "running", Role: "standby_leader"}, follows},
		{"a switchover", patroni.Status{Leader: true, State: "stopping", Role: "primary"}, follows},
		{"a demoted leader", patroni.Status{Leader: true, State: "stopped", Role: "demoted"}, follows},
		{"a restart", patroni.Status{Leader: true, State: "restarting", Role: "primary"}, retains},
		{"a crash", patroni.Status{Leader: true, State: "crashed", Role: "primary"}, retains},
		{"PostgreSQL does not answer Patroni", patroni.Status{Leader: true, State: "unknown", Role: "primary"}, retains},
		{"a bootstrap", patroni.Status{State: "running", Role: "primary"}, follows},
		{"what is not known", patroni.Status{Leader: true, State: "dreaming", Role: "primary"}, follows},
	} {
		if got := standingOf(c.said); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

// usual has a hold-down of 9 s: 30 - 10 - 10, and one for the kernel.
var usual = HoldDown{Times: patroni.Times{TTL: 30 * time.Second, LoopWait: 10 * time.Second, RetryTimeout: 10 * time.Second}, Watchdog: config.Watchdog{Mode: config.WatchdogOff}}

func TestLease(t *testing.T) {
	asked := time.Now()
	from := func(s standing, seen time.Duration) observation {
		o := observation{asked: asked, standing: s}
		if seen != 0 {
			o.status.DCSLastSeen = asked.Add(-seen).Unix()
		}
		return o
	}
	failsafe, pause := from(leads, 25*time.Second), from(leads, 25*time.Second)
	failsafe.status.FailsafeActive, pause.status.Pause = true, true
	had := lease{true, asked.Add(3 * time.Second)}
	for _, c := range []struct {
		what   string
		before lease
		said   observation
		want   lease
	}{
		{"a leader", lease{}, from(leads, 0), lease{true, asked.Add(9 * time.Second)}},
		{"silence at first", lease{}, from(silent, 0), lease{}},
		{"silence", had, from(silent, 0), had},
		{"another leads", had, from(follows, 0), lease{known: true}},
		{"PostgreSQL is away, and the VIP is here", had, from(retains, 0), lease{true, asked.Add(9 * time.Second)}},
		{"PostgreSQL is away, and the VIP is not here", lease{true, asked}, from(retains, 0), lease{known: true}},
		{"a promotion", lease{}, from(promoting, 0), lease{known: true}},
		{"the DCS was seen in this round", lease{}, from(leads, 8*time.Second), lease{true, asked.Add(9 * time.Second)}},
		{"failsafe mode", lease{}, failsafe, lease{true, asked.Add(9 * time.Second)}},
		{"maintenance mode", lease{}, pause, lease{true, asked.Add(9 * time.Second)}},
	} {
		if got := c.before.after(c.said, usual); got != c.want {
			t.Errorf("%s: until %v, want %v", c.what, got.until.Sub(asked), c.want.until.Sub(asked))
		}
	}
	// The main loop of Patroni hangs: the lease ends before the key that was renewed by then.
	hung := lease{}.after(from(leads, 15*time.Second), usual)
	if left := hung.until.Sub(asked); left > 4*time.Second || left < 3*time.Second-time.Millisecond {
		t.Errorf("15 s after the DCS was seen the lease is for %v, want 30 - 10 - 1 - 15 and what is cut off", left)
	}
	if late := hung.after(from(leads, 29*time.Second), usual); late.held(asked) {
		t.Errorf("29 s after the DCS was seen the lease is for %v", late.until.Sub(asked))
	}
}
