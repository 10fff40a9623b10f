package record

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"banyan/internal/dnscp/config"
)

// Try finds out whether the key is the server's, and writes nothing.
func TestTryKey(t *testing.T) {
	for name, test := range map[string]struct {
		secret, keyName string
		zone            string
		want            string
	}{
		"right": {key, "pgsql.", "", ""},
		"name":  {key, "other.", "", "192.0.2.1:53 by udp: BADKEY: it has no key other"},
		"told":  {key, "other.", "demo.ru", "192.0.2.1, tsig: BADKEY: it has no key other"},
		"key":   {"YW5vdGhlciBrZXk=", "pgsql.", "demo.ru", "192.0.2.1, tsig: BADSIG: its key pgsql is another one"},
		"file":  {"no key but a password", "pgsql.", "demo.ru", "holds no key in base64"},
		"zone":  {key, "pgsql.", "demo.com", "asked for demo.com it answers REFUSED: does it have the zone"},
	} {
		t.Run(name, func(t *testing.T) {
			n, s, c := keyed(t, secret(t, test.secret), test.keyName)
			c.Zone = test.zone
			c.Servers = []string{"192.0.2.9", "192.0.2.1"} // of which the first is dead
			err := n.updater(t, c).Try(t.Context(), "pg.demo.ru")
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "password") {
				t.Errorf("the file's content is in the error: %v", err)
			}
			if s.came() != 0 {
				t.Errorf("%d updates came", s.came())
			}
		})
	}
}

func TestTryNothing(t *testing.T) {
	if err := (network{}).updater(t, config.DNS{}).Try(t.Context(), "pg.demo.ru"); err != nil {
		t.Error(err)
	}
}

// Try logs in, by kinit too where that is wanted.
func TestTryAccount(t *testing.T) {
	n := network{}
	n.add(t, "192.0.2.1", zoneServer(demo, domain...))
	c := accountOf(t, "192.0.2.1")
	const want = "192.0.2.1, gss-tsig: log in as PG$@DEMO.RU at the KDC dc1.demo.ru (192.0.2.1:88): dial 192.0.2.1:88: connection refused"
	if err := n.updater(t, c).Try(t.Context(), "pg.demo.ru"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	bin, temporary := t.TempDir(), t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("TMPDIR", temporary)
	c.NSUpdate = true
	script(t, bin, "kinit", "echo no such password >&2; exit 1")
	err := n.updater(t, c).Try(t.Context(), "pg.demo.ru")
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nsupdate -g: log in as PG$@DEMO.RU: kinit: exit status 1: no such password") {
		t.Errorf("got %v", err)
	}
	script(t, bin, "kinit", "exit 0")
	if err := n.updater(t, c).Try(t.Context(), "pg.demo.ru"); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("what is left: %v, %v", left, err)
	}
}

// What a server answers to a token is a token, or an error that says why not.
func TestExchangeToken(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(*dns.TKEY)
		want   string
	}{
		"a token": {func(k *dns.TKEY) { k.Key = hex.EncodeToString([]byte("answer")); k.KeySize = 6 }, ""},
		"empty":   {func(k *dns.TKEY) { k.Key, k.KeySize = "", 0 }, "it answers without a token: does it take part in the realm?"},
		"another": {func(k *dns.TKEY) { k.Hdr.Name = "other." }, "it answers without a token"},
		"error":   {func(k *dns.TKEY) { k.Error = dns.RcodeBadKey }, "it answers BADKEY: its own log may say why"},
		"none":    {nil, "it answers NXDOMAIN: does it take part in the realm?"},
	} {
		t.Run(name, func(t *testing.T) {
			n := network{}
			n.add(t, "192.0.2.1", &server{zones: demo, tkey: test.answer})
			token, err := n.updater(t, accountOf(t)).exchangeToken(t.Context(), Server{Address: netip.MustParseAddrPort("192.0.2.1:53")}, "1.sig-dc1.demo.ru.", []byte("question"))
			if test.want == "" && (err != nil || string(token) != "answer") || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %q, %v", token, err)
			}
		})
	}
}

// Advice is of the way that was gone: who has an account has no key.
func TestAdvice(t *testing.T) {
	bad := func(code uint16, algorithm string) error {
		return signature(&dns.TSIG{Hdr: dns.RR_Header{Name: "1.sig-dc1."}, Algorithm: algorithm, Error: code}, now())
	}
	for _, code := range []uint16{dns.RcodeBadKey, dns.RcodeBadSig} {
		if got := bad(code, gssTSIG).Error(); strings.Contains(got, "dns.key_name") || strings.Contains(got, "secret") || !strings.Contains(got, "it does not take the signature of the account") {
			t.Errorf("got %s", got)
		}
		if got := bad(code, "hmac-sha256.").Error(); !strings.Contains(got, "dns.") {
			t.Errorf("got %s", got)
		}
	}
	answer := &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeNotAuth}}
	for auth, want := range map[config.Auth]string{
		config.AuthNone: "or wants a signature", config.AuthTSIG: "or knows no such key", config.AuthGSSTSIG: "or does not take the account's signature",
	} {
		err := refusal(answer, auth, now())
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "key_name") != (auth == config.AuthTSIG) || !errors.As(err, new(refused)) {
			t.Errorf("got %v", err)
		}
	}
}
