//go:build lab

package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// standIn stands in for PostgreSQL under Patroni: it says its name on PostgreSQL's port and
// then echoes lines, and answers on Patroni's as that does, by TLS and by status codes.
type standIn struct {
	name string

	mu    sync.Mutex
	is    []string // what Patroni answers with 200, such as primary
	shows tls.Certificate
}

// newStandIn makes one in the network, until the test ends.
func newStandIn(t testing.TB, n *network, name string, addr netip.Prefix) *standIn {
	t.Helper()
	m := &standIn{name: name}
	n.addClient(t, addr)
	on := func(port uint16) net.Listener {
		l, err := inNamespace(n.namespace, func() (net.Listener, error) {
			return new(net.ListenConfig).Listen(context.Background(), "tcp", netip.AddrPortFrom(addr.Addr(), port).String())
		})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	rest := &http.Server{
		Handler: m, ReadHeaderTimeout: checkTime,
		ErrorLog: log.New(os.Stderr, name+": ", 0), // handshakes that end early
		TLSConfig: &tls.Config{
			SessionTicketsDisabled: true, // another certificate has to be seen
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				return &m.shows, nil
			},
		},
	}
	api, sql := on(8008), on(5432)
	var all sync.WaitGroup
	all.Go(func() { _ = rest.ServeTLS(api, "", "") }) // ends by being closed
	all.Go(func() {
		for {
			conn, err := sql.Accept()
			if err != nil {
				return
			}
			go m.serve(conn)
		}
	})
	t.Cleanup(func() {
		if err := errors.Join(rest.Close(), sql.Close()); err != nil {
			t.Error(err)
		}
		all.Wait()
	})
	return m
}

// become sets what the member is, and answers to.
func (m *standIn) become(roles ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.is = roles
}

// show sets the certificate that Patroni shows.
func (m *standIn) show(c tls.Certificate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shows = c
}

func (m *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Method != http.MethodOptions || !slices.Contains(m.is, strings.TrimPrefix(r.URL.Path, "/")) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (m *standIn) serve(conn net.Conn) {
	defer conn.Close() // whoever is at the other end is told
	if _, err := fmt.Fprintln(conn, m.name); err != nil {
		return
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if _, err := fmt.Fprintln(conn, lines.Text()); err != nil {
			return
		}
	}
}

// session is a client's connection to a member.
type session struct {
	conn   net.Conn
	lines  *bufio.Reader
	member string // who answered
}

// connect reaches some member by an address.
func connect(ctx context.Context, n *network, to netip.AddrPort) (*session, error) {
	conn, err := n.dial(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, lines: bufio.NewReader(conn)}
	if s.member, err = s.say("hello"); err == nil {
		_, err = s.lines.ReadString('\n') // the echo
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

// say sends a line and returns the next one that comes.
func (s *session) say(line string) (string, error) {
	if err := s.conn.SetDeadline(time.Now().Add(checkTime)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(s.conn, line); err != nil {
		return "", err
	}
	answer, err := s.lines.ReadString('\n')
	return strings.TrimSpace(answer), err
}
