//go:build lab

package lab

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// zone stands in for the name servers of a zone, one at the router of each site, which always
// know the same. It takes updates of everybody: RFC 2136. What real servers do, TestRecordBind
// and TestRecordSamba show.
type zone struct {
	name string // with its last dot

	mu      sync.Mutex
	records map[string][]dns.RR // A and AAAA, by name
	empties int                 // how many updates left a name without a record that had one
}

// newZone has the cluster's zone served in these networks until the test ends.
func newZone(t testing.TB, networks []*network) *zone {
	t.Helper()
	z := &zone{name: dns.Fqdn(clusterZone), records: map[string][]dns.RR{}}
	for _, n := range networks {
		name := "ns." + z.name // which the SOA record names
		z.records[name] = append(z.records[name], &dns.A{
			Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: n.prefix.Addr().AsSlice(),
		})
		at := netip.AddrPortFrom(n.prefix.Addr(), 53).String()
		packets, err := inNamespace(n.namespace, func() (net.PacketConn, error) {
			return new(net.ListenConfig).ListenPacket(context.Background(), "udp", at)
		})
		if err != nil {
			t.Fatal(err)
		}
		listener, err := inNamespace(n.namespace, func() (net.Listener, error) {
			return new(net.ListenConfig).Listen(context.Background(), "tcp", at)
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, server := range []*dns.Server{
			{PacketConn: packets, Handler: z, MsgAcceptFunc: acceptAll},
			{Listener: listener, Handler: z, MsgAcceptFunc: acceptAll},
		} {
			done := make(chan struct{})
			started := make(chan struct{})
			server.NotifyStartedFunc = func() { close(started) }
			go func() {
				defer close(done)
				if err := server.ActivateAndServe(); err != nil {
					t.Errorf("the name server at %s: %v", at, err)
				}
			}()
			<-started
			t.Cleanup(func() {
				if err := server.Shutdown(); err != nil {
					t.Error(err)
				}
				<-done
			})
		}
	}
	return z
}

// acceptAll accepts updates, too.
func acceptAll(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }

// ServeDNS answers one message.
func (z *zone) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	answer := new(dns.Msg).SetReply(m)
	answer.Authoritative = true
	switch {
	case len(m.Question) != 1 || !dns.IsSubDomain(z.name, m.Question[0].Name):
		answer.Rcode = dns.RcodeRefused
	case m.Opcode == dns.OpcodeUpdate:
		answer.Rcode = z.update(m.Answer, m.Ns)
	default:
		z.answer(answer, m.Question[0])
	}
	_ = w.WriteMsg(answer) // who gets none asks again
}

func (z *zone) answer(answer *dns.Msg, q dns.Question) {
	soa := &dns.SOA{
		Hdr: dns.RR_Header{Name: z.name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
		Ns:  "ns." + z.name, Mbox: "hostmaster." + z.name, Serial: 1, Refresh: 60, Retry: 60, Expire: 60, Minttl: 5,
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	name := strings.ToLower(q.Name)
	for _, r := range z.records[name] {
		if r.Header().Rrtype == q.Qtype {
			answer.Answer = append(answer.Answer, r)
		}
	}
	switch {
	case q.Qtype == dns.TypeSOA && name == z.name:
		answer.Answer = append(answer.Answer, soa)
	case len(answer.Answer) == 0:
		answer.Ns = append(answer.Ns, soa)
		if name != z.name && len(z.records[name]) == 0 {
			answer.Rcode = dns.RcodeNameError
		}
	}
}

// update does what the update section says, where the records are as the prerequisites have
// it, and returns the code of its answer: RFC 2136, 2.5 and 3.2.
func (z *zone) update(prerequisites, changes []dns.RR) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	if code := z.unlike(prerequisites); code != dns.RcodeSuccess {
		return code
	}
	for _, r := range changes {
		name := strings.ToLower(r.Header().Name)
		had := len(z.records[name]) > 0
		defer func() {
			if had && len(z.records[name]) == 0 {
				z.empties++
			}
		}()
	}
	for _, r := range changes {
		h := r.Header()
		name := strings.ToLower(h.Name)
		if h.Class == dns.ClassANY {
			z.records[name] = slices.DeleteFunc(z.records[name], func(old dns.RR) bool {
				return h.Rrtype == dns.TypeANY || old.Header().Rrtype == h.Rrtype
			})
			continue
		}
		z.records[name] = append(z.records[name], r)
	}
	return dns.RcodeSuccess
}

// unlike is the code for records that are not as prerequisites have it. A set of records is held
// against those of its class IN, value by value, where there are any: RFC 2136, 3.2.3.
func (z *zone) unlike(prerequisites []dns.RR) int {
	type set struct {
		name string
		kind uint16
	}
	want := map[set][]string{}
	for _, r := range prerequisites {
		h := r.Header()
		of := set{strings.ToLower(h.Name), h.Rrtype}
		there := slices.ContainsFunc(z.records[of.name], func(own dns.RR) bool { return own.Header().Rrtype == of.kind })
		switch {
		case h.Class == dns.ClassNONE && there:
			return dns.RcodeYXRrset
		case h.Class == dns.ClassANY && !there:
			return dns.RcodeNXRrset
		case h.Class == dns.ClassINET:
			want[of] = append(want[of], dns.Field(r, 1))
		}
	}
	for of, values := range want {
		var own []string
		for _, r := range z.records[of.name] {
			if r.Header().Rrtype == of.kind {
				own = append(own, dns.Field(r, 1))
			}
		}
		slices.Sort(values)
		slices.Sort(own)
		if !slices.Equal(slices.Compact(values), own) {
			return dns.RcodeNXRrset
		}
	}
	return dns.RcodeSuccess
}

// lookup is what a name has, in order.
func (z *zone) lookup(name string) []netip.Addr {
	z.mu.Lock()
	defer z.mu.Unlock()
	var all []netip.Addr
	for _, r := range z.records[dns.Fqdn(name)] {
		switch r := r.(type) {
		case *dns.A:
			a, _ := netip.AddrFromSlice(r.A)
			all = append(all, a.Unmap())
		case *dns.AAAA:
			a, _ := netip.AddrFromSlice(r.AAAA)
			all = append(all, a)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}

// set has the cluster's name lead to these addresses.
func (z *zone) set(addresses ...netip.Addr) {
	z.mu.Lock()
	defer z.mu.Unlock()
	name := dns.Fqdn(clusterName)
	z.records[name] = nil
	for _, a := range addresses {
		z.records[name] = append(z.records[name], &dns.A{
			Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 30}, A: a.AsSlice(),
		})
	}
}

// emptied is how many updates left a name without a record that had one.
func (z *zone) emptied() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.empties
}
