//go:build lab

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"banyan/internal/patroni"
)

// foreign is a host that somebody else has set up, with a Patroni of its own, and Banyan's
// dnscp beside it. Its Patroni is one that says what the test wants.
type foreign struct {
	*host
	says *patroniWords
	user string // who runs Patroni, and so the callbacks
}

// patroniWords answers as Patroni's REST API does, by HTTP.
type patroniWords struct {
	mu     sync.Mutex
	status patroni.Status
	pause  chan struct{} // what waits for an answer waits until this is closed; nil for nobody
	away   bool          // its DCS, so that it does not tell its configuration
}

// lose takes its DCS away, or brings it back.
func (p *patroniWords) lose(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

// become sets what it says from now on.
func (p *patroniWords) become(leader bool, role, state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = patroni.Status{Leader: leader, Role: role, State: state}
}

// leads and follows are the two of them that last.
func (p *patroniWords) leads()   { p.become(true, "primary", "running") }
func (p *patroniWords) follows() { p.become(false, "replica", "running") }

// freeze has nobody be answered until the function that it returns is called.
func (p *patroniWords) freeze() (goOn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pause := make(chan struct{})
	p.pause = pause
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		close(pause)
		p.pause = nil
	}
}

func (p *patroniWords) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	pause := p.pause
	p.mu.Unlock()
	if pause != nil {
		select {
		case <-pause:
		case <-r.Context().Done():
			return
		}
	}
	p.mu.Lock()
	status, away := p.status, p.away
	p.mu.Unlock()
	var answer any = status
	switch r.URL.Path {
	case "/config":
		if away {
			<-r.Context().Done()
			return
		}
		answer = map[string]any{"ttl": 20, "loop_wait": 5, "retry_timeout": 5}
	case "/cluster":
		answer = patroni.Cluster{}
	default:
		if !status.Leader {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	_ = json.NewEncoder(w).Encode(answer) // who asks sees what is missing
}

// newForeign turns such a host on, at an address of a network.
func newForeign(t testing.TB, n *network, name string, addr netip.Addr) *foreign {
	t.Helper()
	f := &foreign{newHost(t, n, name, addr), new(patroniWords), "postgres"}
	f.says.follows()
	f.start()
	f.sh(fmt.Sprintf("ip address add %s dev eth0\nip link set eth0 up\nip route add default via %s || true", f.addr, n.prefix.Addr()))
	l, err := inNamespace(f.id(), func() (net.Listener, error) {
		return new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:8008")
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: f.says, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends by being closed
	}()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return f
}

// guard gives the host a guard with these lines of configuration too, and starts it.
func (f *foreign) guard(lines string) {
	f.t.Helper()
	err := f.drop(map[string]string{"dnscp/config.yml": "patroni: {url: \"http://127.0.0.1:8008\", watchdog: {mode: off}}\n" + lines})
	if err != nil {
		f.t.Fatal(err)
	}
	f.sh("systemctl unmask dnscp.socket dnscp.service >&2 || true; systemctl daemon-reload; systemctl start dnscp.socket dnscp.service")
}

// callback is what Patroni would run, and all that it prints; an exit status is the last line.
func (f *foreign) callback(arguments string) (string, error) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), checkTime)
	defer cancel()
	return f.container.run(ctx, fmt.Sprintf(`cd /var/lib/postgresql
runuser -u %s -- dnscp %s 2>&1 || echo "exit status $?"`, f.user, arguments))
}

// has tells whether an address is on the host.
func (f *foreign) has(addr netip.Addr) bool {
	f.t.Helper()
	all, err := f.addresses()
	if err != nil {
		f.t.Fatal(err)
	}
	return slices.Contains(all, addr)
}

// waitHas waits until an address is on the host, or is not.
func (f *foreign) waitHas(addr netip.Addr, want bool, limit time.Duration) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), limit)
	defer cancel()
	if !poll(ctx, 20*time.Millisecond, func() bool { return f.has(addr) == want }) {
		f.t.Fatalf("%s: after %v it is %t that %s is on it", f.name, limit, !want, addr)
	}
}
