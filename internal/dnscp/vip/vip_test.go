package vip

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// hosts are interfaces as hosts have them.
func hosts() []Interface {
	return []Interface{
		{Index: 1, Name: "lo", Up: true, Loopback: true, Addresses: prefixes("127.0.0.1/8", "::1/128", "10.9.0.1/24")},
		{Index: 2, Name: "eth0", Up: true, MAC: mac("02:00:00:00:00:02"), Addresses: prefixes(
			"172.16.32.11/24", "172.16.32.180/24", "10.0.0.11/8", "2001:db8::11/64", "fe80::2/64")},
		{Index: 3, Name: "eth1", Up: true, Addresses: prefixes("172.16.32.12/24", "172.16.32.13/28", "192.0.2.0/31", "203.0.113.5/32")},
		{Index: 4, Name: "eth2", Addresses: prefixes("192.168.0.1/24")},
		{Index: 5, Name: "bond0", Up: true},
		{Index: 9, Name: "bond0.100", Up: true, Addresses: prefixes("10.1.0.11/16", "10.1.2.11/24", "2001:db8:100::11/56")},
		{Index: 8, Name: "bond0.101", Up: true, Addresses: prefixes("10.1.2.12/24")},
		{Index: 10, Name: "eth3", Up: true, Addresses: prefixes("172.20.0.180/24", "2001:db8::1/128")},
	}
}

func prefixes(all ...string) (p []netip.Prefix) {
	for _, s := range all {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func mac(s string) net.HardwareAddr {
	m, err := net.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m
}

func TestLocate(t *testing.T) {
	vips := []netip.Addr{netip.MustParseAddr("172.16.32.180"), netip.MustParseAddr("172.20.0.180")}
	for _, c := range []struct{ what, vip, name, want string }{
		{"its subnet", "2001:db8::180", "", "2001:db8::180/64 on eth0"},
		{"of two interfaces the first", "172.16.32.180", "", "172.16.32.180/24 on eth0"},
		{"the longest prefix", "172.16.32.14", "", "172.16.32.14/28 on eth1"},
		{"a wide subnet, and not an address that begins alike", "10.0.0.1", "", "10.0.0.1/8 on eth0"},
		{"of equal prefixes the lower index, wherever it is in the list", "10.1.2.180", "", "10.1.2.180/24 on bond0.101"},
		{"a VLAN on a bond", "10.1.3.180", "", "10.1.3.180/16 on bond0.100"},
		{"a VLAN on a bond, by IPv6", "2001:db8:100:ff::180", "", "2001:db8:100:ff::180/56 on bond0.100"},
		{"two addresses that are a subnet", "192.0.2.1", "", "192.0.2.1/31 on eth1"},
		{"a /32 is no subnet", "203.0.113.5", "", ErrElsewhere.Error()},
		{"a /128 is no subnet", "2001:db9::1", "", ErrElsewhere.Error()},
		{"another site's", "172.16.64.180", "", "172.16.64.180: " + ErrElsewhere.Error()},
		{"an interface that is down", "192.168.0.180", "", ErrElsewhere.Error()},
		{"a loopback interface", "10.9.0.180", "", "10.9.0.180/8 on eth0"},
		{"the VIP makes no subnet of its own", "172.20.0.180", "", ErrElsewhere.Error()},
		{"nor for another VIP", "172.20.0.181", "", ErrElsewhere.Error()},
		{"link-local is no subnet", "fe80::180", "", ErrElsewhere.Error()},
		{"named", "172.16.32.180", "eth1", "172.16.32.180/24 on eth1"},
		{"named, its longest prefix", "10.1.2.180", "bond0.100", "10.1.2.180/24 on bond0.100"},
		{"named, without a subnet", "198.51.100.1", "bond0", "198.51.100.1/32 on bond0"},
		{"named, without a subnet, by IPv6", "2001:db8::180", "bond0", "2001:db8::180/128 on bond0"},
		{"named, and missing", "10.0.0.1", "eth7", "there is no interface eth7"},
		{"named, and down", "192.168.0.180", "eth2", "eth2 is down"},
		{"named, and nobody reaches it", "10.9.0.180", "lo", "loopback"},
	} {
		t.Run(c.what, func(t *testing.T) {
			p, err := locate(hosts(), vips, netip.MustParseAddr(c.vip), c.name)
			switch {
			case strings.Contains(c.want, " on "):
				if err != nil || p.String() != c.want {
					t.Errorf("got %s, %v, want %s", p, err, c.want)
				}
			case err == nil || !strings.Contains(err.Error(), c.want):
				t.Errorf("got %s, %v, want the error %q", p, err, c.want)
			case errors.Is(err, ErrElsewhere) != (c.name == ""):
				t.Errorf("%v is, or is not, ErrElsewhere", err)
			}
		})
	}
}

func TestAPlaceIsOfItsInterface(t *testing.T) {
	p, err := locate(hosts(), nil, netip.MustParseAddr("10.0.0.1"), "")
	if err != nil || p.Index != 2 || p.Interface != "eth0" || p.MAC.String() != "02:00:00:00:00:02" {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestHeld(t *testing.T) {
	all := hosts()
	all[2].Addresses = append(all[2].Addresses, netip.MustParsePrefix("172.16.32.180/32"))
	for vip, want := range map[string][]string{
		"172.16.32.180": {"172.16.32.180/24 on eth0", "172.16.32.180/32 on eth1"},
		"2001:db8::11":  {"2001:db8::11/64 on eth0"},
		"172.16.32.18":  nil, // and not 172.16.32.180
		"10.0.0.1":      nil, // and not 10.0.0.11
		"127.0.0.1":     nil,
	} {
		var got []string
		for _, p := range Held(all, netip.MustParseAddr(vip)) {
			got = append(got, p.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s is held as %q, want %q", vip, got, want)
		}
	}
}

func TestOwn(t *testing.T) {
	eth0 := Interface{Index: 2, Name: "eth0", Up: true, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.5/24")}}
	lo := Interface{Index: 1, Name: "lo", Up: true, Loopback: true, Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}}
	here, there, other := netip.MustParseAddr("10.0.1.10"), netip.MustParseAddr("10.0.2.10"), netip.MustParseAddr("10.0.1.1")
	for _, c := range []struct {
		what string
		name string
		vips []netip.Addr
		want []string
		err  string
	}{
		{"that of the subnet", "", []netip.Addr{here, there}, []string{"10.0.1.10/24 on eth0"}, ""},
		{"several of the subnet", "", []netip.Addr{here, other}, []string{"10.0.1.1/24 on eth0", "10.0.1.10/24 on eth0"}, ""},
		{"that of the subnet of an interface that is named", "eth0", []netip.Addr{here, there}, []string{"10.0.1.10/24 on eth0"}, ""},
		{"one that is routed to it", "eth0", []netip.Addr{there}, []string{"10.0.2.10/32 on eth0"}, ""},
		{"another site's", "", []netip.Addr{there}, nil, "none of the VIPs [10.0.2.10]"},
		{"no such interface", "eth1", []netip.Addr{here}, nil, "there is no interface eth1"},
	} {
		own, err := Own([]Interface{lo, eth0}, c.vips, c.name)
		var got []string
		for _, p := range own {
			got = append(got, p.String())
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v; want %q, %s", c.what, got, err, c.want, c.err)
		}
	}
}
