package record

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// replace is the update that has a name have these addresses and no other, unless it has
// others by now than were seen: RFC 2136, 2.4 and 2.5. So an update that comes late, by a way
// that was cut for a while or to a server that hung, does not undo what another host has
// written since.
//
// Its parts come to pass together or not at all (3.4.2 there, and 3.7: no question is
// answered in between). What else the name has, stays.
func replace(zone string, w Wanted, ttl int, seen Record) *dns.Msg {
	m := new(dns.Msg).SetUpdate(zone)
	name := canonical(w.Name)
	had := records(name, seen.Addresses, 0)
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		same := slices.DeleteFunc(slices.Clone(had), func(rr dns.RR) bool { return rr.Header().Rrtype != kind })
		if len(same) > 0 {
			m.Used(same)
		} else {
			m.RRsetNotUsed([]dns.RR{empty(name, kind)})
		}
	}
	m.RemoveRRset([]dns.RR{empty(name, dns.TypeA), empty(name, dns.TypeAAAA)})
	m.Insert(records(name, w.Addresses, ttl))
	return m
}

// records are the addresses of a name as records.
func records(name string, addrs []netip.Addr, ttl int) (all []dns.RR) {
	for _, addr := range sorted(addrs) {
		h := dns.RR_Header{Name: name, Rrtype: dns.TypeAAAA, Class: dns.ClassINET, Ttl: uint32(ttl)}
		if addr.Is4() {
			h.Rrtype = dns.TypeA
			all = append(all, &dns.A{Hdr: h, A: addr.AsSlice()})
			continue
		}
		all = append(all, &dns.AAAA{Hdr: h, AAAA: addr.AsSlice()})
	}
	return all
}

// empty stands for all records of a kind.
func empty(name string, kind uint16) dns.RR {
	return &dns.ANY{Hdr: dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET}}
}

// question is one for the records of a kind.
func question(name string, kind uint16, recurse bool) *dns.Msg {
	m := new(dns.Msg).SetQuestion(canonical(name), kind)
	m.RecursionDesired = recurse
	return m
}

// authoritative refuses an answer that is not of a server which has the name in a zone of its own and shows it.
func authoritative(answer *dns.Msg, name string) error {
	if t := answer.IsTsig(); t != nil && t.Error != 0 {
		return signature(t, time.Now())
	}
	switch {
	case answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
		return fmt.Errorf("asked for %s it answers %s: does it have the zone, and do its allow-query and view rules let this host, or its key, ask?",
			person(name), rcode(answer.Rcode))
	case !answer.Authoritative:
		return fmt.Errorf("it does not have the zone of %s itself: name a server under dns.servers that does", person(name))
	}
	return nil
}

// add adds the addresses of a name in an answer.
func (s *sight) add(answer *dns.Msg, name string) {
	for _, rr := range answer.Answer {
		if canonical(rr.Header().Name) != canonical(name) {
			continue
		}
		switch rr := rr.(type) {
		case *dns.A:
			s.insert(rr.A, rr.Hdr.Ttl)
		case *dns.AAAA:
			s.insert(rr.AAAA, rr.Hdr.Ttl)
		case *dns.CNAME:
			s.alias = person(rr.Target)
		}
	}
}

// refuseAlias refuses what is an alias, beside which nothing can be: RFC 1034, 3.6.2. An update
// of one is taken, and changes nothing: RFC 2136, 3.4.2.2.
func (s sight) refuseAlias(name string) error {
	if s.alias == "" {
		return nil
	}
	return fmt.Errorf("%s is an alias, of %s, and so can have no addresses: remove its CNAME record", person(name), s.alias)
}

func (r *Record) insert(ip []byte, ttl uint32) {
	addr, _ := netip.AddrFromSlice(ip) // dns has checked its length
	r.Addresses = sorted(append(r.Addresses, addr))
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

// Has tells whether a record has these addresses and no other.
func (r Record) Has(addrs []netip.Addr) bool {
	return slices.Equal(sorted(r.Addresses), sorted(addrs))
}

// sorted is addresses in order, each once.
func sorted(addrs []netip.Addr) []netip.Addr {
	var s []netip.Addr
	for _, addr := range addrs {
		s = append(s, addr.Unmap().WithZone(""))
	}
	slices.SortFunc(s, netip.Addr.Compare)
	return slices.Compact(s)
}

// rcode is the name of a response code: RFC 6895, 2.3.
func rcode(code int) string {
	if name, ok := dns.RcodeToString[code]; ok {
		return name
	}
	return fmt.Sprintf("RCODE %d", code)
}
