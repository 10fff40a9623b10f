package record

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"banyan/internal/dnscp/config"
)

// Server is a server of a zone at one of its addresses.
type Server struct {
	Name    string // "" where it was named by its address
	Address netip.AddrPort
}

// String is the server as messages have it.
func (s Server) String() string {
	at := s.Address.String()
	if s.Address.Port() == config.Port {
		at = s.Address.Addr().String()
	}
	if s.Name == "" {
		return at
	}
	return fmt.Sprintf("%s (%s)", s.Name, at)
}

// Found is what DNS says about how a name is kept.
type Found struct {
	Zone    string
	Servers []Server // in the order in which they are tried
	Absent  error    // those that have no address, beside others that do
	Realm   string   // of gss-tsig
	KDCs    []Server // of the realm
}

// Find finds how a name is kept: its zone and the servers of that, and for gss-tsig the
// realm. The error is joined from all that is missing; what was found is returned with it.
func (u *Updater) Find(ctx context.Context, name string) (Found, error) {
	zone, err := u.zone(ctx, name)
	if err != nil {
		return Found{}, fmt.Errorf("find the zone of %s: %w", name, err)
	}
	found := Found{Zone: person(zone.name)}
	var errs []error
	for server, err := range u.servers(ctx, zone) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found.Servers = append(found.Servers, server)
	}
	if len(found.Servers) > 0 {
		found.Absent, errs = errors.Join(errs...), nil
	}
	if u.dns.Auth == config.AuthGSSTSIG {
		r, err := u.realm(ctx, zone)
		found.Realm, found.KDCs = r.name, r.kdcs
		errs = append(errs, err)
	}
	return found, errors.Join(errs...)
}

// zone is one that records are kept in. Its name is canonical.
type zone struct {
	name    string
	primary string // its MNAME, or "" where nobody was asked
}

// zone finds the zone that a name is in: the configuration's, or the one whose SOA record
// those who are asked for it show in their answer or with their refusal to have one,
// RFC 2136, 4.3 and RFC 2308, 3.
func (u *Updater) zone(ctx context.Context, name string) (zone, error) {
	if _, ok := dns.IsDomainName(name); !ok || name == "" {
		return zone{}, errors.New("it is no name of DNS")
	}
	if u.dns.Zone != "" && len(u.dns.Servers) > 0 {
		return zone{name: canonical(u.dns.Zone)}, nil
	}
	start := canonical(name)
	if u.dns.Zone != "" {
		start = canonical(u.dns.Zone)
	}
	sources, err := u.sources(ctx)
	if err != nil {
		return zone{}, err
	}
	for at := range up(start) {
		answer, err := u.ask(ctx, sources, at, dns.TypeSOA)
		if err != nil {
			return zone{}, err
		}
		for _, rr := range slices.Concat(answer.Answer, answer.Ns) {
			soa, ok := rr.(*dns.SOA)
			// With an alias comes the zone of what it stands for.
			if !ok || !dns.IsSubDomain(soa.Hdr.Name, start) || soa.Hdr.Name == "." {
				continue
			}
			found := zone{name: canonical(soa.Hdr.Name), primary: canonical(soa.Ns)}
			if u.dns.Zone != "" && found.name != start {
				return zone{}, fmt.Errorf("there is no zone %s, only %s: correct dns.zone", person(start), person(found.name))
			}
			return found, nil
		}
	}
	return zone{}, fmt.Errorf("DNS knows no zone of %s (no SOA record up to the root): name it under dns.zone, and its servers under dns.servers", person(start))
}

// up is a name and all those above it but the root.
func up(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i, end := 0, false; !end && name[i:] != "."; i, end = dns.NextLabel(name, i) {
			if !yield(name[i:]) {
				return
			}
		}
	}
}

// sources are servers to ask.
type sources struct {
	servers []netip.AddrPort
	keyed   bool // questions to them are signed with the key, which a view may be chosen by
}

