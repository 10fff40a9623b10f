//go:build lab

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// foreignHoldDown is what the times of patroniWords leave, without a watchdog: 20 - 5 - 5,
// less one second for the kernel.
const foreignHoldDown = 9 * time.Second

// TestGuard has a guard, by its own package and units, do what a Patroni says, on a host that
// is not Banyan's.
func TestGuard(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, prefix)
	f := newForeign(t, n, "db1", address(11))
	vip4, elsewhere := address(180), netip.MustParseAddr("10.250.0.1")
	vip6 := netip.MustParseAddr("2001:db8:5432::180")
	f.sh("ip address add 2001:db8:5432::11/64 dev eth0 nodad")
	if err := n.ip("address add 2001:db8:5432::1/64 dev bridge nodad"); err != nil {
		t.Fatal(err)
	}
	// dnscp.sh has left one for ever, and this host does not lead.
	f.sh(fmt.Sprintf("ip address add %s/24 dev eth0", vip4))
	f.guard(fmt.Sprintf("vips: [%s, %s, \"%s\"]\nmetrics: {listen: \"127.0.0.1:9553\"}\n", vip4, elsewhere, vip6))
	f.waitHas(vip4, false, foreignHoldDown)

	f.says.leads()
	f.wake()
	for _, a := range []netip.Addr{vip4, vip6} {
		if !f.has(a) {
			t.Errorf("this host leads, and does not have %s", a)
		}
		want, err := linkAddress(f.id(), "eth0")
		if err != nil {
			t.Fatal(err)
		}
		// Answers come, and so the neighbour is known.
		if _, err := n.dial(t.Context(), "tcp", netip.AddrPortFrom(a, 22).String()); err != nil && !strings.Contains(err.Error(), "refused") {
			t.Error(err)
		}
		if got := neighbor(t, n.namespace, a); got != want {
			t.Errorf("another host has the MAC address %s for %s, want %s", got, a, want)
		}
	}
	if f.has(elsewhere) {
		t.Error("a VIP of another site is on this host")
	}
	f.lifetimes()

	if numbers := f.sh("curl --silent --fail http://127.0.0.1:9553/metrics"); !strings.Contains(numbers, `dnscp_transition_seconds_count{of="vip"} 2`) {
		t.Errorf("of two VIPs the numbers do not tell how long it took:\n%s", numbers)
	}

	// Somebody removes it.
	f.sh(fmt.Sprintf("ip address del %s/24 dev eth0", vip4))
	f.waitHas(vip4, true, time.Second)

	// A switchover: PostgreSQL is about to stop, and Patroni waits for this.
	listen(t, f.id(), "tcp", netip.AddrPortFrom(netip.IPv6Unspecified(), 5432))
	var clients []net.Conn
	for _, a := range []netip.Addr{vip4, vip6} {
		conn, err := n.dial(t.Context(), "tcp", netip.AddrPortFrom(a, 5432).String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() // nothing was written
		clients = append(clients, conn)
	}
	f.says.become(true, "primary", "stopping")
	f.sh("runuser -u postgres -- dnscp before-stop")
	if f.has(vip4) || f.has(vip6) {
		t.Error("PostgreSQL is about to stop, and a VIP is there")
	}
	for _, conn := range clients {
		if err := conn.SetReadDeadline(time.Now().Add(checkTime)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a client of %s finds %v, and is to be told", conn.RemoteAddr(), err)
		}
	}

	// A promotion that takes its time: the callback comes before PostgreSQL is a primary.
	f.says.become(true, "replica", "running")
	promoted := time.AfterFunc(time.Second, f.says.leads)
	defer promoted.Stop()
	f.wake()
	if !f.has(vip4) {
		t.Error("the callback of a promotion returns before the VIP is there")
	}

	// PostgreSQL crashes and recovers; this host has the lock all the while.
	f.says.become(true, "primary", "crashed")
	f.wake()
	if !f.has(vip4) {
		t.Error("the VIP is gone with a crash that PostgreSQL recovers from")
	}
	f.says.leads()
	f.wake()

	// Silence.
	goOn := f.says.freeze()
	f.waitHas(vip4, false, foreignHoldDown+2*time.Second)
	goOn()
	f.waitHas(vip4, true, foreignHoldDown)

	// The guard is gone for good, and the kernel ends the lease.
	f.sh("systemctl stop dnscp.service")
	if !f.has(vip4) {
		t.Error("the VIP goes at once with a guard that is stopped, as before a restart")
	}
	f.waitHas(vip4, false, foreignHoldDown+2*time.Second)
	f.sh("systemctl start dnscp.service")
	f.waitHas(vip4, true, foreignHoldDown)

	// An upgrade restarts it: the VIP stays, whoever looks, and though Patroni has lost its DCS.
	f.says.lose(true)
	f.sh("systemctl restart dnscp.service")
	f.stays(vip4, foreignHoldDown+2*time.Second)
	f.says.lose(false)

	// Patroni is started again, and answers before it has renewed its lock.
	f.says.become(false, "primary", "running")
	f.stays(vip4, 2*time.Second)
	f.says.leads()
	f.wake()
	if !f.has(vip4) {
		t.Error("Patroni is back, and the VIP is not here")
	}
	f.says.become(false, "replica", "running")
	f.wake()
	if f.has(vip4) || f.has(vip6) {
		t.Error("this host does not lead, and has a VIP")
	}
	f.measured()
	f.refuses()
}

// stays wants an address to be here all the time.
func (f *foreign) stays(addr netip.Addr, during time.Duration) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), during)
	defer cancel()
	if poll(ctx, 20*time.Millisecond, func() bool { return !f.has(addr) }) {
		f.t.Errorf("%s is gone", addr)
	}
}

// wake has the guard look, by a callback, whose words count for nothing.
func (f *foreign) wake() {
	f.t.Helper()
	if out, err := f.callback("-vips 10.99.99.99 -- on_role_change standby_leader pgsql-cl"); err != nil || out != "" {
		f.t.Fatalf("%v\n%s", err, out)
	}
}

// lifetimes wants every VIP to end by itself.
func (f *foreign) lifetimes() {
	f.t.Helper()
	for line := range strings.Lines(f.sh("ip -oneline address show dev eth0")) {
		if strings.Contains(line, "180/") && strings.Contains(line, "valid_lft forever") {
			f.t.Errorf("a VIP is there for ever: %s", line)
		}
	}
}

// measured wants Prometheus to be told, the journal, and whoever asks for a check.
func (f *foreign) measured() {
	f.t.Helper()
	numbers := f.sh("curl --silent --fail http://127.0.0.1:9553/metrics")
	for _, want := range []string{"dnscp_leader 0", "dnscp_hold_down_seconds 9", `dnscp_vip_held{vip="` + address(180).String() + `"} 0`, `dnscp_vip_conflicts_total{vip="` + address(180).String() + `"} 0`} {
		if !strings.Contains(numbers, want) {
			f.t.Errorf("the numbers have no %q:\n%s", want, numbers)
		}
	}
	fields := f.sh("journalctl --unit dnscp.service --output json DNSCP_VIP=" + address(180).String())
	for _, want := range []string{`"DNSCP_INTERFACE":"eth0"`, `"DNSCP_TOOK":`} {
		if !strings.Contains(fields, want) {
			f.t.Errorf("the journal has no field %q:\n%s", want, fields)
		}
	}
	f.sh("dnscp check >&2 || test $? = 1")
}

// refuses wants nobody else to wake the guard.
func (f *foreign) refuses() {
	f.t.Helper()
	f.sh("! runuser -u nobody -- dnscp -- on_stop replica pgsql-cl")
}
