//go:build lab

package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"banyan/internal/dnscp/config"
	"banyan/internal/dnscp/record"
)

// updater keeps the record from the servers' network, whose resolver is the first of them.
func (s *nameserver) updater(c config.DNS, o record.Options) *record.Updater {
	s.t.Helper()
	c.Name, c.TTL = recordName, cmp.Or(c.TTL, 30)
	if c.Auth == "" {
		c.Auth = config.AuthNone
	}
	o.Resolver = filepath.Join(s.dir, "resolv.conf")
	if o.Dial == nil {
		o.Dial = s.network.dial
	}
	return record.New(c, o)
}

// servers are those of a configuration, by their addresses.
func servers(all ...*nameserver) (addrs []string) {
	for _, s := range all {
		addrs = append(addrs, s.addr.String())
	}
	return addrs
}

func addrs(list ...string) (addrs []netip.Addr) {
	for _, a := range list {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return addrs
}

// sets has the record set, and sees that the server has it.
func (s *nameserver) sets(u *record.Updater, auth string, list ...string) {
	s.t.Helper()
	s.setsAfter("", u, auth, list...)
}

// setsAfter is sets after an attempt with another server or in another way, which failed as
// it is complained of.
func (s *nameserver) setsAfter(complaint string, u *record.Updater, auth string, list ...string) {
	s.t.Helper()
	outcome, err := u.Set(s.t.Context(), record.Wanted{Name: recordName, Addresses: addrs(list...)})
	if err != nil {
		s.t.Fatal(err)
	}
	complained := outcome.Complaint == nil
	if complaint != "" {
		complained = outcome.Complaint != nil && strings.Contains(outcome.Complaint.Error(), complaint)
	}
	if !outcome.Taken || !complained || outcome.Zone != recordZone || outcome.Auth != auth || !strings.Contains(outcome.Server, s.addr.String()) {
		s.t.Errorf("%s: the outcome is %+v", auth, outcome)
	}
	if got := s.lookup(recordName); !slices.Equal(got, addrs(list...)) {
		s.t.Errorf("%s: %s has %v, want %v", auth, s.name, got, list)
	}
	s.t.Logf("%s by %s took %v", outcome.Server, outcome.Auth, outcome.Took)
}

// fails has the record set in vain, and sees why and that the server has what it had.
func (s *nameserver) fails(u *record.Updater, want ...string) {
	s.t.Helper()
	before := s.lookup(recordName)
	_, err := u.Set(s.t.Context(), record.Wanted{Name: recordName, Addresses: addrs("10.0.0.99")})
	for _, text := range want {
		if err == nil || !strings.Contains(err.Error(), text) {
			s.t.Errorf("got %v, want %q", err, text)
		}
	}
	if got := s.lookup(recordName); !slices.Equal(got, before) {
		s.t.Errorf("%s has %v, and had %v", s.name, got, before)
	}
}

// TestRecordBind keeps a record at bind9, which is found by DNS, and by TSIG, and sees what
// becomes of it where servers refuse, are far away, hang or are dead.
func TestRecordBind(t *testing.T) {
	t.Parallel()
	sites := newSites(t, 2)
	open := newBind(t, sites[0], siteAddress(0, 41), byAll)
	keyed := newBind(t, sites[1], siteAddress(1, 42), byKey)
	closed := newBind(t, sites[0], siteAddress(0, 43), byNone)

	u := open.updater(config.DNS{}, record.Options{})
	open.sets(u, "none", "10.0.0.5")
	open.replaces(u, "none", 20)
	is, outcome, err := u.Lookup(t.Context(), recordName)
	if err != nil || is.TTL != 30 || !slices.Equal(is.Addresses, addrs("10.0.0.29", "2001:db8::29")) || outcome.Server != "ns1.pg.test (10.213.0.41)" {
		t.Errorf("looked up are %v, %+v, %v", is, outcome, err)
	}
	if _, err := u.Set(t.Context(), record.Wanted{Name: "alias." + recordZone, Addresses: addrs("10.0.0.5")}); err == nil || !strings.Contains(err.Error(), "remove its CNAME record") {
		t.Errorf("an alias says %v", err)
	}

	tsig := config.DNS{Servers: servers(keyed), Auth: config.AuthTSIG, KeyName: keyName, Algorithm: "hmac-sha256", SecretFile: keyed.keyFile()}
	keyed.sets(keyed.updater(tsig, record.Options{}), "tsig", "10.0.0.6")
	sites[1].line.set(200*time.Millisecond, 0)
	keyed.sets(open.updater(tsig, record.Options{}), "tsig", "10.0.0.5", "2001:db8::5")
	sites[1].line.set(0, 0)
	keyed.fails(keyed.updater(config.DNS{}, record.Options{}), "it answers REFUSED: the zone allows no updates from this host")
	other := tsig
	other.KeyName = "other"
	keyed.fails(keyed.updater(other, record.Options{}), "BADKEY: it has no key other")
	other = tsig
	other.SecretFile = open.keyFile()
	keyed.fails(keyed.updater(other, record.Options{}), "BADSIG: its key pgsql is another one")
	closed.fails(closed.updater(config.DNS{}, record.Options{}), "it answers REFUSED")
	zone := config.DNS{Zone: "test", Servers: servers(open)}
	open.fails(open.updater(zone, record.Options{}), "it answers NOTAUTH: it does not have the zone")

	if got := open.lookup("ns1." + recordZone); !slices.Equal(got, []netip.Addr{open.addr}) {
		t.Errorf("the server's own name has %v", got)
	}

	// One that hangs, and one that is dead.
	u = closed.updater(config.DNS{Zone: recordZone, Servers: servers(keyed, open)}, record.Options{})
	keyed.freeze(true)
	open.setsAfter(keyed.addr.String(), u, "none", "10.0.0.7")
	keyed.freeze(false)
	keyed.kill()
	u = closed.updater(config.DNS{Zone: recordZone, Servers: servers(keyed, open)}, record.Options{})
	open.setsAfter(keyed.addr.String(), u, "none", "10.0.0.8")
	open.kill()
	_, err = u.Set(t.Context(), record.Wanted{Name: recordName, Addresses: addrs("10.0.0.9")})
	for _, want := range []string{"10.213.0.41, none: dial", "10.214.0.42, none: dial", "connection refused: is the server up"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// replaces has the record set that often, and sees that it is there all the time.
func (s *nameserver) replaces(u *record.Updater, auth string, times int) {
	s.t.Helper()
	watched := s.watch()
	for i := range times {
		s.sets(u, auth, fmt.Sprintf("10.0.0.%d", 10+i), fmt.Sprintf("2001:db8::%d", 10+i))
	}
	if looks, empty := watched(); empty > 0 || looks < times {
		s.t.Errorf("while the record was replaced, %d of %d looks found none", empty, looks)
	}
}

// watch looks at the record all the time, and tells how often it did and found none.
func (s *nameserver) watch() (stop func() (looks, empty int)) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var watching sync.WaitGroup
	var looks, empty int
	watching.Go(func() {
		for {
			found, err := s.addresses(ctx, recordName)
			if ctx.Err() != nil {
				return
			}
			if looks++; err != nil || len(found) == 0 {
				empty++
			}
		}
	})
	return func() (int, int) {
		cancel()
		watching.Wait()
		return looks, empty
	}
}

// TestRecordLate has an update come late: the line is cut when it is sent, and mended when another
// host has written the record. The kernel has it sent all the same, and the server does not take it.
func TestRecordLate(t *testing.T) {
	t.Parallel()
	sites := newSites(t, 2)
	s := newBind(t, sites[0], siteAddress(0, 41), byAll)
	c := config.DNS{Servers: servers(s)}
	s.sets(s.updater(c, record.Options{}), "none", "10.0.0.1")
	first := s.updater(c, record.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := sites[1].dial(ctx, network, address)
		return cutter{conn, sites[1].line}, err
	}})
	s.fails(first, "no answer within")
	s.sets(s.updater(c, record.Options{}), "none", "10.0.0.2")
	sites[1].line.setCut(false)
	until(t, checkTime, func(context.Context) error {
		log, err := os.ReadFile(filepath.Join(s.dir, "log"))
		if err == nil && !strings.Contains(string(log), "prerequisite not satisfied (NXRRSET)") {
			err = errors.New("the late update has not come")
		}
		return err
	})
	if got := s.lookup(recordName); !slices.Equal(got, addrs("10.0.0.2")) {
		t.Errorf("after a late update it has %v", got)
	}
}

