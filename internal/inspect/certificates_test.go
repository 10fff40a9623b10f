package inspect

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"banyan/internal/facts"
	"banyan/internal/pki"
	"banyan/internal/verify"
	"banyan/seeds"
)

// authority is one with certificates to give.
func authority(t *testing.T, name string) (*pki.Authority, *tls.Config) {
	t.Helper()
	a, err := pki.NewAuthority(name, pki.ECDSA, pki.Lifetime{From: time.Now().AddDate(0, -2, 0), Days: 3650})
	if err != nil {
		t.Fatal(err)
	}
	config, err := pki.TLS(a.Certificates(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	return a, config
}

// issue is a certificate of a node from then on for two days, of which one has gone.
func issue(t *testing.T, a *pki.Authority, from time.Time) (certificate string, pair tls.Certificate) {
	t.Helper()
	certificate, key, _, err := a.Issue(pki.Subject{Name: "pgsql-n1", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}, pki.Lifetime{From: from, Days: 2})
	if err != nil {
		t.Fatal(err)
	}
	pair, err = tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return certificate, pair
}

// serve shows a certificate to who connects, after what that one says first. It returns its
// address, and what becomes of each connection.
func serve(t *testing.T, config *tls.Config, first func(net.Conn) error) (address string, ends <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	end := make(chan error, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			err = first(conn)
			if err == nil {
				_, err = io.Copy(io.Discard, tls.Server(conn, config))
			}
			_ = conn.Close() // as whoever asked has
			end <- err
		}
	}()
	return listener.Addr().String(), end
}

func nothing(net.Conn) error { return nil }

// One that has ended, or that somebody else has signed, is looked at all the same; and who
// looks takes its leave, so that no service logs a broken connection.
func TestAsk(t *testing.T) {
	ours, trust := authority(t, "ours")
	foreign, _ := authority(t, "foreign")
	valid, validPair := issue(t, ours, time.Now())
	_, otherPair := issue(t, ours, time.Now())
	_, endedPair := issue(t, ours, time.Now().AddDate(0, -1, 0))
	_, foreignPair := issue(t, foreign, time.Now())
	postgresql := func(conn net.Conn) error {
		request := make([]byte, 8)
		if _, err := io.ReadFull(conn, request); err != nil {
			return err
		}
		_, err := conn.Write([]byte("S"))
		return err
	}
	for name, test := range map[string]struct {
		pair    tls.Certificate
		server  func(net.Conn) error
		client  func(net.Conn) error
		own     string
		ended   bool
		err     string
		restart bool
	}{
		"valid":       {pair: validPair, server: nothing, own: valid},
		"of a node":   {pair: otherPair, server: nothing},
		"outdated":    {pair: otherPair, server: nothing, own: valid, restart: true},
		"ended":       {pair: endedPair, server: nothing, ended: true},
		"foreign":     {pair: foreignPair, server: nothing, err: `"CN=foreign" has`},
		"PostgreSQL":  {pair: validPair, server: postgresql, client: sslRequest},
		"without TLS": {server: func(conn net.Conn) error { _, err := conn.Write([]byte("N")); return err }, client: sslRequest, err: "it speaks no TLS"},
	} {
		at, ends := serve(t, &tls.Config{Certificates: []tls.Certificate{test.pair}}, test.server)
		s := service{name: "Patroni of pgsql-n1", at: at, config: trust, begin: test.client, own: seeds.PEM(test.own), again: "systemctl reload patroni"}
		got := s.ask(t.Context())
		if test.err == "" && got.Err != nil || test.err != "" && (got.Err == nil || !strings.Contains(got.Err.Error(), test.err)) {
			t.Errorf("%s: error %v, want %q", name, got.Err, test.err)
		}
		if got.Name != s.name || (got.Restart != "") != test.restart {
			t.Errorf("%s: got %+v", name, got)
		}
		if test.err != "it speaks no TLS" && got.NotAfter.Before(time.Now()) != test.ended {
			t.Errorf("%s: it ends on %v", name, got.NotAfter)
		}
		if err := <-ends; err != nil && test.pair.Certificate != nil {
			t.Errorf("%s: the service met %v", name, err)
		}
	}
}

// Who is not there is told of by other checks.
func TestAskNobody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if got := (service{name: "etcd of pgsql-n1", at: at, config: &tls.Config{}}).ask(t.Context()); got != (verify.Certificate{}) {
		t.Errorf("got %+v", got)
	}
}

