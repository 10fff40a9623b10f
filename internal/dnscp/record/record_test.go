package record

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"banyan/internal/dnscp/config"
)

const soaOfDemo = "demo.ru. 60 SOA ns1.demo.ru. admin.demo.ru. 1 60 60 60 60"

var (
	demo   = []string{"demo.ru."}
	wanted = Wanted{Name: "pg.demo.ru", Addresses: addrs("10.0.0.5", "2001:db8::5")}
)

// oneServer is a network with a server of demo.ru at 192.0.2.1, and a configuration that names it.
func oneServer(t *testing.T, records ...string) (network, *server, config.DNS) {
	t.Helper()
	n := network{}
	s := n.add(t, "192.0.2.1", zoneServer(demo, append([]string{soaOfDemo}, records...)...))
	return n, s, config.DNS{Zone: "demo.ru", Servers: []string{"192.0.2.1"}}
}

// Both families are replaced by one message, whatever was there.
func TestSet(t *testing.T) {
	n, s, c := oneServer(t, "pg.demo.ru. 1200 A 10.0.0.1", "pg.demo.ru. 1200 A 10.0.0.2", "pg.demo.ru. 1200 AAAA 2001:db8::1", `pg.demo.ru. 60 TXT "stays"`)
	outcome, err := n.updater(t, c).Set(t.Context(), wanted)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.has(); got != "10.0.0.5, 2001:db8::5" {
		t.Errorf("it has %s", got)
	}
	if s.came() != 1 {
		t.Errorf("%d updates came", s.came())
	}
	if outcome.Zone != "demo.ru" || outcome.Server != "192.0.2.1" || outcome.Auth != "none" || outcome.Took <= 0 || !outcome.Taken || outcome.Complaint != nil {
		t.Errorf("the outcome is %+v", outcome)
	}
}

// Lookup tells what the server has, also that it has nothing.
func TestLookup(t *testing.T) {
	n, _, c := oneServer(t, "pg.demo.ru. 30 A 10.0.0.2", "pg.demo.ru. 30 A 10.0.0.1", "pg.demo.ru. 60 AAAA 2001:db8::1")
	u := n.updater(t, c)
	is, outcome, err := u.Lookup(t.Context(), "PG.demo.ru")
	if err != nil || is.String() != "10.0.0.1, 10.0.0.2, 2001:db8::1" || is.TTL != 60 || outcome.Server != "192.0.2.1" {
		t.Errorf("it has %v, %+v, %v", is, outcome, err)
	}
	if is, _, err := u.Lookup(t.Context(), "other.demo.ru"); err != nil || len(is.Addresses) != 0 {
		t.Errorf("what is not there has %v, %v", is, err)
	}
}

const key = "c2VjcmV0IG9mIHRoZSB0ZXN0" // "secret of the test"

// keyed is oneServer with a key.
func keyed(t *testing.T, secretFile, keyName string) (network, *server, config.DNS) {
	t.Helper()
	n := network{}
	s := zoneServer(demo, soaOfDemo, "pg.demo.ru. 30 A 10.0.0.1")
	s.keys = map[string]string{"pgsql.": key}
	n.add(t, "192.0.2.1", s)
	return n, s, config.DNS{Zone: "demo.ru", Servers: []string{"192.0.2.1"}, Auth: config.AuthTSIG,
		KeyName: keyName, Algorithm: "hmac-sha256", SecretFile: secretFile}
}

func TestSetWithKey(t *testing.T) {
	file := secret(t, "\n "+key+"\n")
	n, s, c := keyed(t, file, "PGSQL")
	outcome, err := n.updater(t, c).Set(t.Context(), wanted)
	if err != nil || outcome.Auth != "tsig" || outcome.Complaint != nil {
		t.Fatalf("%+v, %v", outcome, err)
	}
	if got := s.has(); got != "10.0.0.5, 2001:db8::5" {
		t.Errorf("it has %s", got)
	}
}

