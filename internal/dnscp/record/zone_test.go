package record

import (
	"slices"
	"strings"
	"testing"

	"banyan/internal/dnscp/config"
)

// demoByName leaves to DNS where the zone is.
var demoByName = config.DNS{}

// domain is what the resolvers of an Active Directory know of it.
var domain = []string{
	"demo.ru. 60 SOA dc1.demo.ru. admin.demo.ru. 1 60 60 60 60",
	"ru. 60 SOA a.nic.ru. admin.nic.ru. 1 60 60 60 60",
	"demo.ru. 60 NS dc2.demo.ru.", "demo.ru. 60 NS DC1.demo.ru.",
	"demo.ru. 60 A 192.0.2.1", "demo.ru. 60 A 192.0.2.2",
	"dc1.demo.ru. 60 A 192.0.2.1", "dc2.demo.ru. 60 A 192.0.2.2", "dc2.demo.ru. 60 AAAA 2001:db8::2",
	"3.2.0.192.in-addr.arpa. 60 PTR DC3.demo.ru.",
	"_kerberos._tcp.demo.ru. 60 SRV 10 0 88 dc2.demo.ru.", "_kerberos._tcp.demo.ru. 60 SRV 0 0 88 dc1.demo.ru.",
}

// The zone is the one whose SOA record is found on the way up, its servers the primary one and
// then the others.
func TestFind(t *testing.T) {
	n := network{}
	n.add(t, "192.0.2.53", zoneServer(nil, append(domain, "pg.demo.ru. 60 CNAME pg.example.net.")...))
	for _, name := range []string{"pg.demo.ru", "Other.Demo.ru.", "deep.down.demo.ru", "demo.ru"} {
		u := n.updater(t, demoByName, "192.0.2.53")
		found, err := u.Find(t.Context(), name)
		var servers []string
		for _, s := range found.Servers {
			servers = append(servers, s.String())
		}
		want := []string{"dc1.demo.ru (192.0.2.1)", "dc2.demo.ru (192.0.2.2)", "dc2.demo.ru (2001:db8::2)"}
		if err != nil || found.Zone != "demo.ru" || !slices.Equal(servers, want) {
			t.Errorf("of %s: %s, %q, %v", name, found.Zone, servers, err)
		}
	}
}

// A server's short name is in a domain that the host searches, and one that DNS does not know
// keeps nobody from the others.
func TestFindServersByName(t *testing.T) {
	n := network{}
	n.add(t, "192.0.2.53", zoneServer(nil, append(domain, "ns9.example.net. 60 A 192.0.2.9")...))
	found, err := n.updater(t, config.DNS{Zone: "demo.ru", Servers: []string{"ns9", "gone.demo.ru"}}, "192.0.2.53").Find(t.Context(), "pg.demo.ru")
	if err != nil || len(found.Servers) != 1 || found.Servers[0].String() != "ns9.example.net (192.0.2.9)" ||
		found.Absent == nil || !strings.Contains(found.Absent.Error(), "find the server gone.demo.ru") {
		t.Errorf("%+v, %v", found, err)
	}
}

// An update goes to the server that DNS knows.
func TestSetWhereDNSFindsTheServer(t *testing.T) {
	n := network{}
	n.add(t, "192.0.2.53", zoneServer(nil, domain...))
	s := n.add(t, "192.0.2.1", zoneServer(demo, domain...))
	outcome, err := n.updater(t, demoByName, "192.0.2.53").Set(t.Context(), wanted)
	if err != nil || outcome.Server != "dc1.demo.ru (192.0.2.1)" || s.came() != 1 {
		t.Errorf("%+v, %v", outcome, err)
	}
}

// The servers of the configuration are who is asked for the zone, since others may not know it.
func TestTheZoneOfAConfiguredServer(t *testing.T) {
	n := network{}
	n.add(t, "192.0.2.53", zoneServer(nil, "ru. 60 SOA a.nic.ru. admin.nic.ru. 1 60 60 60 60", "ns.demo.ru. 60 A 192.0.2.1"))
	s := n.add(t, "192.0.2.1", zoneServer(demo, soaOfDemo))
	for _, name := range []string{"192.0.2.1", "192.0.2.1:53", "ns.demo.ru", "ns.demo.ru:53"} {
		if _, err := n.updater(t, config.DNS{Servers: []string{name}}, "192.0.2.53").Set(t.Context(), wanted); err != nil {
			t.Error(err)
		}
	}
	if s.came() != 4 {
		t.Errorf("%d updates came", s.came())
	}
}

func TestNoZone(t *testing.T) {
	n := network{}
	n.add(t, "192.0.2.53", zoneServer(nil, append(domain, ". 60 SOA a.root-servers.net. nstld.verisign-grs.com. 1 60 60 60 60")...))
	for _, test := range []struct {
		c          config.DNS
		name, want string
	}{
		{config.DNS{}, "pg.example", "DNS knows no zone of pg.example"},
		{config.DNS{Zone: "sub.demo.ru"}, "pg.sub.demo.ru", "there is no zone sub.demo.ru, only demo.ru: correct dns.zone"},
		{config.DNS{Servers: []string{"none.demo.ru"}}, "pg.demo.ru", "find the server none.demo.ru: DNS has no address of it"},
		{config.DNS{}, "pg..ru", "it is no name of DNS"},
	} {
		if _, err := n.updater(t, test.c, "192.0.2.53").Find(t.Context(), test.name); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
}

// A resolver that is dead, silent or of no use costs no more than that the next is asked, and
// once only.
func TestResolvers(t *testing.T) {
	n := network{}
	n.add(t, "192.0.2.51", &server{silent: true})
	failing := n.add(t, "192.0.2.52", zoneServer([]string{"example.net."}))
	good := zoneServer(nil, domain...)
	good.truncated = true // and asked again by TCP
	n.add(t, "192.0.2.53", good)
	u := impatient(n.updater(t, demoByName, "192.0.2.50", "192.0.2.51", "192.0.2.52"))
	if _, err := u.Find(t.Context(), "pg.demo.ru"); err == nil || !strings.Contains(err.Error(), "192.0.2.52:53 by udp: it answers REFUSED") ||
		!strings.Contains(err.Error(), "192.0.2.50:53 by tcp: dial 192.0.2.50:53") || !strings.Contains(err.Error(), "192.0.2.51:53 by tcp: no answer within") {
		t.Errorf("got %v", err)
	}
	asked := failing.questions()
	u = n.updater(t, demoByName, "192.0.2.51", "192.0.2.52", "192.0.2.53")
	if found, err := u.Find(t.Context(), "pg.demo.ru"); err != nil || found.Zone != "demo.ru" {
		t.Errorf("%+v, %v", found, err)
	}
	if more := failing.questions() - asked; more != 1 {
		t.Errorf("the failing resolver was asked %d times", more)
	}
	if _, err := n.updater(t, demoByName).Find(t.Context(), "pg.demo.ru"); err == nil || !strings.Contains(err.Error(), "names no nameserver") {
		t.Errorf("got %v", err)
	}
}

func TestUp(t *testing.T) {
	if got := slices.Collect(up("pg.demo.ru.")); !slices.Equal(got, []string{"pg.demo.ru.", "demo.ru.", "ru."}) {
		t.Errorf("got %q", got)
	}
}
