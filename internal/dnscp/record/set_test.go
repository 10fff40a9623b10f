package record

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"banyan/internal/dnscp/config"
)

// An alias swallows the update, with an answer that says it was taken.
func TestAlias(t *testing.T) {
	n, _, c := oneServer(t, "pg.demo.ru. 60 CNAME old.demo.ru.")
	u := n.updater(t, c)
	const want = "pg.demo.ru is an alias, of old.demo.ru, and so can have no addresses: remove its CNAME record"
	if _, err := u.Set(t.Context(), wanted); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	if _, _, err := u.Lookup(t.Context(), "pg.demo.ru"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

// What a wildcard shows for a name is not the name's own, so that the server refuses an update
// by it; and an alias that is a wildcard's goes when the name gets its addresses.
func TestWildcard(t *testing.T) {
	for name, test := range map[string]struct {
		records []string
		updates int
	}{
		"A":        {[]string{"*.demo.ru. 60 A 10.0.9.9"}, 2},
		"both":     {[]string{"*.demo.ru. 60 A 10.0.9.9", "*.demo.ru. 60 AAAA 2001:db8::99"}, 2},
		"CNAME":    {[]string{"*.demo.ru. 60 CNAME web.demo.ru."}, 1},
		"as it is": {[]string{"*.demo.ru. 60 A 10.0.0.5", "*.demo.ru. 60 AAAA 2001:db8::5"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			n, s, c := oneServer(t, test.records...)
			outcome, err := n.updater(t, c).Set(t.Context(), wanted)
			if err != nil || !outcome.Taken || outcome.Complaint != nil {
				t.Errorf("%+v, %v", outcome, err)
			}
			if got := s.has(); got != "10.0.0.5, 2001:db8::5" || s.came() != test.updates {
				t.Errorf("it has %s after %d updates", got, s.came())
			}
		})
	}
}

// A server that goes on showing another record than it updates, as one with views does, is
// written nothing.
func TestAnotherView(t *testing.T) {
	n, s, c := oneServer(t, "pg.demo.ru. 60 A 10.0.0.1")
	s.change(func(s *server) {
		s.before = func(s *server) { s.records = append(s.records, parse("pg.demo.ru. 60 AAAA 2001:db8::1")...) }
		s.answer = func(w dns.ResponseWriter, a *dns.Msg) {
			s.records = parse(soaOfDemo, "pg.demo.ru. 60 A 10.0.0.1")
			_ = w.WriteMsg(a) // the client waits for it
		}
	})
	_, err := n.updater(t, c).Set(t.Context(), wanted)
	for _, want := range []string{"does another host keep the name too", "does the server have views", "is the name a wildcard's", "a secondary server"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if s.came() != 3 {
		t.Errorf("%d updates came", s.came())
	}
}

// A secondary server that hands updates on says yes, and shows nothing yet.
func TestSecondary(t *testing.T) {
	n, s, c := oneServer(t, "pg.demo.ru. 60 A 10.0.0.1")
	s.change(func(s *server) {
		s.answer = func(w dns.ResponseWriter, a *dns.Msg) {
			s.records = parse(soaOfDemo, "pg.demo.ru. 60 A 10.0.0.1")
			_ = w.WriteMsg(a) // the client waits for it
		}
	})
	_, err := n.updater(t, c).Set(t.Context(), wanted)
	const want = "the record is not there, it shows 10.0.0.1: a secondary server that hands updates on shows them once the primary one has told it"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

// Who may write no more writes nothing, however far it has got, to no server.
func TestStill(t *testing.T) {
	lost := errors.New("this host leads no more")
	for may := range 3 {
		n := network{}
		first := n.add(t, "192.0.2.1", zoneServer(demo, soaOfDemo, "pg.demo.ru. 60 A 10.0.0.1"))
		second := n.add(t, "192.0.2.2", zoneServer(demo, soaOfDemo))
		times := 0
		first.change(func(s *server) {
			s.before = func(s *server) { // another host, which has written the record just before
				times++
				s.records = parse(soaOfDemo, "pg.demo.ru. 60 A 10.0.1."+strings.Repeat("1", times))
			}
		})
		asked := 0
		w := wanted
		w.Still = func() error {
			if asked++; asked > may {
				return lost
			}
			return nil
		}
		_, err := n.updater(t, config.DNS{Zone: "demo.ru", Servers: []string{"192.0.2.1", "192.0.2.2"}}).Set(t.Context(), w)
		if !errors.Is(err, lost) || asked != may+1 || first.came() != may || second.came() != 0 {
			t.Errorf("asked %d times, %d and %d updates came: %v", asked, first.came(), second.came(), err)
		}
	}
}

// No number of servers that hang makes it last.
func TestLimit(t *testing.T) {
	n := network{}
	n.add(t, "192.0.2.1", &server{silent: true})
	after := n.add(t, "192.0.2.2", zoneServer(demo, soaOfDemo))
	u := n.updater(t, config.DNS{Zone: "demo.ru", Servers: []string{"192.0.2.1", "192.0.2.2"}})
	if u.limits.whole != 45*time.Second {
		t.Errorf("the limit is %v", u.limits.whole)
	}
	u.limits.answer, u.limits.whole = time.Hour, time.Second
	_, err := u.Set(t.Context(), wanted)
	if err == nil || !strings.Contains(err.Error(), "update pg.demo.ru: given up after 1s, which is as long as it may take") ||
		!strings.Contains(err.Error(), "192.0.2.1, none: ") {
		t.Errorf("got %v", err)
	}
	if after.came() != 0 {
		t.Errorf("%d updates came to the other", after.came())
	}
}

// Servers may have views that are chosen by the key, so questions have it too.
func TestViewByKey(t *testing.T) {
	n, s, c := keyed(t, secret(t, key), "pgsql.")
	s.change(func(s *server) { s.byKey = true })
	for _, zone := range []string{"", "demo.ru"} { // found, or told
		c.Zone = zone
		u := n.updater(t, c)
		if outcome, err := u.Set(t.Context(), wanted); err != nil || !outcome.Taken || outcome.Complaint != nil || outcome.Zone != "demo.ru" {
			t.Errorf("%+v, %v", outcome, err)
		}
		if is, _, err := u.Lookup(t.Context(), "pg.demo.ru"); err != nil || is.String() != "10.0.0.5, 2001:db8::5" {
			t.Errorf("it has %v, %v", is, err)
		}
	}
	c.Auth, c.KeyName = config.AuthNone, ""
	_, err := n.updater(t, c).Set(t.Context(), wanted)
	if err == nil || !strings.Contains(err.Error(), "asked for pg.demo.ru it answers REFUSED: does it have the zone, and do its allow-query and view rules let this host, or its key, ask?") {
		t.Errorf("got %v", err)
	}
}