// A key that the server does not take is told by what has to be corrected.
func TestSetWithAnotherKey(t *testing.T) {
	for name, test := range map[string]struct {
		secret, keyName string
		badTime         bool
		want            string
	}{
		"name":  {key, "other.", false, "BADKEY: it has no key other with hmac-sha256"},
		"key":   {"YW5vdGhlciBrZXk=", "pgsql.", false, "BADSIG: its key pgsql is another one: correct the secret in dns.secret_file"},
		"clock": {key, "pgsql.", true, "BADTIME: the clocks differ by more than 300 s, the server's says "},
		"file":  {"not base64 but a password", "pgsql.", false, "holds no key in base64"},
		"empty": {"\n", "pgsql.", false, "holds no key in base64"},
	} {
		t.Run(name, func(t *testing.T) {
			n, s, c := keyed(t, secret(t, test.secret), test.keyName)
			s.change(func(s *server) { s.badTime = test.badTime })
			_, err := n.updater(t, c).Set(t.Context(), wanted)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "192.0.2.1, tsig: ") {
				t.Errorf("got %v, want %q", err, test.want)
			} else if strings.Contains(err.Error(), "password") {
				t.Errorf("the file's content is in the error: %v", err)
			}
			if got := s.has(); got != "10.0.0.1" {
				t.Errorf("it has %s", got)
			}
		})
	}
}

// The signature of an answer need not verify, where the record has changed.
func TestABadlySignedAnswer(t *testing.T) {
	n, s, c := keyed(t, secret(t, key), "pgsql.")
	s.change(func(s *server) { s.answer = badlySigned })
	if outcome, err := n.updater(t, c).Set(t.Context(), wanted); err != nil || outcome.Complaint != nil {
		t.Errorf("%+v, %v", outcome, err)
	}
	if got := s.has(); got != "10.0.0.5, 2001:db8::5" {
		t.Errorf("it has %s", got)
	}
}

func TestRefused(t *testing.T) {
	n, s, c := oneServer(t, "pg.demo.ru. 30 A 10.0.0.1")
	s.change(func(s *server) { s.refuse = dns.RcodeRefused })
	_, err := n.updater(t, c).Set(t.Context(), wanted)
	if err == nil || !strings.Contains(err.Error(), "update pg.demo.ru: 192.0.2.1, none: it answers REFUSED: the zone allows no updates from this host") {
		t.Errorf("got %v", err)
	}
}

// A record that is right already does not hide that updates are refused.
func TestRefusedWhereTheRecordIsRight(t *testing.T) {
	n, s, c := oneServer(t, "pg.demo.ru. 30 A 10.0.0.5", "pg.demo.ru. 30 AAAA 2001:db8::5")
	s.change(func(s *server) { s.refuse = dns.RcodeRefused })
	outcome, err := n.updater(t, c).Set(t.Context(), wanted)
	if err != nil || outcome.Taken || outcome.Complaint == nil || !strings.Contains(outcome.Complaint.Error(), "REFUSED") {
		t.Errorf("%+v, %v", outcome, err)
	}
}

// An update whose answer gets lost is looked up.
func TestALostAnswer(t *testing.T) {
	n, s, c := oneServer(t)
	s.change(func(s *server) { s.answer = func(w dns.ResponseWriter, _ *dns.Msg) { _ = w.Close() } })
	outcome, err := n.updater(t, c).Set(t.Context(), wanted)
	if err != nil || !outcome.Taken || outcome.Complaint == nil {
		t.Errorf("%+v, %v", outcome, err)
	}
	// Where nothing changes, nothing shows that it was taken.
	if outcome, err = n.updater(t, c).Set(t.Context(), wanted); err != nil || outcome.Taken || outcome.Complaint == nil {
		t.Errorf("%+v, %v", outcome, err)
	}
	s.change(func(s *server) { s.refuse = dns.RcodeRefused }) // and again does not say so
	_, err = n.updater(t, c).Set(t.Context(), Wanted{Name: "pg.demo.ru", Addresses: addrs("10.0.0.6")})
	if err == nil || !strings.Contains(err.Error(), "the record is not there, it shows 10.0.0.5, 2001:db8::5") {
		t.Errorf("got %v", err)
	}
}

// A resolver that happens to be named as a server proves nothing.
func TestNotAuthoritative(t *testing.T) {
	n := network{}
	s := zoneServer(nil, "pg.demo.ru. 30 A 10.0.0.5", "pg.demo.ru. 30 AAAA 2001:db8::5")
	s.answer = func(w dns.ResponseWriter, a *dns.Msg) {
		a.Rcode = dns.RcodeSuccess
		_ = w.WriteMsg(a)
	}
	n.add(t, "192.0.2.1", s)
	_, err := n.updater(t, config.DNS{Zone: "demo.ru", Servers: []string{"192.0.2.1"}}).Set(t.Context(), wanted)
	if err == nil || !strings.Contains(err.Error(), "it does not have the zone of pg.demo.ru itself") {
		t.Errorf("got %v", err)
	}
}

