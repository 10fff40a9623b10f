//go:build lab

package lab

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"banyan/internal/converge"
	"banyan/internal/facts"
	desired "banyan/internal/node"
	"banyan/internal/pki"
	"banyan/seeds"
	"banyan/tests/fixture"
)

// balancer is a host with the image's HAProxy, and three members behind it.
type balancer struct {
	*host
	cluster string // the file that the seed is minted from
	seed    *seeds.Seed
	members []*standIn
	vip     netip.Addr
}

// newBalancer starts HAProxy by its own unit, with what a minted seed makes of it. The
// host is not planted: members that are none would not let it join.
func newBalancer(t *testing.T, prefix netip.Prefix, at func(last byte) netip.Addr) *balancer {
	t.Helper()
	n := newNetwork(t, prefix)
	b := &balancer{host: newHost(t, n, "pgsql-lb1", at(31)), vip: at(80)}
	b.cluster = fmt.Sprintf("version: banyan/v1\ncluster: {name: pgsql-cl}\nsites: [{name: dc1, subnet: %q, vips: [%q]}]\nnodes:\n", prefix.Masked(), b.vip)
	b.cluster += fmt.Sprintf("  - {name: %s, address: %q, services: [haproxy], match: {serial: lb1}}\n", b.name, b.addr)
	for i := range byte(3) {
		m := newStandIn(t, n, fmt.Sprintf("pgsql-n%d", i+1), netip.PrefixFrom(at(21+i), prefix.Bits()))
		b.members = append(b.members, m)
		b.cluster += fmt.Sprintf("  - {name: %s, address: %q, match: {serial: %[1]s}}\n", m.name, netip.PrefixFrom(at(21+i), prefix.Bits()))
	}
	b.mint()
	for _, m := range b.members {
		m.show(b.certificate(m.name))
	}
	b.members[0].become("primary")
	b.members[1].become("replica", "sync")
	b.members[2].become("replica", "async")

	etc := b.etc()
	etc["systemd/network/lab.network"] = fmt.Sprintf("[Match]\nName=eth0\n[Network]\nAddress=%s\nIPv6AcceptRA=no\n", b.addr)
	b.boot(etc)
	family := map[bool]string{true: "ipv4", false: "ipv6"}[b.vip.Is4()]
	b.sh("echo 1 >/proc/sys/net/" + family + "/ip_nonlocal_bind; systemctl start haproxy.service")
	return b
}

// mint makes the seed of the cluster, with new authorities and all that is the nodes' own.
func (b *balancer) mint() {
	b.t.Helper()
	b.seed = fixture.MintUniversal(b.t, b.cluster).Seeds[fixture.Universal].Seed
}

// certificate is the one that a node was minted.
func (b *balancer) certificate(name string) tls.Certificate {
	b.t.Helper()
	n, _ := b.seed.ByName(name)
	return keyPair(b.t, string(n.PKI.Certificate), n.PKI.Key.Reveal())
}

func keyPair(t testing.TB, certificate, key string) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// etc is what the seed makes of HAProxy, and its authority.
func (b *balancer) etc() map[string]string {
	b.t.Helper()
	self, _ := b.seed.ByName(b.name)
	state, err := desired.Desired(*b.seed, self, facts.Facts{})
	if err != nil {
		b.t.Fatal(err)
	}
	files := map[string]string{"banyan/pki/ca.crt": string(b.seed.PKI.CA)}
	for _, step := range state.Steps {
		for _, r := range step.Resources {
			if f, ok := r.(converge.File); ok && step.Name == "haproxy" {
				files[strings.TrimPrefix(f.Path, "/etc/")] = f.Content
			}
		}
	}
	return files
}

// reload gives HAProxy what the seed makes of it by now.
func (b *balancer) reload() {
	b.t.Helper()
	if err := b.drop(b.etc()); err != nil {
		b.t.Fatal(err)
	}
	b.sh("systemctl reload haproxy.service")
}

// at is a port of HAProxy on an address.
func at(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// connect is a client's connection to a port on the balancer's own address.
func (b *balancer) connect(port uint16) *session {
	b.t.Helper()
	return b.connectTo(at(b.addr.Addr(), port))
}

func (b *balancer) connectTo(to netip.AddrPort) *session {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), checkTime)
	defer cancel()
	s, err := connect(ctx, b.network, to)
	if err != nil {
		b.t.Fatalf("%s: %v", to, err)
	}
	b.t.Cleanup(func() { _ = s.conn.Close() }) // it may have been closed by the other end
	return s
}

// leads is who a client reaches at an address.
func (b *balancer) leads(to netip.AddrPort) string {
	b.t.Helper()
	s := b.connectTo(to)
	if err := s.conn.Close(); err != nil {
		b.t.Fatal(err)
	}
	return s.member
}

// get fetches a page of the port of statistics.
func (b *balancer) get(ctx context.Context, port uint16, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DialContext: b.network.dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at(b.addr.Addr(), port).String()+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	return body, errors.Join(err, response.Body.Close())
}

