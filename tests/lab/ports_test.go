//go:build lab

package lab

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/ssh"

	"banyan/internal/pki"
	"banyan/seeds"
	"banyan/tests/fixture"
)

// approach is somebody who comes to a port, on a way that the firewall leaves open, and
// what becomes of that: what is said, or why it is refused.
type approach struct {
	who    string
	try    func(context.Context, netip.AddrPort) (string, error)
	served string // a regular expression, or "" for one who is refused
}

// visitor comes to the ports of a node, from the node's own network.
type visitor struct {
	*node
	// How to speak TLS: without a certificate, with that of the node, with that of the node
	// for etcd, and with one of an authority that the cluster does not know.
	nobody, member, etcd, foreigner *tls.Config
}

func newVisitor(n *node) *visitor {
	n.t.Helper()
	s := n.cluster.Seeds[n.name]
	own := s.Nodes[0].PKI
	certificate, key, _, err := authority(n.t).Issue(pki.Subject{Name: n.name}, pki.Lifetime{From: time.Now(), Days: 1})
	if err != nil {
		n.t.Fatal(err)
	}
	config := func(certificate, key string) *tls.Config {
		c, err := pki.TLS(string(s.PKI.CA+s.PKI.EtcdCA), certificate, key)
		if err != nil {
			n.t.Fatal(err)
		}
		if certificate != "" { // whatever authorities the server says that it knows
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.Certificates[0], nil }
		}
		return c
	}
	return &visitor{
		n, config("", ""), config(string(own.Certificate), own.Key.Reveal()),
		config(string(own.EtcdCertificate), own.EtcdKey.Reveal()), config(certificate, key),
	}
}

// dial connects from the node's own network.
func (v *visitor) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return inNamespace(v.id(), func() (net.Conn, error) { return new(net.Dialer).DialContext(ctx, network, addr) })
}

// asks sends a request over HTTP, with TLS if there is a configuration for it, and hears
// the status and what is said.
func (v *visitor) asks(config *tls.Config, method, path string) func(context.Context, netip.AddrPort) (string, error) {
	return v.sends(config, method, path, "application/json", "{}")
}

// sends is asks for who has something to say.
func (v *visitor) sends(config *tls.Config, method, path, kind, body string) func(context.Context, netip.AddrPort) (string, error) {
	return func(ctx context.Context, to netip.AddrPort) (string, error) {
		scheme := "https"
		if config == nil {
			scheme = "http"
		}
		client := http.Client{
			Transport: &http.Transport{DialContext: v.dial, TLSClientConfig: config, DisableKeepAlives: true},
			// HAProxy answers a command with a place that tells what became of it.
			CheckRedirect: func(next *http.Request, _ []*http.Request) error {
				if strings.Contains(next.URL.String(), "st=DENY") {
					return errors.New("denied")
				}
				return nil
			},
		}
		request, err := http.NewRequestWithContext(ctx, method, scheme+"://"+to.String()+path, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		request.Header.Set("Content-Type", kind)
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode >= 300 {
			return "", fmt.Errorf("%s: %s", response.Status, answer)
		}
		return fmt.Sprintf("%s: %s", response.Status, answer), err
	}
}

// connects is for a user who connects to PostgreSQL, with TLS or without it, and hears
// who he is.
func (v *visitor) connects(encrypted bool, user, password string) func(context.Context, netip.AddrPort) (string, error) {
	return func(ctx context.Context, to netip.AddrPort) (string, error) {
		config, err := v.cluster.PostgreSQL(v.dial, to.String())
		if err != nil {
			return "", err
		}
		config.User, config.Password = user, password
		if !encrypted {
			config.TLSConfig = nil
		}
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return "", err
		}
		var who string
		return who, errors.Join(conn.QueryRow(ctx, "select current_user || ' by ' || system_user").Scan(&who), conn.Close(ctx))
	}
}

// logsIn logs in by SSH.
func (v *visitor) logsIn(method ssh.AuthMethod) func(context.Context, netip.AddrPort) (string, error) {
	return func(ctx context.Context, to netip.AddrPort) (string, error) {
		conn, err := v.dial(ctx, "tcp", to.String())
		if err != nil {
			return "", err
		}
		defer conn.Close()
		c, _, _, err := ssh.NewClientConn(conn, to.String(), &ssh.ClientConfig{
			User: "dba", Auth: []ssh.AuthMethod{method}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		})
		if err != nil {
			return "", err
		}
		return c.User(), c.Close()
	}
}

