package record

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// replace is the update that has a name have these addresses and no other: RFC 2136, 2.5.
// Its parts come to pass together or not at all (3.4.2 there, and 3.7: no question is
// answered in between). What else the name has, stays; where that is a CNAME, a server
// leaves out what would be beside it and says nothing (3.4.2.2).
func replace(zone string, w Wanted, ttl int) *dns.Msg {
	header := func(kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: canonical(w.Name), Rrtype: kind, Class: dns.ClassINET, Ttl: uint32(ttl)}
	}
	m := new(dns.Msg).SetUpdate(zone)
	m.RemoveRRset([]dns.RR{&dns.A{Hdr: header(dns.TypeA)}, &dns.AAAA{Hdr: header(dns.TypeAAAA)}})
	for _, addr := range set(w.Addresses) {
		var rr dns.RR = &dns.AAAA{Hdr: header(dns.TypeAAAA), AAAA: addr.AsSlice()}
		if addr.Is4() {
			rr = &dns.A{Hdr: header(dns.TypeA), A: addr.AsSlice()}
		}
		m.Insert([]dns.RR{rr})
	}
	return m
}

// question is one for the records of a kind.
func question(name string, kind uint16, recurse bool) *dns.Msg {
	m := new(dns.Msg).SetQuestion(canonical(name), kind)
	m.RecursionDesired = recurse
	return m
}

// add adds to a record the addresses in an answer of a server that has the name in a zone of
// its own.
func (r *Record) add(answer *dns.Msg, name string) error {
	switch {
	case answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
		return fmt.Errorf("asked for %s it answers %s: does it have the zone, and do its allow-query rules let this host ask?", name, rcode(answer.Rcode))
	case !answer.Authoritative:
		return fmt.Errorf("it does not have the zone of %s itself: name a server under dns.servers that does", name)
	}
	for _, rr := range answer.Answer {
		if canonical(rr.Header().Name) != canonical(name) {
			continue
		}
		switch rr := rr.(type) {
		case *dns.A:
			r.insert(rr.A, rr.Hdr.Ttl)
		case *dns.AAAA:
			r.insert(rr.AAAA, rr.Hdr.Ttl)
		case *dns.CNAME:
			return fmt.Errorf("%s is an alias, of %s, and so can have no addresses: remove its CNAME record", name, person(rr.Target))
		}
	}
	return nil
}

func (r *Record) insert(ip []byte, ttl uint32) {
	addr, _ := netip.AddrFromSlice(ip) // dns has checked its length
	r.Addresses = set(append(r.Addresses, addr))
	r.TTL = max(r.TTL, int(ttl))
}

// String lists the addresses.
func (r Record) String() string {
	if len(r.Addresses) == 0 {
		return "no address"
	}
	var all []string
	for _, addr := range r.Addresses {
		all = append(all, addr.String())
	}
	return strings.Join(all, ", ")
}

// set is addresses in order, each once.
func set(addrs []netip.Addr) []netip.Addr {
	var s []netip.Addr
	for _, addr := range addrs {
		s = append(s, addr.Unmap().WithZone(""))
	}
	slices.SortFunc(s, netip.Addr.Compare)
	return slices.Compact(s)
}

func equal(a, b []netip.Addr) bool { return slices.Equal(set(a), set(b)) }

// rcode is the name of a response code: RFC 6895, 2.3.
func rcode(code int) string {
	if name, ok := dns.RcodeToString[code]; ok {
		return name
	}
	return fmt.Sprintf("RCODE %d", code)
}
