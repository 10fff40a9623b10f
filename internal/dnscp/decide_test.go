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
		{"a primary without the lock, yet or any more", patroni.Status{State: "running", Role: "primary"}, unlocked},
		{"a primary of Patroni 2 and 3, likewise", patroni.Status{State: "running", Role: "master"}, unlocked},
		{"a promotion", patroni.Status{Leader: true, State: "running", Role: "replica"}, promoting},
		{"a standby leader", patroni.Status{Leader: true, State: "running", Role: "standby_leader"}, follows},
		{"a switchover", patroni.Status{Leader: true, State: "stopping", Role: "primary"}, follows},
		{"a demoted leader", patroni.Status{Leader: true, State: "stopped", Role: "demoted"}, follows},
		{"a restart", patroni.Status{Leader: true, State: "restarting", Role: "primary"}, retains},
		{"a crash", patroni.Status{Leader: true, State: "crashed", Role: "primary"}, retains},
		{"PostgreSQL does not answer Patroni", patroni.Status{Leader: true, State: "unknown", Role: "primary"}, retains},
		{"a crash, as Patroni 2 and 3 recover from it", patroni.Status{Leader: true, State: "starting", Role: "replica"}, retains},
		{"a promotion that PostgreSQL does not answer in", patroni.Status{Leader: true, State: "unknown", Role: "promoted"}, retains},
		{"a standby leader that starts", patroni.Status{Leader: true, State: "starting", Role: "standby_leader"}, follows},
		{"a replica that starts", patroni.Status{State: "starting", Role: "replica"}, follows},
		{"what is not known", patroni.Status{Leader: true, State: "dreaming", Role: "primary"}, follows},
	} {
		if got := standingOf(c.said); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

// usual has a hold-down of 9 s: 30 - 10 - 10, and one for the kernel.
var usual = holdDown{Times: patroni.Times{TTL: 30 * time.Second, LoopWait: 10 * time.Second, RetryTimeout: 10 * time.Second}, Watchdog: config.Watchdog{Mode: config.WatchdogOff}}

func TestLease(t *testing.T) {
	asked := time.Now()
	seconds := func(n float64) time.Time { return asked.Add(time.Duration(n * float64(time.Second))) }
	// seen is an answer while the DCS was last seen so many seconds ago.
	seen := func(s standing, ago float64) (lease, observation) {
		o := observation{asked: asked, standing: s, status: patroni.Status{DCSLastSeen: 1000}}
		return lease{seen: 1000, seenAt: seconds(-ago)}, o
	}
	for _, c := range []struct {
		what   string
		before lease // known and until
		said   standing
		ago    float64 // that the DCS was seen; 0 for a Patroni that does not tell
		status patroni.Status
		until  float64 // of the lease; 0 for none
		known  bool
	}{
		{what: "a leader", said: leads, until: 9, known: true},
		{what: "silence at first", said: silent},
		{what: "silence", before: lease{known: true, until: seconds(3)}, said: silent, until: 3, known: true},
		{what: "another leads", before: lease{known: true, until: seconds(3)}, said: follows, known: true},
		{what: "Patroni was started again", before: lease{known: true, until: seconds(3)}, said: unlocked, until: 3, known: true},
		{what: "a primary without the lock at first", said: unlocked},
		{what: "PostgreSQL is away, and the VIP is here", before: lease{known: true, until: seconds(3)}, said: retains, until: 9, known: true},
		{what: "PostgreSQL is away, and the VIP is not here", before: lease{known: true, until: seconds(-1)}, said: retains, known: true},
		{what: "PostgreSQL is away at first: a VIP that is here may run out, or stay", said: retains},
		{what: "a promotion", before: lease{known: true}, said: promoting, known: true},
		{what: "the DCS was seen in this round", said: leads, ago: 10, until: 9, known: true},
		{what: "the round is late", said: leads, ago: 15, until: 30 - 10 - 1 - 15, known: true},
		{what: "the DCS is away, and failsafe mode is about to begin", said: leads, ago: 20, until: 2, known: true},
		{what: "the key is about to be gone", said: leads, ago: 28, until: 1, known: true},
		{what: "the key may be gone", said: leads, ago: 29.5, until: -0.5, known: true},
		{what: "failsafe mode", said: leads, ago: 60, status: patroni.Status{FailsafeActive: true}, until: 9, known: true},
		{what: "maintenance mode", said: leads, ago: 60, status: patroni.Status{Pause: true}, until: 9, known: true},
	} {
		l, o := seen(c.said, c.ago)
		if c.ago == 0 {
			l, o.status = lease{}, patroni.Status{}
		}
		l.known, l.until = c.before.known, c.before.until
		o.status.FailsafeActive, o.status.Pause = c.status.FailsafeActive, c.status.Pause
		got := l.after(o, usual)
		want := time.Time{}
		if c.until != 0 {
			want = seconds(c.until)
		}
		if got.known != c.known || !got.until.Equal(want) {
			t.Errorf("%s: known %t, until %v; want %t, %v s", c.what, got.known, got.until.Sub(asked), c.known, c.until)
		}
	}
}

// TestSeen: a clock that is set neither ends a lease nor lengthens it.
func TestSeen(t *testing.T) {
	asked := time.Now()
	at := func(after time.Duration, seen int64) observation {
		return observation{asked: asked.Add(after), standing: leads, status: patroni.Status{DCSLastSeen: seen}}
	}
	first := lease{}.after(at(0, asked.Unix()-5), usual)
	if age := asked.Sub(first.seenAt); age < 5*time.Second || age > 6*time.Second {
		t.Errorf("at first the DCS was seen %v ago, want 5 s by the wall clock", age)
	}
	same := first.after(at(3*time.Second, asked.Unix()-5), usual)
	if same.seenAt != first.seenAt {
		t.Errorf("the same answer moves %v to %v", first.seenAt, same.seenAt)
	}
	for _, seen := range []int64{asked.Unix() + 3600, asked.Unix() - 3600} {
		if set := same.after(at(4*time.Second, seen), usual); set.seenAt != asked.Add(3*time.Second) {
			t.Errorf("with the clock set by an hour the DCS was seen at %v", set.seenAt.Sub(asked))
		}
	}
}
