//go:build lab

package lab

import (
	"fmt"
	"testing"
	"time"

	"banyan/tests/ledger"
)

// What is killed in a node, by the shell.
const (
	killPatroni    = "systemctl kill --kill-who=main --signal=KILL patroni.service"
	killPostgreSQL = "kill -KILL $(head --lines=1 /var/lib/postgresql/*/main/postmaster.pid)"
)

// cutLeader cuts the power of the leader, and turns it on again once another leads. It
// returns for how long nobody did.
func (c *cluster) cutLeader(l *ledger.Client) time.Duration {
	c.t.Helper()
	gone := c.leader()
	outage := c.survives("the power of "+gone.name+", which led, is cut", l, c.without(gone), gone.kill)
	c.survives(gone.name+" is back", l, c.nodes, func() {
		gone.start()
		gone.waitReady()
	})
	return outage
}

// switchover has a node lead, as an operator does it.
func (c *cluster) switchover(to *node) {
	c.t.Helper()
	from := c.leader()
	if from == to {
		return
	}
	to.shWithin(birthTime, fmt.Sprintf("su --login --command 'patronictl switchover --force --candidate %s' >&2", to.name))
	if leader := c.settle(c.nodes); leader != to {
		c.t.Fatalf("%s leads after a switchover from %s to %s", leader.name, from.name, to.name)
	}
}

// reinstall empties the disk of a node and plants its seed anew.
func (c *cluster) reinstall(n *node) {
	c.t.Helper()
	n.kill()
	n.empty(".")
	c.plant(n)
}

// TestEtcd has a cluster over two sites meet with what fails in a cluster, while a client
// at the site that has most of the votes writes to it.
func TestEtcd(t *testing.T) {
	t.Parallel()
	c := newCluster(t, threeAndWitness)
	said := arguments(t, 50*time.Millisecond, func() {
		c.plant(c.nodes...)
		c.waitReady()
	})
	if leaked := c.minted.Secrets.Leaked(said); leaked != nil {
		t.Errorf("while the cluster is born anybody can read %q among the arguments of processes", leaked)
	}
	c.settle(c.nodes)
	c.verifies()
	l := c.openLedger(1)

	c.cutLeader(l)
	leader := c.leader()
	c.survives("Patroni is killed on "+leader.name+", which leads", l, c.nodes, func() { leader.sh(killPatroni) })
	leader = c.leader()
	c.survives("PostgreSQL is killed on "+leader.name+", which leads", l, c.nodes, func() { leader.sh(killPostgreSQL) })

	n1, n2 := c.node("pgsql-n1"), c.node("pgsql-n2")
	c.switchover(n1)
	c.survives("the site of pgsql-n1, which leads, is cut off", l, c.without(n1, n2), func() { c.sites[0].line.setCut(true) })
	c.survives("the site is back", l, c.nodes, func() { c.sites[0].line.setCut(false) })

	c.survives("pgsql-n1 begins with an empty disk", l, c.nodes, func() {
		c.reinstall(n1)
		n1.waitReady()
	})
	c.losePower(l)
	for _, n := range c.nodes {
		n.checkReadable()
	}
}

// losePower cuts the power of all nodes at once, and turns them on again.
func (c *cluster) losePower(l *ledger.Client) {
	c.t.Helper()
	for _, n := range c.on() {
		n.kill()
	}
	c.start(c.nodes...)
	c.waitReady()
	leader := c.settle(c.nodes)
	c.writes(l)
	c.t.Logf("after a loss of all power %s leads", leader.name)
	c.checkLedger("after a loss of all power", l)
}
