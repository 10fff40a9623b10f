package dnscp

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"banyan/internal/dnscp/config"
	"banyan/internal/golden"
	"banyan/internal/patroni"
)

func downOf(ttl, loopWait, retryTimeout int, mode config.WatchdogMode, margin, wanted int) holdDown {
	s := func(n int) time.Duration { return time.Duration(n) * time.Second }
	return holdDown{patroni.Times{TTL: s(ttl), LoopWait: s(loopWait), RetryTimeout: s(retryTimeout)}, config.Watchdog{Mode: mode, SafetyMargin: margin}, s(wanted)}
}

func TestHoldDown(t *testing.T) {
	for name, c := range map[string]struct {
		h    holdDown
		want int // seconds
	}{
		"usual":             {downOf(30, 10, 10, "off", 5, 0), 9},
		"watchdog":          {downOf(30, 10, 10, "automatic", 5, 0), 9},
		"half of ttl":       {downOf(30, 10, 10, "required", -1, 0), 4},
		"shortest":          {downOf(20, 5, 5, "automatic", -1, 0), 4},
		"watchdog at once":  {downOf(20, 10, 5, "automatic", -1, 0), 2}, // never below what the kernel can count
		"wanted":            {downOf(30, 10, 10, "automatic", 5, 5), 5},
		"wanted, too long":  {downOf(30, 10, 10, "automatic", 5, 60), 9},
		"wanted, watchdog":  {downOf(30, 10, 10, "automatic", -1, 9), 9},
		"no room":           {downOf(20, 10, 9, "off", 5, 0), 0},
		"no room, and more": {downOf(20, 10, 10, "automatic", 5, 5), 0},
	} {
		if got := c.h.Duration(); got != time.Duration(c.want)*time.Second {
			t.Errorf("%s: %v, want %d s", name, got, c.want)
		}
		if c.h.Duration() > c.h.Safe() {
			t.Errorf("%s: %v is more than %v", name, c.h.Duration(), c.h.Safe())
		}
		golden.Check(t, filepath.Join("testdata", "holddown-"+strings.NewReplacer(" ", "-", ",", "").Replace(name)+".golden"), c.h.String())
	}
}

// TestInterval: a short hold-down has time for several questions.
func TestInterval(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		h              holdDown
		standing       standing
		promotingSince time.Time
		want           time.Duration
	}{
		{usual, leads, now, time.Second},
		{usual, follows, now, time.Second},
		{usual, silent, now, 200 * time.Millisecond},
		{usual, promoting, now, 50 * time.Millisecond},
		{usual, promoting, now.Add(-time.Minute), time.Second},
		{downOf(20, 5, 5, "automatic", -1, 0), leads, now, 500 * time.Millisecond},
	} {
		if got := c.h.interval(observation{asked: now, standing: c.standing}, c.promotingSince); got != c.want {
			t.Errorf("%v, %v: %v, want %v", c.h.Duration(), c.standing, got, c.want)
		}
	}
}
