package record

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"banyan/internal/dnscp/config"
)

// server is a server of DNS with addresses that only the Updaters of a test know.
type server struct {
	zones []string // that it is a server of; none for a resolver
	keys  map[string]string

	mu      sync.Mutex
	records []dns.RR
	updates []*dns.Msg // all that came, also those that it did not take
	asked   int        // how many questions came

	// What it does with an update, and what it does in place of that.
	refuse    int                                // the code that it answers, and leaves the record as it is
	badTime   bool                               // its clock is an hour ahead
	answer    func(dns.ResponseWriter, *dns.Msg) // in place of its own
	truncated bool                               // answers by UDP are cut
	before    func(*server)                      // another host, which is a little faster
	silent    bool                               // nothing is answered, and nothing changed
	byKey     bool                               // who asks without a key is refused
	tkey      func(*dns.TKEY)                    // makes the answer to a token out of it
}

// network is where servers are found by their addresses.
type network map[string]string

// dial connects to what a server's address stands for.
func (n network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	at, ok := n[address]
	if !ok {
		return nil, fmt.Errorf("dial %s: %w", address, errors.New("connection refused"))
	}
	return new(net.Dialer).DialContext(ctx, network, at)
}

// listen finds a port that is free for both protocols.
func listen(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	var errs []error
	for range 10 {
		tcp, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp
		}
		errs = append(errs, err, tcp.Close())
	}
	t.Fatal(errors.Join(errs...))
	return nil, nil
}

// add starts a server until the test ends.
func (n network) add(t *testing.T, addr string, s *server) *server {
	t.Helper()
	tcp, udp := listen(t)
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait) // after they were shut down
	for _, d := range []*dns.Server{{Listener: tcp}, {PacketConn: udp}} {
		d.Handler, d.TsigSecret = s, s.keys
		d.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
		started := make(chan struct{})
		d.NotifyStartedFunc = func() { close(started) }
		serving.Go(func() { _ = d.ActivateAndServe() }) // ends by being shut down
		<-started
		t.Cleanup(func() {
			if err := d.Shutdown(); err != nil {
				t.Error(err)
			}
		})
	}
	n[netip.AddrPortFrom(netip.MustParseAddr(addr), config.Port).String()] = tcp.Addr().String()
	return s
}

// zoneServer is a server of zones with these records.
func zoneServer(zones []string, records ...string) *server {
	return &server{zones: zones, records: parse(records...)}
}

func parse(records ...string) []dns.RR {
	var all []dns.RR
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		rr.Header().Name = canonical(rr.Header().Name)
		all = append(all, rr)
	}
	return all
}

func (s *server) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := new(dns.Msg).SetReply(m)
	switch {
	case s.silent:
		return
	case m.Opcode == dns.OpcodeUpdate:
		s.updates = append(s.updates, m.Copy())
		a.Rcode = s.update(w, m, a)
		if s.answer != nil {
			s.answer(w, a)
			return
		}
	case m.Question[0].Qtype == dns.TypeTKEY && s.tkey != nil:
		for _, rr := range m.Extra {
			if token, ok := rr.(*dns.TKEY); ok {
				s.tkey(token)
				a.Answer = append(a.Answer, token)
			}
		}
	default:
		a.Rcode = dns.RcodeRefused
		if signed := m.IsTsig() != nil; signed || !s.byKey {
			a.Rcode = dns.RcodeSuccess
			if signed {
				a.Rcode = s.verify(w, m, a)
			}
		}
		if a.Rcode == dns.RcodeSuccess {
			s.query(m.Question[0], a)
		}
		if _, ok := w.RemoteAddr().(*net.UDPAddr); ok && s.truncated {
			a.Answer, a.Ns, a.Truncated = nil, nil, true
		}
	}
	_ = w.WriteMsg(a) // the client may be gone
}

func (s *server) query(q dns.Question, a *dns.Msg) {
	s.asked++
	zone := slices.IndexFunc(s.zones, func(z string) bool { return dns.IsSubDomain(z, q.Name) })
	if zone < 0 && s.zones != nil {
		a.Rcode = dns.RcodeRefused
		return
	}
	a.Authoritative = zone >= 0
	exists := false
	for _, rr := range s.records {
		h := rr.Header()
		exists = exists || dns.IsSubDomain(q.Name, h.Name)
		if h.Name == q.Name && (h.Rrtype == q.Qtype || h.Rrtype == dns.TypeCNAME) {
			a.Answer = append(a.Answer, rr)
		}
	}
	_, above, _ := strings.Cut(q.Name, ".")
	for _, rr := range s.records {
		if h := rr.Header(); !exists && h.Name == "*."+above && (h.Rrtype == q.Qtype || h.Rrtype == dns.TypeCNAME) {
			rr = dns.Copy(rr)
			rr.Header().Name = q.Name
			a.Answer = append(a.Answer, rr)
		}
	}
	if len(a.Answer) > 0 {
		return
	}
	if !exists {
		a.Rcode = dns.RcodeNameError
	}
	for _, rr := range s.records { // the longest comes first
		if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, q.Name) {
			a.Ns = []dns.RR{soa}
			return
		}
	}
}