func TestFromFile(t *testing.T) {
	a, _ := authority(t, "ours")
	certificate, _ := issue(t, a, time.Now())
	path := filepath.Join(t.TempDir(), "node.crt")
	write(t, path, certificate)
	got := fromFile(path)
	if got.Err != nil || got.Authority || got.NotAfter.After(time.Now().AddDate(0, 0, 2)) {
		t.Errorf("a node's: %+v", got)
	}
	write(t, path, a.Certificates())
	if got := fromFile(path); got.Err != nil || !got.Authority {
		t.Errorf("an authority's: %+v", got)
	}
	write(t, path, a.Certificates()+certificate)
	if got := fromFile(path); got.Err != nil || got.Authority || got.NotAfter.After(time.Now().AddDate(0, 0, 2)) {
		t.Errorf("of both the first to end: %+v", got)
	}
	write(t, path, "nothing\n")
	if got := fromFile(path); got.Err == nil || got.Name != path {
		t.Errorf("no certificate: %+v", got)
	}
	if got := fromFile(path + "x"); got.Err == nil {
		t.Errorf("no file: %+v", got)
	}
}

// Each service of a node is asked that shows a certificate, and etcd only by who has one
// of its authority.
func TestServices(t *testing.T) {
	s, _, err := seeds.ParseCluster("cluster.yaml", []byte(`version: banyan/v1
cluster: {name: pgsql-cl}
nodes:
  - {name: pgsql-n1, address: 172.16.32.11/24, services: [postgresql, etcd]}
  - {name: pgsql-n2, address: 172.16.32.12/24, services: [postgresql], postgresql: {port: 6432}}
  - {name: pgsql-w1, address: 172.16.32.14/24, services: [witness]}
  - {name: pgsql-b1, address: 172.16.32.15/24, services: [haproxy]}
`))
	if err != nil {
		t.Fatal(err)
	}
	const open = "Patroni of pgsql-n1 172.16.32.11:8008, PostgreSQL of pgsql-n1 172.16.32.11:5432, " +
		"Patroni of pgsql-n2 172.16.32.12:8008, PostgreSQL of pgsql-n2 172.16.32.12:6432"
	const all = "Patroni of pgsql-n1 172.16.32.11:8008, PostgreSQL of pgsql-n1 172.16.32.11:5432, etcd of pgsql-n1 172.16.32.11:2379, " +
		"Patroni of pgsql-n2 172.16.32.12:8008, PostgreSQL of pgsql-n2 172.16.32.12:6432, etcd of pgsql-w1 172.16.32.14:2379"
	for node, want := range map[string]string{"pgsql-b1": open, "pgsql-n2": all, "pgsql-w1": all} {
		self, _ := s.ByName(node)
		var got []string
		for _, service := range (subject{seed: s, self: self}).services() {
			got = append(got, service.name+" "+service.at)
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("%s asks %s", node, text)
		}
	}
}

// Patroni before 2.1 is restarted for a new certificate, PostgreSQL never.
func TestServicesAgain(t *testing.T) {
	s, _, err := seeds.ParseCluster("cluster.yaml", []byte(`version: banyan/v1
cluster: {name: pgsql-cl}
nodes: [{name: pgsql-n1, address: 172.16.32.11/24, services: [postgresql]}, {name: pgsql-w1, address: 172.16.32.14/24, services: [witness]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[facts.Version]map[string]string{
		{Major: 2, Minor: 0}: {"Patroni": "systemctl restart patroni: the replicas first", "PostgreSQL": "systemctl reload patroni"},
		{Major: 2, Minor: 1}: {"Patroni": "systemctl reload patroni", "PostgreSQL": "systemctl reload patroni"},
	} {
		f := facts.Facts{Installed: facts.Installed{Patroni: version}}
		got := map[string]string{}
		for _, service := range (subject{seed: s, self: s.Nodes[0], facts: f}).services() {
			got[service.name] = service.again
		}
		for name, again := range want {
			if !strings.HasPrefix(got[name+" of pgsql-n1"], again) {
				t.Errorf("Patroni %s: for %s: %s", version, name, got[name+" of pgsql-n1"])
			}
		}
	}
}

// Of an external etcd each endpoint is asked that speaks TLS.
func TestServicesOfOthers(t *testing.T) {
	s, _, err := seeds.ParseCluster("cluster.yaml", []byte(`version: banyan/v1
cluster: {name: pgsql-cl, dcs: external}
etcd: {endpoints: ["https://etcd1.example.org:2379", "https://[2001:db8::1]:2379"], username: patroni, password: fixture}
nodes: [{name: pgsql-n1, address: 172.16.32.11/24, services: [postgresql]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, service := range (subject{seed: s, self: s.Nodes[0]}).services() {
		if service.others {
			got = append(got, service.name+" "+service.at)
		}
	}
	if text := strings.Join(got, ", "); text != "etcd at etcd1.example.org:2379 etcd1.example.org:2379, etcd at [2001:db8::1]:2379 [2001:db8::1]:2379" {
		t.Errorf("asks %s", text)
	}
}
