package record

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"banyan/internal/dnscp/config"
)

func now() time.Time { return time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC) }

// kdc starts a KDC that answers each question with that error, and counts them.
func (n network) kdc(t *testing.T, addr string, code int32) *atomic.Int32 {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() }) // ends who serves
	failed := messages.NewKRBError(types.NewPrincipalName(2, "krbtgt/DEMO.RU"), "DEMO.RU", code, "")
	answer, err := failed.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	asked := new(atomic.Int32)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			go func() {
				defer conn.Close()
				size := make([]byte, 4)
				if _, err := io.ReadFull(conn, size); err != nil {
					return
				}
				if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(size))); err != nil {
					return
				}
				binary.BigEndian.PutUint32(size, uint32(len(answer)))
				_, _ = conn.Write(append(size, answer...)) // the test sees
			}()
		}
	}()
	n[addr] = listener.Addr().String()
	return asked
}

// What a KDC has against the account ends it, and any other trouble has the next one tried.
func TestNextKDC(t *testing.T) {
	for code, next := range map[int32]bool{
		errorcode.KDC_ERR_C_PRINCIPAL_UNKNOWN: false, errorcode.KDC_ERR_CLIENT_REVOKED: false,
		errorcode.KDC_ERR_KEY_EXPIRED: false, errorcode.KDC_ERR_ETYPE_NOSUPP: false,
		errorcode.KDC_ERR_SVC_UNAVAILABLE: true, errorcode.KRB_AP_ERR_SKEW: true, errorcode.KRB_ERR_GENERIC: true,
	} {
		n := network{}
		n.add(t, "192.0.2.1", zoneServer(demo, domain...))
		first, second := n.kdc(t, "192.0.2.1:88", code), n.kdc(t, "192.0.2.2:88", errorcode.KDC_ERR_C_PRINCIPAL_UNKNOWN)
		_, err := n.updater(t, accountOf(t, "192.0.2.1")).Set(t.Context(), wanted)
		if err == nil || !strings.Contains(err.Error(), errorcode.Lookup(code)) || !errors.As(err, new(hopeless)) {
			t.Errorf("%d gives %v", code, err)
		}
		if first.Load() != 1 || second.Load() > 0 != next {
			t.Errorf("%d: %d and %d were asked", code, first.Load(), second.Load())
		}
	}
}

// A KDC that is dead says nothing of the server of DNS at the same address, which is tried in
// other ways.
func TestADeadKDC(t *testing.T) {
	n := network{}
	s := n.add(t, "192.0.2.1", zoneServer(demo, domain...))
	u := n.updater(t, accountOf(t, "192.0.2.1"))
	z, at := zone{name: "demo.ru."}, Server{Address: netip.MustParseAddrPort("192.0.2.1:53")}
	if _, _, err := u.logInAt(t.Context(), "DEMO.RU", Server{Address: netip.MustParseAddrPort("192.0.2.1:88")}, "DNS/dc1.demo.ru", "secret"); err == nil || errors.As(err, new(unreachable)) {
		t.Errorf("got %v", err)
	}
	if _, err := u.negotiate(t.Context(), z, at); err == nil || errors.As(err, new(unreachable)) {
		t.Errorf("got %v", err)
	}
	u.options.Plain = true
	if outcome, err := u.Set(t.Context(), wanted); err != nil || outcome.Auth != "none" || s.came() != 1 {
		t.Errorf("%+v, %v", outcome, err)
	}
}

// The KDC of the server that is to be updated comes first, then the one that was good.
func TestNear(t *testing.T) {
	var kdcs []Server
	for _, addr := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"} {
		kdcs = append(kdcs, Server{Address: netip.AddrPortFrom(netip.MustParseAddr(addr), 88)})
	}
	u := New(config.DNS{}, Options{})
	near := func(server string) (order string) {
		for _, kdc := range u.near(kdcs, Server{Address: netip.AddrPortFrom(netip.MustParseAddr(server), config.Port)}) {
			order += strings.TrimPrefix(kdc.Address.Addr().String(), "192.0.2.")
		}
		return order
	}
	if got := near("192.0.2.9"); got != "1234" {
		t.Errorf("got %s", got)
	}
	if got := near("192.0.2.3"); got != "3124" {
		t.Errorf("got %s", got)
	}
	u.preferKDC(kdcs[3])
	if got := near("192.0.2.3"); got != "3412" {
		t.Errorf("got %s", got)
	}
	if got := near("192.0.2.9"); got != "4123" {
		t.Errorf("got %s", got)
	}
}

// The realm may be another one than the zone's name says, and then is named.
func TestRealmOf(t *testing.T) {
	n := network{}
	n.add(t, "192.0.2.53", zoneServer(nil, append(domain, "_kerberos._tcp.corp.ru. 60 SRV 0 0 88 dc2.demo.ru.")...))
	c := accountOf(t)
	for domain, want := range map[string]string{"demo.ru": "DEMO.RU", "hosts.demo.ru.": "DEMO.RU", "example.net": "", "": ""} {
		got, err := n.updater(t, c, "192.0.2.53").RealmOf(t.Context(), domain)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("the realm of %q is %q, %v", domain, got, err)
		}
	}
	c.Realm = "corp.ru"
	found, err := n.updater(t, c, "192.0.2.53").Find(t.Context(), "pg.demo.ru")
	if err != nil || found.Zone != "demo.ru" || found.Realm != "CORP.RU" || len(found.KDCs) != 2 || found.KDCs[0].Name != "dc2.demo.ru" {
		t.Errorf("found are %+v, %v", found, err)
	}
	c.Realm = "NONE.RU"
	if _, err := n.updater(t, c, "192.0.2.53").Find(t.Context(), "pg.demo.ru"); err == nil || !strings.Contains(err.Error(), "find the KDCs of the realm NONE.RU: DNS has no KDC of it") {
		t.Errorf("got %v", err)
	}
}
