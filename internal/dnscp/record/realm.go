package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"banyan/internal/dnscp/config"
)

// realm is one of Kerberos, with its domain controllers.
type realm struct {
	name string
	kdcs []Server
}

// RealmOf finds the realm that the hosts of a domain are in, such as DEMO.RU of hosts.demo.ru: the
// configuration's, or as DNS has it, of the domain or one above it.
func (u *Updater) RealmOf(ctx context.Context, domain string) (string, error) {
	if _, ok := dns.IsDomainName(domain); !ok || domain == "" {
		return "", fmt.Errorf("find the realm of %q: it is no name of DNS", domain)
	}
	r, err := u.realm(ctx, zone{name: canonical(domain)})
	if err != nil {
		return "", failed(ctx, "find the realm of", domain, err)
	}
	return r.name, nil
}

// realm finds the realm of a zone: the configuration's, or the one that _kerberos.DOMAIN names in a TXT record, or
// that of a domain which has KDCs, of the zone or one above it. Those are the ways of MIT's
// and Microsoft's: https://web.mit.edu/kerberos/krb5-latest/doc/admin/realm_config.html
//
// Names of realms are in upper case here, as all of Active Directory are, however they are written.
func (u *Updater) realm(ctx context.Context, z zone) (realm, error) {
	if u.dns.Realm != "" {
		return u.named(ctx, u.dns.Realm)
	}
	var errs []error // of servers that know no more than their own zone
	for domain := range up(z.name) {
		texts, err := u.lookup(ctx, "_kerberos."+domain, dns.TypeTXT)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, rr := range texts {
			txt, ok := rr.(*dns.TXT)
			if !ok {
				continue
			}
			name := strings.Join(txt.Txt, "")
			if !config.IsDomain(name) { // it may be a wildcard's
				errs = append(errs, fmt.Errorf("the TXT record of _kerberos.%s is no name of a realm", person(domain)))
				continue
			}
			return u.named(ctx, name)
		}
		kdcs, err := u.kdcs(ctx, domain)
		errs = append(errs, err)
		if len(kdcs) > 0 && config.IsDomain(person(domain)) {
			return realm{strings.ToUpper(person(domain)), kdcs}, nil
		}
	}
	errs = append(errs, fmt.Errorf("DNS knows no realm of %s (neither TXT _kerberos nor SRV _kerberos._tcp, up to the root): "+
		"does the host ask the domain's own DNS servers? or name it under dns.realm", person(z.name)))
	return realm{}, errors.Join(errs...)
}

// named is the realm of a name, whose KDCs are found by it.
func (u *Updater) named(ctx context.Context, name string) (r realm, err error) {
	r.name = strings.ToUpper(name)
	if r.kdcs, err = u.kdcs(ctx, r.name); err == nil && len(r.kdcs) == 0 {
		err = fmt.Errorf("DNS has no KDC of it: add SRV records of _kerberos._tcp.%s", strings.ToLower(r.name))
	}
	if err != nil {
		err = fmt.Errorf("find the KDCs of the realm %s: %w", r.name, err)
	}
	return r, err
}

// kdcs are the KDCs of a domain, by TCP, those first that are to be asked first: RFC 4120, 7.2.3.2.
func (u *Updater) kdcs(ctx context.Context, domain string) ([]Server, error) {
	var records []*dns.SRV
	for _, name := range []string{"_kerberos._tcp.", "_kerberos._udp."} {
		all, err := u.lookup(ctx, name+dns.Fqdn(domain), dns.TypeSRV)
		if err != nil {
			return nil, err
		}
		for _, rr := range all {
			if srv, ok := rr.(*dns.SRV); ok && srv.Target != "." { // which says that there is none: RFC 2782
				records = append(records, srv)
			}
		}
		if len(records) > 0 {
			break
		}
	}
	slices.SortStableFunc(records, func(a, b *dns.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight))
	})
	var kdcs []Server
	var errs []error
	for _, srv := range records {
		addrs, err := u.addresses(ctx, srv.Target)
		errs = append(errs, err)
		for _, addr := range addrs {
			kdcs = append(kdcs, Server{person(canonical(srv.Target)), netip.AddrPortFrom(addr, srv.Port)})
		}
	}
	if len(kdcs) == 0 {
		return nil, errors.Join(errs...)
	}
	return kdcs, nil
}

// krb5conf is a krb5.conf(5) by which libraries need no other file, and ask DNS for nothing but,
// where they may look, the KDCs of other realms: a ticket for a server there goes by way of those.
func krb5conf(realm string, look bool, kdcs ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `[libdefaults]
default_realm = %s
dns_lookup_realm = false
dns_lookup_kdc = %t
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1

[realms]
%[1]s = {
`, realm, look)
	for _, kdc := range kdcs {
		fmt.Fprintf(&b, "\tkdc = %s\n", kdc)
	}
	b.WriteString("}\n")
	return b.String()
}