// sources are those who are asked for a zone: the servers that the configuration names,
// who alone may know it, or else the host's resolvers.
func (u *Updater) sources(ctx context.Context) (sources, error) {
	if len(u.dns.Servers) == 0 {
		resolvers, err := u.resolvers()
		return sources{servers: resolvers}, err
	}
	own := sources{keyed: u.keyed()}
	var errs []error
	for _, s := range u.dns.Servers {
		at, err := u.resolve(ctx, s)
		errs = append(errs, err)
		for _, server := range at {
			own.servers = append(own.servers, server.Address)
		}
	}
	if len(own.servers) == 0 {
		return sources{}, errors.Join(errs...)
	}
	return own, nil
}

// resolvers are those that the host has.
func (u *Updater) resolvers() ([]netip.AddrPort, error) {
	file, err := dns.ClientConfigFromFile(u.options.Resolver)
	if err != nil {
		return nil, fmt.Errorf("find the host's resolvers: %w", err)
	}
	var resolvers []netip.AddrPort
	for _, s := range file.Servers {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("%s: nameserver %q is no address", u.options.Resolver, s)
		}
		resolvers = append(resolvers, netip.AddrPortFrom(addr, config.Port))
	}
	if len(resolvers) == 0 {
		return nil, fmt.Errorf("%s names no nameserver", u.options.Resolver)
	}
	return resolvers, nil
}

// lookup looks up the records of a name: by the host's resolvers, or where they have none
// by the servers that the configuration names by address.
func (u *Updater) lookup(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	resolvers, err := u.resolvers()
	groups := []sources{{servers: resolvers}, {keyed: u.keyed()}}
	errs := []error{err}
	for _, s := range u.dns.Servers {
		if at, ok := address(s); ok {
			groups[1].servers = append(groups[1].servers, at)
		}
	}
	known := false
	for _, group := range groups {
		if len(group.servers) == 0 {
			continue
		}
		answer, err := u.ask(ctx, group, name, kind)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		known = true
		var records []dns.RR
		for _, rr := range answer.Answer { // among them those of whom the name is an alias of
			if rr.Header().Rrtype == kind {
				records = append(records, rr)
			}
		}
		if len(records) > 0 {
			return records, nil
		}
	}
	if known {
		return nil, nil
	}
	return nil, errors.Join(errs...)
}

// address is that of a server which is named by it, with or without a port.
func address(server string) (netip.AddrPort, bool) {
	host, port, ok := config.SplitServer(server)
	addr, err := netip.ParseAddr(host)
	return netip.AddrPortFrom(addr, port), ok && err == nil
}

