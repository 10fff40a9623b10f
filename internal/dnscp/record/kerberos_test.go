package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"banyan/internal/dnscp/config"
)

// accountOf is a configuration of gss-tsig with a password.
func accountOf(t *testing.T, servers ...string) config.DNS {
	t.Helper()
	return config.DNS{Name: "pg.demo.ru", Auth: config.AuthGSSTSIG, Servers: servers, SecretFile: secret(t, "s3cret of the computer\n\n")}
}

func TestRealm(t *testing.T) {
	soa := "demo.ru. 60 SOA dc1.demo.ru. admin.demo.ru. 1 60 60 60 60"
	host := "dc1.demo.ru. 60 A 192.0.2.1"
	for name, test := range map[string]struct {
		records    []string
		want, fail string
		kdcs       string
	}{
		"of Active Directory": {domain, "DEMO.RU", "", "dc1.demo.ru (192.0.2.1:88) dc2.demo.ru (192.0.2.2:88) dc2.demo.ru ([2001:db8::2]:88)"},
		"by UDP":              {[]string{soa, host, "_kerberos._udp.demo.ru. 60 SRV 0 0 88 dc1.demo.ru."}, "DEMO.RU", "", "dc1.demo.ru (192.0.2.1:88)"},
		"of the parent":       {[]string{soa, host, "_kerberos._tcp.ru. 60 SRV 0 0 8888 dc1.demo.ru."}, "RU", "", "dc1.demo.ru (192.0.2.1:8888)"},
		"named": {[]string{soa, host, `_kerberos.demo.ru. 60 TXT "CORP.ru"`, "_kerberos._tcp.CORP.ru. 60 SRV 0 0 88 dc1.demo.ru."},
			"CORP.RU", "", "dc1.demo.ru (192.0.2.1:88)"},
		"named, no KDC":  {[]string{soa, `_kerberos.demo.ru. 60 TXT "CORP.RU"`}, "CORP.RU", "DNS has no KDC of it: add SRV records of _kerberos._tcp.corp.ru", ""},
		"named to wound": {[]string{soa, `_kerberos.demo.ru. 60 TXT "A\010[realms]"`}, "", "the TXT record of _kerberos.demo.ru is no name of a realm", ""},
		"named by a wildcard": {[]string{soa, host, `_kerberos.demo.ru. 60 TXT "v=spf1 -all"`, "_kerberos._tcp.demo.ru. 60 SRV 0 0 88 dc1.demo.ru."},
			"DEMO.RU", "", "dc1.demo.ru (192.0.2.1:88)"},
		"none": {[]string{soa, "_kerberos._tcp.demo.ru. 60 SRV 0 0 0 ."}, "", "DNS knows no realm of demo.ru", ""},
	} {
		t.Run(name, func(t *testing.T) {
			n := network{}
			n.add(t, "192.0.2.53", zoneServer(nil, test.records...))
			found, err := n.updater(t, accountOf(t), "192.0.2.53").Find(t.Context(), "pg.demo.ru")
			if test.fail == "" && err != nil || test.fail != "" && (err == nil || !strings.Contains(err.Error(), test.fail)) {
				t.Errorf("got %v, want %q", err, test.fail)
			}
			var kdcs []string
			for _, kdc := range found.KDCs {
				kdcs = append(kdcs, kdc.String())
			}
			if found.Realm != test.want || strings.Join(kdcs, " ") != test.kdcs {
				t.Errorf("got %s, %q", found.Realm, kdcs)
			}
		})
	}
}

// The service goes by the host's own name, whatever the server is called in the configuration.
func TestPrincipal(t *testing.T) {
	n := network{}
	n.add(t, "192.0.2.53", zoneServer(nil, append(domain, "4.2.0.192.in-addr.arpa. 60 TXT none", "alias.demo.ru. 60 CNAME dc2.demo.ru.")...))
	u := n.updater(t, accountOf(t), "192.0.2.53")
	for _, test := range []struct{ name, addr, want string }{
		{"dc1.demo.ru", "192.0.2.1", "dc1.demo.ru"},
		{"", "192.0.2.2", "dc2.demo.ru"},
		{"", "2001:db8::2", "dc2.demo.ru"},
		{"demo.ru", "192.0.2.2", "dc2.demo.ru"},
		{"alias.demo.ru", "192.0.2.2", "dc2.demo.ru"},
		{"", "192.0.2.3", "dc3.demo.ru"},
		{"dc9.demo.ru", "192.0.2.9", "dc9.demo.ru"},
		{"", "192.0.2.4", ""},
	} {
		got, err := u.principal(t.Context(), zone{name: "demo.ru."}, Server{test.name, netip.AddrPortFrom(netip.MustParseAddr(test.addr), config.Port)})
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s at %s is %q, %v, want %q", test.name, test.addr, got, err, test.want)
		}
		if err != nil && !strings.Contains(err.Error(), "name it by its name under dns.servers") {
			t.Errorf("got %v", err)
		}
	}
}

