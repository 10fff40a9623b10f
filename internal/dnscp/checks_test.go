package dnscp

import (
	"errors"
	"io/fs"
	"net/netip"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"banyan/internal/dnscp/config"
	"banyan/internal/dnscp/record"
	"banyan/internal/dnscp/vip"
	"banyan/internal/golden"
	"banyan/internal/patroni"
)

// sound is a leader with all that it should have.
func sound() sight {
	here, there := netip.MustParseAddr("172.16.32.180"), netip.MustParseAddr("172.16.64.180")
	h := usual
	return sight{
		config: config.Config{
			Patroni: config.Patroni{URL: "https://172.16.32.11:8008"},
			VIPs:    []netip.Addr{here, there},
			DNS:     config.DNS{Name: "pgsql-cl.demo.ru", TTL: 30, Auth: config.AuthGSSTSIG, SecretFile: "/etc/dnscp/secret"},
		},
		patroni: observation{asked: time.Now(), standing: leads, status: patroni.Status{DCSLastSeen: 1}},
		hold:    &h,
		interfaces: []vip.Interface{{Index: 2, Name: "eth0", Up: true, Addresses: []netip.Prefix{
			netip.MustParsePrefix("172.16.32.11/24"), netip.MustParsePrefix("172.16.32.180/24"),
		}}},
		found:   record.Found{Zone: "demo.ru", Servers: []record.Server{{Name: "dc1.demo.ru", Address: netip.MustParseAddrPort("172.16.32.2:53")}}, Realm: "DEMO.RU"},
		records: []seen{{"pgsql-cl.demo.ru", record.Record{Addresses: []netip.Addr{here}, TTL: 30}, "dc1.demo.ru", nil}},
	}
}

func TestSecretFor(t *testing.T) {
	guard := user.User{Username: "dnscp", Uid: "906", Gid: "906"}
	for _, c := range []struct {
		mode     fs.FileMode
		uid, gid string
		want     string
	}{
		{0o600, "906", "906", ""}, {0o440, "0", "906", ""}, {0o400, "906", "0", ""},
		{0o600, "0", "0", "not for dnscp"}, {0o600, "0", "906", "not for dnscp"}, {0o640, "0", "0", "not for dnscp"},
		{0o644, "906", "906", "everybody"},
	} {
		if err := secretFor("/etc/dnscp/secret", c.mode, c.uid, c.gid, guard); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v of %s:%s: %v, want %q", c.mode, c.uid, c.gid, err, c.want)
		}
	}
}

func TestChecks(t *testing.T) {
	for name, change := range map[string]func(*sight){
		"sound": func(*sight) {},
		"replica": func(s *sight) {
			s.patroni.standing = follows
			s.interfaces[0].Addresses = s.interfaces[0].Addresses[:1]
		},
		"stale": func(s *sight) { s.patroni.standing = follows },
		"silent": func(s *sight) {
			s.patroni, s.hold = observation{err: errors.New("connection refused")}, nil
		},
		"leader-without": func(s *sight) { s.interfaces[0].Addresses = s.interfaces[0].Addresses[:1] },
		"no-subnet":      func(s *sight) { s.interfaces = nil },
		"no-guard":       func(s *sight) { s.guard = errNoGuard },
		"guard-is-mute":  func(s *sight) { s.guard = errors.New("the guard was woken, and does not answer") },
		"other-record": func(s *sight) {
			s.records[0].record.Addresses = []netip.Addr{netip.MustParseAddr("172.16.64.180")}
		},
		"foreign-record": func(s *sight) {
			s.patroni.standing = follows
			s.interfaces[0].Addresses = s.interfaces[0].Addresses[:1]
			s.records[0].record.Addresses = []netip.Addr{netip.MustParseAddr("10.0.0.1")}
		},
		"no-record": func(s *sight) { s.records[0].record = record.Record{} },
		"no-server": func(s *sight) { s.records[0].err = errors.New("dc1.demo.ru: no answer"); s.zone = errors.New("no SOA") },
		"secret":    func(s *sight) { s.secret = errors.New("/etc/dnscp/secret is for everybody to read") },
		"no-way":    func(s *sight) { s.way = errors.New("dc1.demo.ru: KDC_ERR_PREAUTH_FAILED") },
		"ttl":       func(s *sight) { s.config.DNS.TTL = 1200 },
		"too-long":  func(s *sight) { s.hold.Wanted = time.Minute },
		"no-room":   func(s *sight) { s.hold.Times.LoopWait = 19 * time.Second },
		"patroni-2": func(s *sight) { s.patroni.status.DCSLastSeen = 0 },
		"no-dns":    func(s *sight) { s.config.DNS, s.records = config.DNS{}, nil },
		"other-site": func(s *sight) {
			s.interfaces[0].Addresses = append(s.interfaces[0].Addresses, netip.MustParsePrefix("172.16.64.180/32"))
		},
	} {
		s := sound()
		change(&s)
		r := s.judge()
		golden.Check(t, filepath.Join("testdata", "check-"+name+".golden"), r.String())
		if wrong := r.ExitCode() != 0; wrong != (name != "sound" && name != "replica" && name != "no-dns") {
			t.Errorf("%s: the state is %s", name, r.State)
		}
	}
}