// wait waits until HAProxy has each member of a service where want has it: whether it is
// up, and what came of the last check, such as "DOWN L6RSP". The page is on that port.
func (b *balancer) wait(port uint16, service string, want ...string) {
	b.t.Helper()
	var got []string
	until(b.t, checkTime, func(ctx context.Context) error {
		got = nil
		page, err := b.get(ctx, port, "/;csv")
		if err != nil {
			return err
		}
		rows, err := csv.NewReader(bytes.NewReader(page)).ReadAll()
		if err != nil || len(rows) == 0 {
			return fmt.Errorf("no statistics: %q: %w", page, err)
		}
		column := func(name string) int { return slices.Index(rows[0], name) }
		for _, row := range rows[1:] {
			if row[0] == service && strings.HasPrefix(row[1], "pgsql-") {
				got = append(got, row[column("status")]+" "+row[column("check_status")])
			}
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("%s: got %q, want %q", service, got, want)
		}
		return nil
	})
}

// expectMembers wants each port of HAProxy to lead to who is what the port is for.
func (b *balancer) expectMembers() {
	b.t.Helper()
	const up, down = "UP L7OK", "DOWN L7STS"
	b.wait(7000, "primary", up, down, down)
	b.wait(7000, "replicas", down, up, up)
	b.wait(7000, "replicas_sync", down, up, down)
	b.wait(7000, "replicas_async", down, down, up)
	for port, want := range map[uint16]string{5000: "pgsql-n1 pgsql-n1", 5001: "pgsql-n2 pgsql-n3", 5002: "pgsql-n2 pgsql-n2", 5003: "pgsql-n3 pgsql-n3"} {
		own := at(b.addr.Addr(), port)
		got := []string{b.leads(own), b.leads(own)}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			b.t.Errorf("port %d leads to %v, want %s", port, got, want)
		}
	}
	loopback := map[bool]string{true: "127.0.0.1", false: "::1"}[b.vip.Is4()]
	b.sh(fmt.Sprintf("ip address add %s/%d dev eth0 nodad", b.vip, b.addr.Bits())) // as the leader does; HAProxy is told nothing
	if got := b.leads(at(b.vip, 5000)); got != "pgsql-n1" {
		b.t.Errorf("the VIP leads to %s", got)
	}
	b.expect([]fixture.Check{
		{"the loopback's port", "exec 3<>/dev/tcp/" + loopback + "/5000; head -1 <&3", "pgsql-n1"},
		{"the unit", "systemctl is-active haproxy.service", "active"},
		{"keys that nobody understands", "journalctl --boot --quiet --output cat --grep 'Unknown (key|section)|Failed to parse' | cat", ""},
		{"what HAProxy has to say of its configuration", "haproxy -c -f /etc/haproxy/haproxy.cfg 2>&1 | grep -iv 'configuration file is valid' || true", ""},
	})
}

// expect looks at the host.
func (b *balancer) expect(checks []fixture.Check) {
	b.t.Helper()
	for _, c := range checks {
		if err := fixture.Compare(c, b.sh(c.Script)); err != nil {
			b.t.Error(err)
		}
	}
}

func TestHAProxyIP6(t *testing.T) {
	t.Parallel()
	newBalancer(t, netip.MustParsePrefix("fd00:213::1/64"), func(last byte) netip.Addr {
		a := netip.MustParseAddr("fd00:213::").As16()
		a[15] = last
		return netip.AddrFrom16(a)
	}).expectMembers()
}

func TestHAProxy(t *testing.T) {
	t.Parallel()
	b := newBalancer(t, prefix, address)
	b.expectMembers()
	metrics, err := b.get(t.Context(), 7000, "/metrics")
	if err != nil || !bytes.Contains(metrics, []byte("\nhaproxy_server_status{")) {
		t.Errorf("/metrics: %v\n%s", err, metrics)
	}
	b.expectCertificates()
	b.expectFailover()
	b.expectReload()
	b.expectRefusal()
	b.expect([]fixture.Check{
		{"the log of a connection", "journalctl --boot --quiet --output cat --identifier haproxy --grep ' primary primary/pgsql-n1 ' | wc -l", "[1-9][0-9]*"},
		{"the log of a service without a member", "journalctl --boot --quiet --output cat --identifier haproxy --priority err --grep 'has no server available' | wc -l", "[1-9][0-9]*"},
		{"what everybody who is logged in is shown", "journalctl --boot --quiet --priority emerg..crit --unit haproxy.service", ""},
		{"who may use the admin's socket", "stat --format '%a %U:%G' /run/haproxy/admin.sock", "660 root:(root|haproxy)"},
	})
}