// approaches are, for each port of a node, who is served and who is not: docs/ports.md.
func (v *visitor) approaches(key ssh.Signer) map[uint16][]approach {
	passwords := v.cluster.Secrets
	etcd := []approach{
		{"a member with its certificate for etcd", v.asks(v.etcd, "GET", "/version"), `"etcdserver"`},
		{"a client without a certificate", v.asks(v.nobody, "GET", "/version"), ""},
		{"a member with its other certificate", v.asks(v.member, "GET", "/version"), ""},
		{"a client of another authority", v.asks(v.foreigner, "GET", "/version"), ""},
		{"a client without TLS", v.asks(nil, "GET", "/version"), ""},
	}
	// There are no replicas.
	replicas := []approach{{"a client", v.connects(true, "postgres", passwords["superuser_password"]), ""}}
	return map[uint16][]approach{
		22: {
			{"a user with his key", v.logsIn(ssh.PublicKeys(key)), "dba"},
			{"a user with a password", v.logsIn(ssh.Password(passwords["superuser_password"])), ""},
		},
		seeds.EtcdClientPort:  etcd,
		seeds.EtcdPeerPort:    etcd,
		seeds.EtcdMetricsPort: {{"a member", v.asks(nil, "GET", "/metrics"), ""}}, // it is on the loopback interface
		5432: {
			{"a client with TLS and a password", v.connects(true, "postgres", passwords["superuser_password"]), "postgres by scram-sha-256:postgres"},
			{"a client without TLS", v.connects(false, "postgres", passwords["superuser_password"]), ""},
			{"a client with a wrong password", v.connects(true, "postgres", rand.Text()), ""},
			{"a client without a password", v.connects(true, "postgres", ""), ""},
			{"a member as the user of rewinds", v.connects(true, "rewind", passwords["rewind_password"]), "rewind by scram-sha-256:rewind"},
			{"a member as that without TLS", v.connects(false, "rewind", passwords["rewind_password"]), ""},
		},
		8008: {
			{"whoever reads", v.asks(v.nobody, "GET", "/patroni"), `"state": "running"`},
			{"a member that writes", v.asks(v.member, "POST", "/reload"), "202 Accepted"},
			{"one who writes without a certificate", v.asks(v.nobody, "POST", "/reload"), ""},
			{"one who changes the configuration without a certificate", v.asks(v.nobody, "PATCH", "/config"), ""},
			{"one who restarts without a certificate", v.asks(v.nobody, "POST", "/restart"), ""},
			{"a member with its certificate for etcd", v.asks(v.etcd, "POST", "/reload"), ""},
			{"a client of another authority", v.asks(v.foreigner, "POST", "/reload"), ""},
			{"a client without TLS", v.asks(nil, "GET", "/patroni"), ""},
		},
		seeds.MemberPort: {
			{"a member", v.asks(v.member, "GET", "/v1/node"), `"postgresql":"data"`},
			{"a member that asks for something else", v.asks(v.member, "GET", "/"), ""},
			{"a client without a certificate", v.asks(v.nobody, "GET", "/v1/node"), ""},
			{"a member with its certificate for etcd", v.asks(v.etcd, "GET", "/v1/node"), ""},
			{"a client of another authority", v.asks(v.foreigner, "GET", "/v1/node"), ""},
			{"a client without TLS", v.asks(nil, "GET", "/v1/node"), ""},
		},
		primaryPort: {
			{"a client with TLS and a password", v.connects(true, "postgres", passwords["superuser_password"]), "postgres by scram-sha-256:postgres"},
			{"a client without TLS", v.connects(false, "postgres", passwords["superuser_password"]), ""},
			{"a client with a wrong password", v.connects(true, "postgres", rand.Text()), ""},
		},
		5001: replicas,
		5002: replicas,
		5003: replicas,
		9553: {{"a member", v.asks(nil, "GET", "/metrics"), ""}}, // likewise
		7000: {
			{"whoever reads", v.asks(nil, "GET", "/metrics"), "haproxy_server_status"},
			{"one who commands", v.sends(nil, "POST", "/", "application/x-www-form-urlencoded", "s=pgsql-n1&action=drain&b=primary"), ""},
		},
	}
}

// TestPorts has everybody say something wrong at each port that the node listens on.
// Whom the firewall keeps away from them is TestFirewall's matter.
func TestPorts(t *testing.T) {
	t.Parallel()
	key, authorized := fixture.NewKey(t)
	c := newClusterAt(t, newSites(t, 1), plan{more: people(authorized), members: []member{{"pgsql-n1", 0, "postgresql, etcd, haproxy"}}})
	c.plant(c.nodes...)
	c.waitReady()
	n := c.nodes[0]
	until(t, settleTime, func(ctx context.Context) error { // HAProxy comes to know the leader
		conn, err := c.connect(ctx, c.sites[0], n, 5000)
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
	v := newVisitor(n)
	table := v.approaches(key)
	seed := n.cluster.Seeds[n.name]
	for _, port := range seed.Ports(seed.Nodes[0]) {
		to := netip.AddrPortFrom(n.addr.Addr(), port.Number)
		refused := false
		for _, a := range table[port.Number] {
			ctx, cancel := context.WithTimeout(t.Context(), 10*answerTime)
			said, err := a.try(ctx, to)
			cancel()
			refused = refused || a.served == ""
			switch {
			case a.served == "" && err == nil:
				t.Errorf("at port %d (%s) %s is served: %s", port.Number, port.Use, a.who, said)
			case a.served != "" && (err != nil || !regexp.MustCompile(a.served).MatchString(said)):
				t.Errorf("at port %d (%s) %s hears %q, %v, want %s", port.Number, port.Use, a.who, said, err, a.served)
			case errors.Is(err, context.DeadlineExceeded):
				t.Errorf("at port %d (%s) %s gets no answer: %v", port.Number, port.Use, a.who, err)
			case err != nil:
				t.Logf("at port %d %s hears: %v", port.Number, a.who, err)
			}
		}
		if !refused {
			t.Errorf("nothing wrong is tried at port %d (%s)", port.Number, port.Use)
		}
		delete(table, port.Number)
	}
	for port := range table {
		t.Errorf("the node does not listen on port %d", port)
	}
}
