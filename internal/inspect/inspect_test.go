package inspect

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"banyan/internal/pki"
	"banyan/seeds"
)

// patroniAt answers as Patroni does: at /leader, and with that code at the rest.
func patroniAt(t *testing.T, address string, pair tls.Certificate, code int) (port uint16) {
	t.Helper()
	listener, err := tls.Listen("tcp", net.JoinHostPort(address, "0"), &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/leader":
			fmt.Fprint(w, `{"state": "running", "role": "primary", "timeline": 2}`)
		case "/cluster":
			w.WriteHeader(code)
			fmt.Fprint(w, `{"members": [{"name": "pgsql-n2", "role": "leader", "state": "running"}]}`)
		case "/config":
			w.WriteHeader(code)
			fmt.Fprint(w, `{"maximum_lag_on_failover": 42}`)
		default:
			t.Errorf("asked for %s", r.URL.Path)
		}
	})}
	go func() { _ = server.Serve(listener) }() // until it is closed
	t.Cleanup(func() { _ = server.Close() })
	return netip.MustParseAddrPort(listener.Addr().String()).Port()
}

// Of three one is silent, one cannot read the DCS, and one tells of all.
func TestCluster(t *testing.T) {
	a, _ := authority(t, "ours")
	var s seeds.Seed
	s.PKI.CA = seeds.PEM(a.Certificates())
	for i, code := range []int{0, http.StatusServiceUnavailable, http.StatusOK} {
		address := netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i)})
		certificate, key, _, err := a.Issue(pki.Subject{Name: "pgsql", Addresses: []netip.Addr{address}}, pki.Lifetime{From: time.Now(), Days: 2})
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		n := seeds.Node{Name: fmt.Sprintf("pgsql-n%d", i), Address: netip.PrefixFrom(address, 8), Services: []seeds.Service{seeds.ServicePostgreSQL}}
		if n.Patroni.RESTAPI.Port = 1; code != 0 {
			n.Patroni.RESTAPI.Port = patroniAt(t, address.String(), pair, code)
		}
		s.Nodes = append(s.Nodes, n)
	}

	got := subject{seed: &s}.cluster(t.Context())
	if got.Err != nil || len(got.All.Members) != 1 || got.Config.MaximumLag() != 42 {
		t.Errorf("of all: %+v", got)
	}
	if n := got.Nodes; len(n) != 3 || n[1].Err != nil || n[2].Err != nil || !n[2].Status.Leads() || n[2].Node != "pgsql-n2" {
		t.Errorf("of themselves: %+v", n)
	}
	if err := got.Nodes[0].Err; err == nil || !strings.HasPrefix(err.Error(), "dial tcp 127.0.0.1:1: ") {
		t.Errorf("the silent one: %v", err)
	}
	s.Nodes = s.Nodes[:2]
	if got := (subject{seed: &s}).cluster(t.Context()); got.Err == nil || !strings.Contains(got.Err.Error(), "/cluster: 503 Service Unavailable") || strings.Contains(got.Err.Error(), "dial") {
		t.Errorf("who cannot read the DCS: %v", got.Err)
	}
	s.Nodes = s.Nodes[:1]
	if got := (subject{seed: &s}).cluster(t.Context()); got.Err == nil || got.Err.Error() != "nobody answers" {
		t.Errorf("nobody: %v", got.Err)
	}
}
