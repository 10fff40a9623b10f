//go:build lab

package lab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"banyan/tests/ledger"
)

// holdDown is for how long a node may have its VIP after its Patroni fell silent, with the
// lab's times: half of ttl for the watchdog, less loop_wait and one second for the kernel.
const holdDown = 4 * time.Second

// TestVIP has the leader's VIP be where it belongs while Patroni, PostgreSQL, the guard, etcd
// and the network fail, for clients that reach the leader by it.
func TestVIP(t *testing.T) {
	t.Parallel()
	c := newClusterAt(t, newSites(t, 1), plan{members: three, patroni: "  failsafe_mode: true\n"})
	leader := c.bear()
	c.holds(leader)
	c.reaches(leader)
	l := c.openVIPLedger()

	// A planned switchover: the VIP is gone before PostgreSQL is.
	to := c.without(leader)[0]
	c.survives("a switchover to "+to.name, l, c.nodes, func() { c.switchover(to) })
	c.reaches(to)
	c.readersAre(c.without(to))

	c.survives("Patroni is killed on "+to.name, l, c.nodes, func() { to.sh(killPatroni) })
	leader = c.leader()

	c.survives("PostgreSQL is killed on "+leader.name, l, c.nodes, func() { leader.sh(killPostgreSQL) })
	leader = c.leader()

	c.freeze(l, leader)
	leader = c.leader()

	for _, how := range []string{"KILL", "TERM"} {
		c.survives("the guard of "+leader.name+" ends by SIG"+how, l, c.nodes, func() {
			leader.sh("systemctl kill --kill-who=main --signal=" + how + " dnscp.service")
		})
	}
	c.freezeGuard(leader)

	c.survives("etcd is killed on all nodes", l, c.nodes, func() { c.stopEtcd(leader) })
	leader = c.leader()

	c.survives("the network of "+leader.name+" is cut", l, c.without(leader), func() {
		if err := leader.network.ip("link set " + leader.name + " down"); err != nil {
			t.Fatal(err)
		}
	})
	c.survives("the network of "+leader.name+" is back", l, c.nodes, func() {
		if err := leader.network.ip("link set " + leader.name + " up"); err != nil {
			t.Fatal(err)
		}
	})
	leader = c.leader()
	c.reaches(leader)
	c.fireCallbacks(leader)
}

// freeze stops Patroni's process on the leader, whose PostgreSQL goes on: its VIP is gone
// within the hold-down, and another node leads with it.
func (c *cluster) freeze(l *ledger.Client, leader *node) {
	c.t.Helper()
	const signal = "systemctl kill --kill-who=main patroni.service --signal="
	c.survives("Patroni is frozen on "+leader.name, l, c.without(leader), func() {
		leader.sh(signal + "STOP")
		c.gone(leader)
	})
	c.survives("Patroni goes on, on "+leader.name, l, c.nodes, func() { leader.sh(signal + "CONT") })
}

// freezeGuard stops the guard's process: the kernel ends the lease. systemd, which hears
// nothing of it, starts another.
func (c *cluster) freezeGuard(leader *node) {
	c.t.Helper()
	leader.awaits("the guard is there", "systemctl is-active dnscp.service", "active")
	leader.sh("systemctl kill --kill-who=main --signal=STOP dnscp.service")
	c.gone(leader)
	c.holds(leader)
}

// gone waits until a node does not have its VIP: no longer than the hold-down, what the
// kernel takes, and the looking.
func (c *cluster) gone(n *node) {
	c.t.Helper()
	ctx, cancel := context.WithTimeoutCause(c.t.Context(), holdDown+2*time.Second, fmt.Errorf("%s still has %s", n.name, vip(0)))
	defer cancel()
	w := vipWatch{c, []*node{n}}
	if !poll(ctx, 50*time.Millisecond, func() bool {
		found, err := w.holders()
		if err != nil {
			c.t.Fatal(err)
		}
		return len(found) == 0
	}) {
		c.t.Fatal(context.Cause(ctx))
	}
}

