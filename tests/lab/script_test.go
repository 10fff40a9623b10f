//go:build lab

package lab

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// deed is a row of the table of what dnscp.sh's command line does: a call on a host without a
// guard, and what comes of it.
type deed struct {
	what  string
	given func() // before the call
	call  string // the arguments

	has    bool   // the VIP is here afterwards
	record string // what the name leads to; "" for what it was
	fails  string // what it says and exits with 1; "" where it exits with 0
	says   string // what it says besides
}

// TestScript has dnscp in the place of dnscp.sh: no guard, called as Patroni calls the script,
// with the privileges that its users have given.
func TestScript(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, prefix)
	z := newZone(t, []*network{n})
	f := newForeign(t, n, "db1", address(11))
	own, other := address(180), netip.MustParseAddr("10.250.0.180")
	similar := address(18)
	vips := fmt.Sprintf("-vips '%s,%s'", own, other)
	server := fmt.Sprintf("-dnszonefqdn %s -dnsserver %s", clusterZone, n.prefix.Addr())
	file := "/etc/patroni/dnscp.secret"
	bare := func() {
		f.sh(fmt.Sprintf("ip address del %s/24 dev eth0 2>&1 || true", own))
	}
	held := func() {
		bare()
		f.sh(fmt.Sprintf("ip address add %s/24 dev eth0", own))
	}
	none := func() { z.set() }
	elsewhere := func() { z.set(other) }

	// postgres may do nothing yet.
	f.sh(fmt.Sprintf("resolvectl dns eth0 %s; resolvectl default-route eth0 true", n.prefix.Addr()))
	f.deeds(z, own, []deed{
		{what: "without a privilege it says which", given: bare, call: vips + " -- on_role_change primary pgsql-cl", fails: "lacks CAP_NET_ADMIN"},
	})
	f.sh(`mkdir -p /etc/sudoers.d
echo 'postgres ALL=(ALL) NOPASSWD: /sbin/ip address *' >/etc/sudoers.d/dnscp
chmod 0440 /etc/sudoers.d/dnscp`)
	f.deeds(z, own, []deed{
		{what: "with the script's sudoers it takes the VIP, and says that it cannot announce it", given: bare,
			call: vips + " -- on_role_change primary pgsql-cl", has: true, fails: "lacks CAP_NET_RAW"},
		{what: "and gives it up", given: held, call: vips + " -- on_role_change replica pgsql-cl"},
	})

	// As root, whom the script's other users run it as.
	f.user = "root"
	var nobodyTells []deed
	for _, role := range []string{"master", "primary", "promoted"} {
		for _, action := range []string{"on_start", "on_role_change"} {
			nobodyTells = append(nobodyTells, deed{what: action + " " + role, given: bare, call: vips + " -- " + action + " " + role + " pgsql-cl", has: true, says: "took the VIP"})
		}
		nobodyTells = append(nobodyTells, deed{what: "on_stop " + role, given: held, call: vips + " -- on_stop " + role + " pgsql-cl", says: "removed the VIP"})
	}
	for _, role := range []string{"replica", "demoted", "standby_leader"} {
		for _, action := range []string{"on_start", "on_role_change", "on_stop"} {
			nobodyTells = append(nobodyTells, deed{what: action + " " + role, given: held, call: vips + " -- " + action + " " + role + " pgsql-cl", says: "removed the VIP"})
		}
	}
	nobodyTells = append(nobodyTells,
		deed{what: "a VIP that is there stays", given: held, call: vips + " -- on_start primary pgsql-cl", has: true},
		deed{what: "a VIP that is not there is no error", given: bare, call: vips + " -verbose -- on_stop replica pgsql-cl"},
		deed{what: "10.213.0.18 is not 10.213.0.180", given: held, call: fmt.Sprintf("-vips %s -- on_stop replica pgsql-cl", similar), has: true},
		deed{what: "no VIP of this subnet", given: bare, call: fmt.Sprintf("-vips %s -- on_role_change primary pgsql-cl", other), fails: "is in a subnet of this host"},
		deed{what: "no -vips", given: bare, call: "-- on_role_change primary pgsql-cl", says: "nothing to do"},
		deed{what: "neither a password nor a zone", given: func() { bare(); elsewhere() }, call: vips + " -- on_role_change primary pgsql-cl", has: true, record: other.String()},
		deed{what: "-dnszonefqdn -dnsserver", given: func() { bare(); none() }, call: vips + " " + server + " -pwdfile '' -- on_role_change primary pgsql-cl",
			has: true, record: own.String(), says: "wrote the record"},
		deed{what: "another site's address is replaced", given: func() { bare(); elsewhere() }, call: vips + " " + server + " -- on_role_change primary pgsql-cl",
			has: true, record: own.String()},
		deed{what: "-dnszonefqdn alone", given: func() { bare(); none() }, call: vips + " -dnszonefqdn " + clusterZone + " -- on_role_change primary pgsql-cl",
			has: true, record: own.String()},
		deed{what: "-pwdfile of a zone without Kerberos", given: func() { bare(); none() }, call: vips + " " + server + " -pwdfile " + file + " -- on_role_change primary pgsql-cl",
			has: true, record: own.String()},
		deed{what: "-D prints no password", given: func() { bare(); none() }, call: vips + " " + server + " -D -pwdfile " + file + " -- on_role_change primary pgsql-cl",
			has: true, record: own.String(), says: "VCompPasswordFile=" + file},
		deed{what: "a server that does not answer", given: func() { bare(); none() },
			call: vips + fmt.Sprintf(" -dnszonefqdn %s -dnsserver %s -- on_role_change primary pgsql-cl", clusterZone, address(99)), has: true, fails: address(99).String()},
		deed{what: "a replica writes no record", given: func() { held(); elsewhere() }, call: vips + " " + server + " -- on_role_change replica pgsql-cl", record: other.String()},
		deed{what: "registerdns where nobody tells who leads", given: func() { held(); elsewhere() },
			call: vips + " " + server + " -- on_schedule registerdns pgsql-cl", has: true, record: other.String(), fails: "not known whether this host leads"},
	)
	patroniTells := []deed{
		{what: "registerdns of a leader", given: func() { held(); elsewhere(); f.says.leads() }, call: vips + " " + server + " -- on_schedule registerdns pgsql-cl",
			has: true, record: own.String()},
		{what: "registerdns of a leader without the VIP", given: func() { bare(); elsewhere() }, call: vips + " " + server + " -- on_schedule registerdns pgsql-cl",
			record: other.String(), fails: "is not on this host"},
		{what: "registerdns of a former leader, which gives the VIP up", given: func() { held(); elsewhere(); f.says.follows() },
			call: vips + " " + server + " -- on_schedule registerdns pgsql-cl", record: other.String()},
		{what: "a callback that comes too late", given: func() { bare(); elsewhere() }, call: vips + " " + server + " -- on_role_change primary pgsql-cl", record: other.String()},
		{what: "-h", given: bare, call: "-h", says: "-dnszonefqdn {zonename}"},
		{what: "--help", given: bare, call: "--help", says: "-dnszonefqdn {zonename}"},
		{what: "--version", given: bare, call: "--version", says: "dnscp "},
		{what: "no such option", given: bare, call: "-quiet -- on_start primary pgsql-cl", fails: "Usage:"},
		{what: "no such action", given: bare, call: vips + " -- on_bootstrap primary pgsql-cl", fails: "Usage:"},
	}
	if err := f.drop(map[string]string{"patroni/dnscp.secret": password}); err != nil {
		t.Fatal(err)
	}
	f.deeds(z, own, nobodyTells)
	if err := f.drop(map[string]string{"patroni/patroni.yml": "scope: pgsql-cl\nrestapi: {connect_address: \"127.0.0.1:8008\"}\n"}); err != nil {
		t.Fatal(err)
	}
	f.deeds(z, own, patroniTells)
	f.overlap(own, vips)
}