// resolve finds the addresses of a server, which may have a port behind its name too.
func (u *Updater) resolve(ctx context.Context, server string) ([]Server, error) {
	if at, ok := address(server); ok {
		return []Server{{Address: at}}, nil
	}
	host, port, ok := config.SplitServer(server)
	if !ok {
		return nil, fmt.Errorf("find the server %s: its port is none: correct dns.servers", server)
	}
	var errs []error
	for _, name := range u.full(host) {
		addrs, err := u.addresses(ctx, name)
		var servers []Server
		for _, addr := range addrs {
			servers = append(servers, Server{Name: person(canonical(name)), Address: netip.AddrPortFrom(addr, port)})
		}
		if err == nil {
			return servers, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// full are the names that a host's may stand for: one without a dot is in one of the domains
// that the host searches, resolv.conf(5).
func (u *Updater) full(host string) []string {
	file, err := dns.ClientConfigFromFile(u.options.Resolver)
	if err != nil || strings.Contains(host, ".") {
		return []string{host} // which is looked up elsewhere then
	}
	return file.NameList(host)
}

// addresses looks up the addresses of a host, those of IPv4 first. One that has none is an error.
func (u *Updater) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		records, err := u.lookup(ctx, host, kind)
		if err != nil && len(addrs) == 0 {
			return nil, fmt.Errorf("find the server %s: %w", person(host), err)
		}
		for _, rr := range records {
			ip := []byte(nil)
			switch rr := rr.(type) {
			case *dns.A:
				ip = rr.A
			case *dns.AAAA:
				ip = rr.AAAA
			}
			if addr, ok := netip.AddrFromSlice(ip); ok {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("find the server %s: DNS has no address of it", person(host))
	}
	return addrs, nil
}

// names are those of a zone's servers, as DNS has them: the primary one, which takes
// updates, and those that may know the way to it.
func (u *Updater) names(ctx context.Context, z zone) ([]string, error) {
	if z.primary == "" {
		sources, err := u.sources(ctx)
		if err != nil {
			return nil, err
		}
		answer, err := u.ask(ctx, sources, z.name, dns.TypeSOA)
		if err != nil {
			return nil, err
		}
		for _, rr := range answer.Answer {
			if soa, ok := rr.(*dns.SOA); ok {
				z.primary = canonical(soa.Ns)
			}
		}
	}
	records, err := u.lookup(ctx, z.name, dns.TypeNS)
	if err != nil && z.primary == "" {
		return nil, err
	}
	var names []string
	for _, rr := range records {
		if ns, ok := rr.(*dns.NS); ok {
			names = append(names, canonical(ns.Ns))
		}
	}
	slices.Sort(names) // they come in turns
	if z.primary != "" {
		names = append([]string{z.primary}, slices.DeleteFunc(names, func(n string) bool { return n == z.primary })...)
	}
	return names, nil
}

// servers are those that may take updates of a zone, each looked up when its turn comes:
// first the one that took the last, then those of the configuration, or else those that
// DNS knows. An error stands for one that has no address. With the context they end.
func (u *Updater) servers(ctx context.Context, z zone) iter.Seq2[Server, error] {
	return func(yield func(Server, error) bool) {
		u.mu.Lock()
		taker, known := u.takers[z.name]
		u.mu.Unlock()
		if ctx.Err() != nil || known && !yield(taker, nil) {
			return
		}
		names := u.dns.Servers
		if len(names) == 0 {
			var err error
			if names, err = u.names(ctx, z); err != nil {
				yield(Server{}, fmt.Errorf("find the servers of %s: %w", person(z.name), err))
				return
			}
		}
		for _, name := range names {
			if ctx.Err() != nil {
				return
			}
			servers, err := u.resolve(ctx, name)
			if err != nil && !yield(Server{}, err) {
				return
			}
			for _, s := range servers {
				if s != taker && !yield(s, nil) {
					return
				}
			}
		}
	}
}

// principal is the name that a server goes by in Kerberos, where it has that of its host
// and no address and no alias: RFC 3645, 3.1.1. It is found among those that the zone has,
// or by the address, since who names a server need not know more of it.
func (u *Updater) principal(ctx context.Context, z zone, server Server) (string, error) {
	names, err := u.names(ctx, z)
	if err != nil {
		names = nil // the others may be enough
	}
	if slices.Contains(names, canonical(server.Name)) {
		return server.Name, nil
	}
	for _, name := range names {
		if addrs, err := u.addresses(ctx, name); err == nil && slices.Contains(addrs, server.Address.Addr().Unmap()) {
			return person(name), nil
		}
	}
	if server.Name != "" {
		return server.Name, nil
	}
	reverse, err := dns.ReverseAddr(server.Address.Addr().WithZone("").String())
	if err != nil {
		return "", err
	}
	records, err := u.lookup(ctx, reverse, dns.TypePTR)
	for _, rr := range records {
		if ptr, ok := rr.(*dns.PTR); ok {
			return strings.ToLower(person(ptr.Ptr)), nil
		}
	}
	return "", errors.Join(fmt.Errorf("gss-tsig needs the server's name, and neither %s nor its own address (PTR) leads to one: "+
		"name it by its name under dns.servers", person(z.name)), err)
}