// expectCertificates wants a member to be left out that cannot show it is who it says.
func (b *balancer) expectCertificates() {
	b.t.Helper()
	const up, down = "UP L7OK", "DOWN L7STS"
	n1 := b.members[0]
	n1.show(b.certificate("pgsql-n2"))
	b.wait(7000, "primary", "DOWN L6RSP", down, down)
	n1.show(b.certificate(n1.name))
	b.wait(7000, "primary", up, down, down)
	certificate, key, _, err := authority(b.t).Issue(pki.Subject{Name: n1.name, DNSNames: []string{n1.name}}, pki.Lifetime{From: time.Now(), Days: 30})
	if err != nil {
		b.t.Fatal(err)
	}
	n1.show(keyPair(b.t, certificate, key))
	b.wait(7000, "primary", "DOWN L6RSP", down, down)
	n1.show(b.certificate(n1.name))
	b.wait(7000, "primary", up, down, down)
}

// expectFailover wants the sessions of a leader that is none any more to end, and new ones
// to reach the next one.
func (b *balancer) expectFailover() {
	b.t.Helper()
	const up, down = "UP L7OK", "DOWN L7STS"
	n1, n2 := b.members[0], b.members[1]
	s := b.connect(5000)
	n1.become("replica")
	n2.become("primary")
	b.wait(7000, "primary", down, up, down)
	until(b.t, checkTime, func(context.Context) error {
		if answer, err := s.say("still there?"); err == nil {
			return fmt.Errorf("%s answers %s", s.member, answer)
		}
		return nil
	})
	if got := b.leads(at(b.addr.Addr(), 5000)); got != n2.name {
		b.t.Errorf("the next leader is %s, and port 5000 leads to %s", n2.name, got)
	}
	n1.become("primary")
	n2.become("replica", "sync")
	b.wait(7000, "primary", up, down, down)
}

// expectReload has HAProxy take another configuration and another authority, and wants
// every client to reach the leader meanwhile, and who is connected to stay so.
func (b *balancer) expectReload() {
	b.t.Helper()
	kept := b.connect(5000)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for many := 0; ; many++ {
			select {
			case <-stop:
				if many < 20 {
					done <- fmt.Errorf("only %d connections were made", many)
				}
				close(done)
				return
			default:
			}
			ctx, cancel := context.WithTimeout(b.t.Context(), checkTime)
			s, err := connect(ctx, b.network, at(b.addr.Addr(), 5000))
			cancel()
			if err == nil && s.member != "pgsql-n1" {
				err = fmt.Errorf("port 5000 led to %s", s.member)
			}
			if err != nil {
				done <- fmt.Errorf("connection %d: %w", many, err)
				return
			}
			if err := s.conn.Close(); err != nil {
				done <- err
				return
			}
		}
	}()
	const up, down = "UP L7OK", "DOWN L7STS"
	self := slices.IndexFunc(b.seed.Nodes, func(n seeds.Node) bool { return n.Name == b.name })
	for port := uint16(7001); port < 7004; port++ { // what a new process alone listens on
		b.seed.Nodes[self].HAProxy.Ports.Stats = port
		b.reload()
		b.wait(port, "primary", up, down, down)
	}
	close(stop)
	if err := <-done; err != nil {
		b.t.Errorf("while HAProxy was reloaded: %v", err)
	}
	if answer, err := kept.say("still there"); err != nil || answer != "still there" {
		b.t.Errorf("after a reload a connection is gone: %q %v", answer, err)
	}

	// Another authority: first its members are strangers, after a reload the others.
	b.mint()
	for _, m := range b.members {
		m.show(b.certificate(m.name))
	}
	b.wait(7003, "primary", "DOWN L6RSP", "DOWN L6RSP", "DOWN L6RSP")
	b.reload()
	b.wait(7000, "primary", up, down, down)
	if answer, err := kept.say("still there"); err != nil || answer != "still there" {
		b.t.Errorf("after a reload a connection is gone: %q %v", answer, err)
	}

	// The process of the last connection ends with it.
	if err := kept.conn.Close(); err != nil {
		b.t.Fatal(err)
	}
	until(b.t, checkTime, func(context.Context) error {
		if got := b.sh("pgrep --count --exact haproxy"); got != "2" {
			return fmt.Errorf("%s processes of HAProxy run, and one watches and one works", got)
		}
		return nil
	})
}

// expectRefusal wants a configuration that HAProxy does not take to change nothing.
func (b *balancer) expectRefusal() {
	b.t.Helper()
	s := b.connect(5000)
	b.expect([]fixture.Check{{
		"a reload with a configuration that is wrong",
		`cp --archive /etc/haproxy/haproxy.cfg /tmp/kept
echo nonsense >>/etc/haproxy/haproxy.cfg
systemctl reload haproxy.service 2>/dev/null && echo done
cp --archive /tmp/kept /etc/haproxy/haproxy.cfg
systemctl is-active haproxy.service`, "active",
	}})
	if answer, err := s.say("still there"); err != nil || answer != "still there" {
		b.t.Errorf("after a refused reload a connection is gone: %q %v", answer, err)
	}
	if got := b.leads(at(b.addr.Addr(), 5000)); got != "pgsql-n1" {
		b.t.Errorf("after a refused reload port 5000 leads to %s", got)
	}
}
