package dnscp

import (
	"slices"
	"testing"
	"time"

	"banyan/internal/patroni"
)

func TestReaders(t *testing.T) {
	c := patroni.Cluster{Members: []patroni.Member{
		{Host: "10.0.0.1", Role: "leader", State: "running"},
		{Host: "10.0.0.2", Role: "sync_standby", State: "streaming"},
		{Host: "10.0.0.3", Role: "replica", State: "running"}, // which is as much, before Patroni 3.0.4
		{Host: "10.0.0.4", Role: "replica", State: "streaming", Tags: map[string]any{"noloadbalance": true}},
		{Host: "10.0.0.5", Role: "replica", State: "in archive recovery"},
		{Host: "10.0.0.6", Role: "replica", State: "stopped"},
		{Host: "10.0.0.7", Role: "standby_leader", State: "running"},
	}}
	for version, want := range map[string]struct {
		host  string
		known int // that stream, whether they take clients or not
	}{
		"4.0.7": {"10.0.0.2", 2}, "3.0.4": {"10.0.0.2", 2}, "3.1": {"10.0.0.2", 2}, "3.0.2": {"10.0.0.3", 1}, "2.0.2": {"10.0.0.3", 1},
	} {
		hosts, known := streaming(c, patroni.Software{Version: version})
		if !slices.Equal(hosts, []string{want.host}) || known != want.known {
			t.Errorf("of Patroni %s: %v of %d, want %v", version, hosts, known, want)
		}
	}
}

// TestNextRefresh: once a day, each host at a time of its own.
func TestNextRefresh(t *testing.T) {
	now := time.Date(2026, 11, 27, 13, 0, 0, 0, time.UTC)
	first := nextRefresh(now, "pgsql-n1")
	if !first.After(now) || first.After(now.Add(24*time.Hour)) {
		t.Errorf("after %v comes %v", now, first)
	}
	if next := nextRefresh(first, "pgsql-n1"); !next.Equal(first.Add(24 * time.Hour)) {
		t.Errorf("after %v comes %v", first, next)
	}
	if other := nextRefresh(now, "pgsql-n2"); other.Equal(first) {
		t.Errorf("two hosts come at %v", other)
	}
}