// cutter is a connection whose line is cut when an update goes over it.
type cutter struct {
	net.Conn
	line *line
}

func (c cutter) Write(data []byte) (int, error) {
	m := new(dns.Msg)
	if len(data) > 2 && m.Unpack(data[2:]) == nil && m.Opcode == dns.OpcodeUpdate { // by TCP, behind its length
		c.line.setCut(true)
	}
	return c.Conn.Write(data)
}

// TestRecordSamba keeps a record in an Active Directory, with the account of a computer. It
// changes PATH, and so is beside no other test.
func TestRecordSamba(t *testing.T) {
	n := newNetwork(t, prefix)
	d := newSamba(t, n, address(51))
	c := config.DNS{Auth: config.AuthGSSTSIG, SecretFile: d.createComputer("pgsql-cl")}

	u := d.updater(c, record.Options{})
	found, err := u.Find(t.Context(), recordName)
	if err != nil || found.Zone != recordZone || found.Realm != d.realm || len(found.KDCs) != 1 || len(found.Servers) != 1 || found.Servers[0].Name != "dc1.pg.test" {
		t.Errorf("found are %+v, %v", found, err)
	}
	if realm, err := u.RealmOf(t.Context(), "hosts."+recordZone); err != nil || realm != d.realm {
		t.Errorf("the realm is %q: %v", realm, err)
	}
	d.sets(u, "gss-tsig", "10.0.0.5")
	d.replaces(u, "gss-tsig", 5)
	d.sets(u, "gss-tsig", "10.0.0.6", "2001:db8::6")
	if err := u.Try(t.Context(), recordName); err != nil {
		t.Error(err)
	}
	byAddress := c
	byAddress.Servers = servers(d.nameserver)
	d.sets(d.updater(byAddress, record.Options{}), "gss-tsig", "10.0.0.7")
	byZone := c
	byZone.Servers = []string{recordZone}
	d.sets(d.updater(byZone, record.Options{}), "gss-tsig", "10.0.0.8")

	// What does not belong to the record.
	other := c
	other.SecretFile = d.createComputer("other")
	d.fails(d.updater(other, record.Options{}), "the password in dns.secret_file is not that of PGSQL-CL$", "KDC_ERR_PREAUTH_FAILED")
	if err := d.updater(other, record.Options{}).Try(t.Context(), recordName); err == nil || !strings.Contains(err.Error(), "KDC_ERR_PREAUTH_FAILED") {
		t.Errorf("with another password it says %v", err)
	}
	other.Account = "other$"
	d.fails(d.updater(other, record.Options{}), "it answers SERVFAIL: it failed to write the zone: the record may be another account's")
	other.Account = "nobody$"
	d.fails(d.updater(other, record.Options{}), "there is no account nobody$")
	d.fails(d.updater(config.DNS{}, record.Options{}), "it answers REFUSED")
	d.fails(d.updater(other, record.Options{Plain: true}), "dc1.pg.test (10.213.0.51), none: it answers REFUSED")

	// Where dnscp's own way to the KDC is none, nsupdate has one.
	d.installNSUpdate()
	noKDC := record.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasSuffix(address, ":88") {
			return nil, errors.New("this test lets nobody through")
		}
		return n.dial(ctx, network, address)
	}}
	d.fails(d.updater(c, noKDC), "this test lets nobody through")
	c.NSUpdate = true
	d.setsAfter("this test lets nobody through", d.updater(c, noKDC), "nsupdate -g", "10.0.0.9", "2001:db8::9")
	// And where the KDC goes before it has given the server's ticket, the server is not taken for gone.
	var times atomic.Int32
	noTicket := record.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasSuffix(address, ":88") && times.Add(1) > 2 {
			return nil, errors.New("this test lets nobody through any more")
		}
		return n.dial(ctx, network, address)
	}}
	d.setsAfter("get a ticket for DNS/dc1.pg.test", d.updater(c, noTicket), "nsupdate -g", "10.0.0.8", "2001:db8::8")
	c.NSUpdate = false
	times.Store(0)
	d.fails(d.updater(c, noTicket), "get a ticket for DNS/dc1.pg.test at the KDC dc1.pg.test (10.213.0.51:88): this test lets nobody through any more")
	c.NSUpdate, c.SecretFile = true, other.SecretFile
	d.fails(d.updater(c, noKDC), "nsupdate -g: log in as PGSQL-CL$@PG.TEST: kinit: exit status 1")
}

// installNSUpdate has the tree's nsupdate and kinit run in the network when they are called for,
// by the tree's own libraries.
func (d *directory) installNSUpdate() {
	d.t.Helper()
	tree, err := serverTree()
	if err != nil {
		d.t.Fatal(err)
	}
	one := func(pattern string) string {
		found, err := filepath.Glob(filepath.Join(tree, pattern))
		if err != nil || len(found) != 1 {
			d.t.Fatalf("%s is %q: %v", pattern, found, err)
		}
		return found[0]
	}
	bin := d.t.TempDir()
	for _, program := range []string{"kinit", "nsupdate"} {
		text := fmt.Sprintf("#!/bin/sh\nexec ip netns exec %s %s --library-path %s %s \"$@\"\n", d.network.namespace,
			one("usr/lib/*-linux-gnu*/ld-linux-*.so.?"), filepath.Dir(one("usr/lib/*-linux-gnu*/libc.so.6")), filepath.Join(tree, "usr/bin", program))
		if err := os.WriteFile(filepath.Join(bin, program), []byte(text), 0o755); err != nil {
			d.t.Fatal(err)
		}
	}
	d.t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}
