package seeds

import (
	"net/netip"
	"strings"
	"testing"
)

func outlined(addresses ...string) Outline {
	o := Outline{Name: "pgsql-cl", DCS: DCSEtcd}
	for i, a := range addresses {
		p := netip.MustParsePrefix(a)
		o.Nodes = append(o.Nodes, OutlineNode{Name: "pgsql-n" + string(rune('1'+i)), Address: p, Gateway: p.Masked().Addr().Next()})
	}
	return o
}

// What is composed is a seed without a warning, that says what the outline does.
func TestCompose(t *testing.T) {
	geo := outlined("172.16.32.11/24", "172.16.64.12/24", "172.16.96.13/24")
	geo.VIPs = []netip.Addr{netip.MustParseAddr("172.16.64.180"), netip.MustParseAddr("172.16.32.180")}
	geo.DNSName, geo.Zone = "pgsql-cl", "demo.ru"
	geo.Services = []Service{ServicePostgreSQL, ServiceEtcd, ServiceHAProxy}
	geo.SSHKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f dba@office"
	for name, test := range map[string]struct {
		outline Outline
		sites   string
	}{
		"one":   {outlined("172.16.32.11/24"), ""},
		"three": {outlined("172.16.32.11/24", "172.16.32.12/24", "172.16.32.13/24"), ""},
		"ipv6":  {outlined("2001:db8::11/64"), ""},
		"geo":   {geo, "dc1 172.16.32.0/24 172.16.32.180\ndc2 172.16.64.0/24 172.16.64.180\ndc3 172.16.96.0/24 \n"},
	} {
		text, err := Compose(test.outline)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s, warnings, err := ParseCluster(name, []byte(text), Image{Name: "debian-13", PostgreSQL: []int{17}, Patroni: PatroniVersion{4, 0}, Locales: []string{"en_US.UTF-8", "ru_RU.UTF-8"}})
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v\n%s", name, err, warnings, text)
			continue
		}
		sites := ""
		for _, site := range s.Sites {
			sites += site.Name + " " + site.Subnet.String() + " " + Words(site.VIPs) + "\n"
		}
		if sites != test.sites {
			t.Errorf("%s: the sites are\n%s", name, sites)
		}
		for i, n := range s.Nodes {
			if want := test.outline.Nodes[i]; n.Name != want.Name || n.Address != want.Address || n.Gateway != want.Gateway {
				t.Errorf("%s: node %+v, want %+v", name, n, want)
			}
		}
	}
}

func TestComposeRefuses(t *testing.T) {
	for want, change := range map[string]func(*Outline){
		"the virtual address 10.0.0.1 is in the subnet of no node: 172.16.32.0/24": func(o *Outline) { o.VIPs = []netip.Addr{netip.MustParseAddr("10.0.0.1")} },
		`"a #b" cannot be a name`:       func(o *Outline) { o.Nodes[0].Name = "a #b" },
		`"PGSQL" cannot name a cluster`: func(o *Outline) { o.Name = "PGSQL" },
		"a zone needs the name":         func(o *Outline) { o.Zone = "demo.ru" },
		`unknown value "consul"`:        func(o *Outline) { o.DCS = "consul" },
	} {
		o := outlined("172.16.32.11/24")
		change(&o)
		if _, err := Compose(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