// stopEtcd kills etcd on all nodes for a minute: in failsafe mode the leader goes on, and with
// it its VIP, also of a guard that is started meanwhile. (One that is stopped may answer an
// update of the lock with an error, upon which Patroni demotes its leader, failsafe mode or not.)
func (c *cluster) stopEtcd(leader *node) {
	c.t.Helper()
	c.each(c.nodes, func(n *node) error {
		_, err := n.container.run(c.t.Context(), "systemctl mask --runtime etcd.service >&2; systemctl kill --signal=KILL etcd.service")
		return err
	})
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	restart := time.AfterFunc(c.plan.times.ttl+c.plan.times.loopWait, func() {
		if _, err := leader.container.run(ctx, "systemctl restart dnscp.service"); err != nil {
			c.t.Error(err)
		}
	})
	defer restart.Stop()
	w := vipWatch{c, []*node{leader}}
	poll(ctx, 50*time.Millisecond, func() bool {
		found, err := w.holders()
		if err != nil {
			c.t.Fatal(err)
		}
		if len(found) == 0 {
			c.t.Fatalf("%s lost its VIP with etcd, in failsafe mode", leader.name)
		}
		return false
	})
	c.each(c.nodes, func(n *node) error {
		_, err := n.container.run(c.t.Context(), "systemctl unmask --runtime etcd.service >&2; systemctl start etcd.service")
		return err
	})
}

// reaches looks at what another host of the subnet knows: the MAC address of the leader for
// the VIP, and PostgreSQL behind it.
func (c *cluster) reaches(leader *node) {
	c.t.Helper()
	site := leader.network
	conn, err := c.connectVIP(c.t.Context(), site, vip(0))
	if err != nil {
		c.t.Fatal(err)
	}
	var server netip.Addr
	err = conn.QueryRow(c.t.Context(), "select inet_server_addr()").Scan(&server)
	if err := conn.Close(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	if err != nil || server != vip(0) {
		c.t.Errorf("PostgreSQL is reached at %s: %v", server, err)
	}
	want, err := linkAddress(leader.id(), "eth0")
	if err != nil {
		c.t.Fatal(err)
	}
	if got := neighbor(c.t, site.namespace, vip(0)); got != want {
		c.t.Errorf("for %s another host knows the MAC address %s, and that of %s is %s", vip(0), got, leader.name, want)
	}
}

// fireCallbacks has 200 callbacks come at every node in no order, several at a time and many
// of them killed: who has the VIP does not change.
func (c *cluster) fireCallbacks(leader *node) {
	c.t.Helper()
	roles := []string{"master", "primary", "promoted", "replica", "demoted", "standby_leader", "registerdns"}
	actions := []string{"on_start", "on_stop", "on_role_change"}
	stop := c.watchVIPs()
	c.each(c.databases(), func(n *node) error {
		var b strings.Builder
		for i := range 200 {
			action, role := actions[rand.IntN(len(actions))], roles[rand.IntN(len(roles))]
			fmt.Fprintf(&b, "runuser -u postgres -- timeout --signal=KILL %.3f dnscp -- %s %s pgsql-cl &\n", rand.Float64()*0.1, action, role)
			if i%10 == 9 {
				b.WriteString("wait || true\n")
			}
		}
		_, err := n.container.run(c.t.Context(), b.String())
		return err
	})
	stop()
	c.holds(leader)
	c.reaches(leader)
	// And one that is not killed tells the truth.
	for _, n := range c.databases() {
		n.sh("runuser -u postgres -- dnscp -- on_role_change primary pgsql-cl")
	}
}

// readersAre waits until the second name leads to these nodes.
func (c *cluster) readersAre(nodes []*node) {
	c.t.Helper()
	var want []netip.Addr
	for _, n := range nodes {
		want = append(want, n.addr.Addr())
	}
	until(c.t, settleTime, func(context.Context) error {
		if got := c.zone.lookup(readName); !slices.Equal(got, want) {
			return fmt.Errorf("%s leads to %v, and not to %v", readName, got, want)
		}
		return nil
	})
}