// update takes an update, as RFC 2136, 3 says, and returns the code of its answer.
func (s *server) update(w dns.ResponseWriter, m, a *dns.Msg) int {
	if code := s.verify(w, m, a); code != dns.RcodeSuccess {
		return code
	}
	if s.refuse != 0 {
		return s.refuse
	}
	if !slices.Contains(s.zones, m.Question[0].Name) {
		return dns.RcodeNotAuth
	}
	if s.before != nil {
		s.before(s)
	}
	if code := s.unlike(m.Answer); code != dns.RcodeSuccess {
		return code
	}
	for _, rr := range m.Ns {
		h := rr.Header()
		same := func(r dns.RR) bool { return r.Header().Name == h.Name && r.Header().Rrtype == h.Rrtype }
		switch {
		case h.Class == dns.ClassANY:
			s.records = slices.DeleteFunc(s.records, same)
		case !slices.ContainsFunc(s.records, func(r dns.RR) bool { return r.Header().Name == h.Name && r.Header().Rrtype == dns.TypeCNAME }):
			s.records = append(s.records, rr)
		}
	}
	return dns.RcodeSuccess
}

// unlike is the code for what is not as the update has it: RFC 2136, 3.2.
func (s *server) unlike(wanted []dns.RR) int {
	want, got := map[string][]string{}, map[string][]string{}
	for _, rr := range wanted {
		kind := dns.TypeToString[rr.Header().Rrtype]
		if want[kind] = append(want[kind], dns.Field(rr, 1)); rr.Header().Class == dns.ClassNONE {
			want[kind] = nil
		}
		got[kind] = nil
		for _, own := range s.records {
			if own.Header().Name == rr.Header().Name && own.Header().Rrtype == rr.Header().Rrtype {
				got[kind] = append(got[kind], dns.Field(own, 1))
			}
		}
		slices.Sort(got[kind])
	}
	for kind := range want {
		slices.Sort(want[kind])
		switch {
		case slices.Equal(want[kind], got[kind]):
		case want[kind] == nil:
			return dns.RcodeYXRrset
		default:
			return dns.RcodeNXRrset
		}
	}
	return dns.RcodeSuccess
}

// verify verifies a signature, as RFC 8945, 5 says, where the server has keys.
func (s *server) verify(w dns.ResponseWriter, m, a *dns.Msg) int {
	if s.keys == nil {
		return dns.RcodeSuccess
	}
	t := m.IsTsig()
	if t == nil {
		return dns.RcodeRefused
	}
	a.SetTsig(t.Hdr.Name, t.Algorithm, fudge, time.Now().Unix())
	own := a.IsTsig()
	switch err := w.TsigStatus(); {
	case errors.Is(err, dns.ErrSecret):
		own.Error = dns.RcodeBadKey
	case err != nil:
		own.Error = dns.RcodeBadSig
	case s.badTime:
		own.Error, own.OtherLen = dns.RcodeBadTime, 6
		own.OtherData = fmt.Sprintf("%012x", time.Now().Add(time.Hour).Unix())
	default:
		return dns.RcodeSuccess
	}
	return dns.RcodeNotAuth
}

// badlySigned answers with a signature that is none.
func badlySigned(w dns.ResponseWriter, a *dns.Msg) {
	if t := a.IsTsig(); t != nil {
		t.MAC = hex.EncodeToString([]byte(strings.Repeat("?", 32)))
		t.MACSize = 32
	}
	wire, err := a.Pack()
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(wire)
}

// change changes what the server does, while it may be asked.
func (s *server) change(change func(*server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// has is what the server has for pg.demo.ru.
func (s *server) has() string {
	const name = "pg.demo.ru."
	s.mu.Lock()
	defer s.mu.Unlock()
	var r sight
	for _, rr := range s.records {
		if rr.Header().Name != name {
			continue
		}
		r.add(&dns.Msg{Answer: []dns.RR{rr}}, name)
	}
	return r.String()
}

// came is how many updates came.
func (s *server) came() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.updates)
}

// questions is how many questions came.
func (s *server) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// updater makes an Updater in the network whose resolvers are at these addresses.
func (n network) updater(t *testing.T, c config.DNS, resolvers ...string) *Updater {
	t.Helper()
	text := "search example.net\n"
	for _, r := range resolvers {
		text += "nameserver " + r + "\n"
	}
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if c.Name == "" {
		c.Name = "pg.demo.ru"
	}
	if c.TTL == 0 {
		c.TTL = 30
	}
	if c.Auth == "" {
		c.Auth = config.AuthNone
	}
	return New(c, Options{Resolver: file, Dial: n.dial})
}

// impatient has less patience with a server that says nothing than a host has.
func impatient(u *Updater) *Updater {
	u.limits.exchange, u.limits.answer = time.Second, time.Second
	return u
}

// secret writes a file with a secret.
func secret(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func addrs(list ...string) []netip.Addr {
	var all []netip.Addr
	for _, a := range list {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}
