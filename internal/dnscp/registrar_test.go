package dnscp

import (
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"banyan/internal/dnscp/config"
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

// refusing is a server of demo.ru at loopback that has pg.demo.ru with a TTL of 1200, and takes no update.
func refusing(t *testing.T) (address string) {
	t.Helper()
	stream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	datagrams, err := net.ListenPacket("udp", stream.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, asked *dns.Msg) {
		m := new(dns.Msg).SetReply(asked)
		m.Authoritative = true
		switch {
		case asked.Opcode == dns.OpcodeUpdate:
			m.Rcode = dns.RcodeRefused
		case asked.Question[0].Qtype == dns.TypeA:
			a, err := dns.NewRR("pg.demo.ru. 1200 A 10.0.0.5")
			if err != nil {
				t.Error(err)
			}
			m.Answer = []dns.RR{a}
		}
		_ = w.WriteMsg(m) // who asked finds out
	})
	for _, s := range []*dns.Server{{Listener: stream, Handler: handler}, {PacketConn: datagrams, Handler: handler}} {
		s.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept } // updates too
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }() // until it is shut down
		<-started
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
		})
	}
	return stream.Addr().String()
}

// A TTL that could not be corrected is no TTL that the server caps.
func TestRefusedTTL(t *testing.T) {
	c := config.DNS{Name: "pg.demo.ru", Zone: "demo.ru", Servers: []string{refusing(t)}, Auth: config.AuthNone, TTL: 30}
	var lease deadline
	lease.set(time.Now().Add(time.Hour))
	r := newRegistrar(c, nil, &lease, slog.New(slog.DiscardHandler), newMetrics(nil))
	k := kept{name: c.Name}
	for range 2 {
		if err := r.ensure(t.Context(), &k, []netip.Addr{netip.MustParseAddr("10.0.0.5")}, false); err == nil || !strings.Contains(err.Error(), "REFUSED") {
			t.Errorf("got %v", err)
		}
	}
}