func TestAccount(t *testing.T) {
	for want, c := range map[string]config.DNS{"PGSQL-CL$": {Name: "pgsql-cl.demo.ru"}, "dnscp": {Name: "pgsql-cl.demo.ru", Account: "dnscp"}} {
		if got := New(c, Options{}).account(); got != want {
			t.Errorf("got %s", got)
		}
	}
}

func TestPassword(t *testing.T) {
	for content, want := range map[string]string{"a b \n": "a b ", "ab\r\n": "ab", "ab": "ab", "\n": "", "": "", "one\ntwo\n": ""} {
		u := New(config.DNS{SecretFile: secret(t, content)}, Options{})
		if got, err := u.password(); got != want || (err == nil) != (want != "") {
			t.Errorf("of %q: %q, %v", content, got, err)
		}
	}
}

// The relay hands on to the KDC, tells why it cannot, and ends with the context.
func TestRelay(t *testing.T) {
	n := network{}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				question := make([]byte, 4)
				if _, err := io.ReadFull(conn, question); err == nil && string(question) == "ping" {
					_, _ = conn.Write([]byte("pong")) // the test sees
				}
				_, _ = conn.Read(question)
			}()
		}
	}()
	n["192.0.2.1:88"] = listener.Addr().String()
	u := impatient(n.updater(t, accountOf(t)))
	ask := func(ctx context.Context, kdc, question string) (string, *relay) {
		r, err := u.relay(ctx, netip.MustParseAddrPort(kdc))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(question)); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 4)
		size, _ := io.ReadFull(conn, answer) // that there is none is an answer too
		return string(answer[:size]), r
	}
	answer, r := ask(t.Context(), "192.0.2.1:88", "ping")
	r.close()
	if answer != "pong" || r.failed() != nil {
		t.Errorf("got %q, %v", answer, r.failed())
	}
	for kdc, want := range map[string]string{"192.0.2.2:88": "connection refused", "192.0.2.1:88": "no answer within"} {
		answer, r = ask(t.Context(), kdc, "what")
		r.close()
		if answer != "" || r.failed() == nil || !strings.Contains(r.failed().Error(), want) {
			t.Errorf("got %q, %v", answer, r.failed())
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	lost := errors.New("this host leads no more")
	u.options.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		cancel(lost)
		return nil, context.Cause(ctx)
	}
	answer, r = ask(ctx, "192.0.2.1:88", "ping")
	r.close()
	if answer != "" || !errors.Is(r.failed(), lost) {
		t.Errorf("got %q, %v", answer, r.failed())
	}
}