// Servers are tried in turn, and the one that takes an update comes first from then on.
func TestServersInTurn(t *testing.T) {
	n := network{}
	n.add(t, "192.0.2.2", &server{silent: true})
	refusing := n.add(t, "192.0.2.3", &server{zones: demo, refuse: dns.RcodeNotImplemented})
	last := n.add(t, "192.0.2.4", zoneServer(demo, soaOfDemo))
	u := impatient(n.updater(t, config.DNS{Zone: "demo.ru", Servers: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}}))
	outcome, err := u.Set(t.Context(), wanted)
	if err != nil || outcome.Server != "192.0.2.4" {
		t.Fatalf("%+v, %v", outcome, err)
	}
	if refusing.came() != 1 || last.came() != 1 {
		t.Errorf("%d and %d updates came", refusing.came(), last.came())
	}
	if _, err := u.Set(t.Context(), wanted); err != nil || refusing.came() != 1 || last.came() != 2 {
		t.Errorf("%d and %d updates came: %v", refusing.came(), last.came(), err)
	}
	last.change(func(s *server) { s.refuse = dns.RcodeServerFailure })
	_, err = u.Set(t.Context(), Wanted{Name: "pg.demo.ru", Addresses: addrs("10.0.0.6")})
	for _, want := range []string{
		"192.0.2.1, none: dial 192.0.2.1:53: connection refused: is the server up, and does a firewall let this host reach its port 53 by tcp?",
		"192.0.2.2, none: no answer within 1s: is the server up, and does it answer this host?",
		"192.0.2.3, none: it answers NOTIMP: it takes no updates",
		"192.0.2.4, none: it answers SERVFAIL",
	} {
		if err == nil || strings.Count(err.Error(), want) != 1 {
			t.Errorf("got %v, want once %q", err, want)
		}
	}
}

// Whoever is told to stop sends nothing more, to no server.
func TestCancelled(t *testing.T) {
	n := network{}
	hung := make(chan struct{})
	first := n.add(t, "192.0.2.1", &server{zones: demo, answer: func(dns.ResponseWriter, *dns.Msg) { close(hung) }, refuse: dns.RcodeRefused})
	second := n.add(t, "192.0.2.2", zoneServer(demo, soaOfDemo))
	u := n.updater(t, config.DNS{Zone: "demo.ru", Servers: []string{"192.0.2.1", "192.0.2.2"}})
	u.limits.exchange = time.Hour
	ctx, cancel := context.WithCancelCause(t.Context())
	lost := errors.New("this host leads no more")
	go func() {
		<-hung
		cancel(lost)
	}()
	if _, err := u.Set(ctx, wanted); !errors.Is(err, lost) {
		t.Errorf("got %v", err)
	}
	if _, err := u.Set(ctx, wanted); !errors.Is(err, lost) {
		t.Errorf("got %v", err)
	}
	if _, _, err := u.Lookup(ctx, "pg.demo.ru"); !errors.Is(err, lost) {
		t.Errorf("got %v", err)
	}
	if first.came() != 1 || second.came() != 0 {
		t.Errorf("%d and %d updates came", first.came(), second.came())
	}
}

// What another host writes between look and update is not undone unseen: it is looked at again.
func TestAnotherHostIsFaster(t *testing.T) {
	for _, was := range [][]string{nil, {"pg.demo.ru. 30 A 10.0.0.1"}, {"pg.demo.ru. 30 AAAA 2001:db8::1"}} {
		n, s, c := oneServer(t, was...)
		faster := func(times int) {
			s.change(func(s *server) {
				s.before = func(s *server) {
					if times--; times >= 0 {
						s.records = append(parse(soaOfDemo), parse(fmt.Sprintf("pg.demo.ru. 30 A 10.0.1.%d", times%200))...)
					}
				}
			})
		}
		faster(1)
		if outcome, err := n.updater(t, c).Set(t.Context(), wanted); err != nil || outcome.Complaint != nil {
			t.Errorf("%+v, %v", outcome, err)
		}
		if got := s.has(); got != "10.0.0.5, 2001:db8::5" || s.came() != 2 {
			t.Errorf("it has %s after %d updates", got, s.came())
		}
		faster(1000)
		_, err := n.updater(t, c).Set(t.Context(), wanted)
		if err == nil || !strings.Contains(err.Error(), "it has another record than it has shown: does another host keep the name too?") {
			t.Errorf("got %v", err)
		}
	}
}

func TestNoAddress(t *testing.T) {
	n, s, c := oneServer(t)
	if _, err := n.updater(t, c).Set(t.Context(), Wanted{Name: "pg.demo.ru", Addresses: []netip.Addr{}}); err == nil || s.came() != 0 {
		t.Errorf("%d updates came: %v", s.came(), err)
	}
}