// password is what nobody may print.
const password = "P@ssw0rd-of-the-virtual-computer"

// deeds makes calls, one after the other.
func (f *foreign) deeds(z *zone, own netip.Addr, rows []deed) {
	f.t.Helper()
	for _, d := range rows {
		d.given()
		before := z.lookup(clusterName)
		out, err := f.callback(d.call)
		if err != nil {
			f.t.Fatal(err)
		}
		if failed := strings.HasSuffix(out, "exit status 1"); failed != (d.fails != "") || !strings.Contains(out, d.fails) || !strings.Contains(out, d.says) {
			f.t.Errorf("%s: dnscp %s says\n%s\nwant %q, and to fail %q", d.what, d.call, out, d.says, d.fails)
		}
		if strings.Contains(out, password) {
			f.t.Errorf("%s: dnscp %s prints the password", d.what, d.call)
		}
		if has := f.has(own); has != d.has {
			f.t.Errorf("%s: after dnscp %s it is %t that %s is here, want %t", d.what, d.call, has, own, d.has)
		}
		want := before
		if d.record != "" {
			want = []netip.Addr{netip.MustParseAddr(d.record)}
		}
		if got := z.lookup(clusterName); !slices.Equal(got, want) {
			f.t.Errorf("%s: after dnscp %s the name leads to %v, want %v", d.what, d.call, got, want)
		}
	}
	if n := z.emptied(); n > 0 {
		f.t.Errorf("an update left the name without a record %d times", n)
	}
}

// overlap has callbacks of a leader come in no order, at once and killed: as long as Patroni
// says that this host leads the VIP is here in the end, and likewise if not.
func (f *foreign) overlap(own netip.Addr, vips string) {
	f.t.Helper()
	for _, leads := range []bool{true, false} {
		last := "replica"
		if f.says.follows(); leads {
			f.says.leads()
			last = "primary"
		}
		ctx, cancel := context.WithTimeout(f.t.Context(), 2*checkTime)
		_, err := f.container.run(ctx, fmt.Sprintf(`roles=(master primary promoted replica demoted standby_leader)
for i in {1..200}; do
	timeout --signal=KILL 0.0$((RANDOM %% 9 + 1)) dnscp %s -- on_role_change "${roles[RANDOM %% 6]}" pgsql-cl >&2 &
	if [ $((i %% 10)) = 0 ]; then wait || true; fi
done
wait || true
dnscp %s -- on_role_change %s pgsql-cl >&2`, vips, vips, last))
		cancel()
		if err != nil {
			f.t.Fatal(err)
		}
		f.waitHas(own, leads, time.Second)
	}
}