// Where the account cannot log in, nsupdate is tried, and then no signature at all, each only
// where it is wanted.
func TestWhereGSSFails(t *testing.T) {
	for name, test := range map[string]struct {
		nsupdate, plain bool
		says            string // nsupdate, and fails
		auth            string
		want            string // in the error or the complaint
	}{
		"neither":           {want: "gss-tsig: log in as PG$@DEMO.RU at the KDC dc1.demo.ru (192.0.2.1:88): dial 192.0.2.1:88: connection refused"},
		"plain":             {plain: true, auth: "none", want: "gss-tsig: log in as PG$@DEMO.RU"},
		"nsupdate":          {nsupdate: true, want: "nsupdate -g: the record is not there"}, // the one of this test changes nothing
		"nsupdate refused":  {nsupdate: true, says: "update failed: REFUSED", want: "nsupdate -g: nsupdate: exit status 2: update failed: REFUSED"},
		"nsupdate verified": {nsupdate: true, says: "; TSIG error with server: tsig verify failure", want: "nsupdate -g: the record is not there"},
		"all":               {nsupdate: true, plain: true, says: "update failed: REFUSED", auth: "none", want: "nsupdate -g: nsupdate: exit status 2: update failed: REFUSED"},
	} {
		t.Run(name, func(t *testing.T) {
			n := network{}
			n.add(t, "192.0.2.1", zoneServer(demo, domain...))
			bin := t.TempDir()
			t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			script(t, bin, "kinit", `printf '%s\n' "$@" "$(cat)" >`+bin+`/kinit.saw; cat "$KRB5_CONFIG" >>`+bin+`/kinit.saw; dirname "$KRB5_CONFIG" >`+bin+`/dir`)
			script(t, bin, "nsupdate", `printf '%s\n' "$@" "$KRB5CCNAME" >`+bin+`/nsupdate.saw; cat >>`+bin+`/nsupdate.saw
				if [ -n "`+test.says+`" ]; then echo "`+test.says+`" >&2; exit 2; fi`)
			c := accountOf(t, "192.0.2.1")
			c.NSUpdate = test.nsupdate
			u := n.updater(t, c)
			u.options.Plain = test.plain
			outcome, err := u.Set(t.Context(), wanted)
			if (err == nil) != (test.auth != "") || outcome.Auth != test.auth {
				t.Errorf("%+v, %v", outcome, err)
			}
			if said := fmt.Sprint(err, outcome.Complaint); !strings.Contains(said, test.want) {
				t.Errorf("got %s, want %q", said, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the password is in the error: %v", err)
			}
			if !test.nsupdate {
				return
			}
			if saw := read(t, bin, "kinit.saw"); !strings.HasPrefix(saw, "--\nPG$@DEMO.RU\ns3cret of the computer\n[libdefaults]\n") || !strings.Contains(saw, "kdc = 192.0.2.1:88") {
				t.Errorf("kinit saw %s", saw)
			}
			if saw := read(t, bin, "nsupdate.saw"); !strings.HasPrefix(saw, "-g\n-v\nFILE:") || !strings.Contains(saw, "\nupdate delete pg.demo.ru. AAAA\nupdate add pg.demo.ru. 30 A 10.0.0.5\n") {
				t.Errorf("nsupdate saw %s", saw)
			}
			if _, err := os.Stat(strings.TrimSpace(read(t, bin, "dir"))); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the tickets are still there: %v", err)
			}
		})
	}
}

// An nsupdate that is cut off may have been heard, and is no refusal.
func TestNSUpdateHangs(t *testing.T) {
	n := network{}
	s := n.add(t, "192.0.2.1", zoneServer(demo, domain...))
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	script(t, bin, "kinit", "exit 0")
	script(t, bin, "nsupdate", "exec sleep 60")
	c := accountOf(t, "192.0.2.1")
	c.NSUpdate = true
	u := n.updater(t, c)
	u.limits.nsupdate = time.Second
	send := func(still func() error) (bool, error) {
		return u.sendByNSUpdate(t.Context(), zone{name: "demo.ru."}, Server{Address: netip.MustParseAddrPort("192.0.2.1:53")},
			replace("demo.ru.", wanted, 30, Record{}), still)
	}
	if sent, err := send(nil); !sent || err == nil || isRefusal(err) || !strings.Contains(err.Error(), "nsupdate: not done within 1s") {
		t.Errorf("got %v, %v", sent, err)
	}
	lost := errors.New("this host leads no more")
	if sent, err := send(func() error { return lost }); sent || !errors.Is(err, lost) {
		t.Errorf("got %v, %v", sent, err)
	}
	if s.came() != 0 {
		t.Errorf("%d updates came", s.came())
	}
}

// script makes a program in the place of another.
func script(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// What Kerberos says is told by what to do.
func TestKerberos(t *testing.T) {
	for said, want := range map[string]string{
		"KRB Error: (24) KDC_ERR_PREAUTH_FAILED Pre-authentication information was invalid": "the password in dns.secret_file is not that of PG$: KRB Error",
		"KRB Error: (7) KDC_ERR_S_PRINCIPAL_UNKNOWN":                                        "the realm knows no service DNS/192.0.2.1",
		"KRB Error: (37) KRB_AP_ERR_SKEW":                                                   "the clocks of this host and the domain controller differ",
		"clock skew with KDC too large. Greater than 300 seconds":                           "the clocks of this host and the domain controller differ",
		"something": "something",
	} {
		if got := kerberos(errors.New(said), "PG$", "192.0.2.1"); !strings.HasPrefix(got.Error(), want) {
			t.Errorf("got %v", got)
		}
	}
}
