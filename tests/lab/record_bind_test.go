//go:build lab

package lab

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"banyan/internal/dnscp/config"
	"banyan/internal/dnscp/record"
)

// TestRecordWildcard keeps records that a wildcard stands in for until they are there, at a bind9
// that also lets no record be kept for as long as is wanted.
func TestRecordWildcard(t *testing.T) {
	t.Parallel()
	s := newNameserver(t, newSites(t, 1)[0], "ns1", siteAddress(0, 41))
	s.startBind(fmt.Sprintf(`zone "%s" { type primary; file "zone"; allow-update { any; }; max-zone-ttl 60; };`, s.zone),
		"*.a A 10.0.9.9", "*.a AAAA 2001:db8::99", "*.c CNAME ns1")
	u := s.updater(config.DNS{TTL: 1200}, record.Options{})
	for _, name := range []string{"pg.a." + recordZone, "pg.c." + recordZone} {
		for _, to := range []string{"10.0.0.1", "10.0.0.2"} {
			outcome, err := u.Set(t.Context(), record.Wanted{Name: name, Addresses: addrs(to)})
			if err != nil || !outcome.Taken || outcome.Complaint != nil {
				t.Errorf("%s: %+v, %v", name, outcome, err)
			}
			is, _, err := u.Lookup(t.Context(), name)
			if err != nil || !slices.Equal(is.Addresses, addrs(to)) || is.TTL != 60 {
				t.Errorf("%s has %v for %d s, %v", name, is, is.TTL, err)
			}
		}
	}
	if got := s.lookup("other.a." + recordZone); !slices.Equal(got, addrs("10.0.9.9", "2001:db8::99")) {
		t.Errorf("the wildcard stands for %v", got)
	}
}

// TestRecordView keeps a record in the view of a bind9 that is for who has the key, beside one for
// all others.
func TestRecordView(t *testing.T) {
	t.Parallel()
	s := newNameserver(t, newSites(t, 1)[0], "ns1", siteAddress(0, 41))
	s.write("outside", s.zoneFile("pgsql-cl A 203.0.113.1"))
	s.startBind(fmt.Sprintf(`view inside {
	match-clients { key "pgsql"; };
	zone "%[1]s" { type primary; file "zone"; allow-update { key "pgsql"; }; };
};
view outside {
	match-clients { any; };
	zone "%[1]s" { type primary; file "outside"; };
};`, s.zone))
	c := config.DNS{Servers: servers(s), Auth: config.AuthTSIG, KeyName: keyName, Algorithm: "hmac-sha256", SecretFile: s.keyFile()}
	u := s.updater(c, record.Options{})
	if err := u.Try(t.Context(), recordName); err != nil {
		t.Error(err)
	}
	for _, to := range []string{"10.0.0.1", "10.0.0.2"} {
		outcome, err := u.Set(t.Context(), record.Wanted{Name: recordName, Addresses: addrs(to)})
		if err != nil || !outcome.Taken || outcome.Complaint != nil {
			t.Errorf("%+v, %v", outcome, err)
		}
		if is, _, err := u.Lookup(t.Context(), recordName); err != nil || !slices.Equal(is.Addresses, addrs(to)) {
			t.Errorf("inside it has %v, %v", is, err)
		}
	}
	if got := s.lookup(recordName); !slices.Equal(got, addrs("203.0.113.1")) {
		t.Errorf("outside it has %v", got)
	}
	c.KeyName = "other"
	if err := s.updater(c, record.Options{}).Try(t.Context(), recordName); err == nil || !strings.Contains(err.Error(), "BADKEY: it has no key other") {
		t.Errorf("with a key of another name it says %v", err)
	}
}
