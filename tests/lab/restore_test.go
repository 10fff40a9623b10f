//go:build lab

package lab

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"banyan/tests/fixture"
)

const (
	snapshots   = "/var/lib/banyan/etcd-snapshots"
	snapshotNow = "systemctl start banyan-etcd-snapshot.service"
)

// TestRestoreEtcd loses etcd's data on all nodes and on two of three, and brings it back from a
// snapshot of when another node led.
func TestRestoreEtcd(t *testing.T) {
	t.Parallel()
	c := newCluster(t, three)
	c.plant(c.nodes...)
	c.waitReady()
	nodes := c.nodes
	first := c.settle(nodes)
	first.sql("create table kept (number int); insert into kept values (1) returning number")
	systemID := first.sql("select system_identifier from pg_control_system()")
	first.sh("su postgres -c 'patronictl edit-config --force --set maximum_lag_on_failover=2222222'")
	nodes[0].checkSnapshots()
	if said := nodes[0].exits(1, "firstboot restore-etcd --force"); !strings.Contains(said, "etcd has a quorum") {
		t.Errorf("at a healthy etcd it says:\n%s", said)
	}

	// What the snapshot has of the leader and of who is in step is true no more.
	second := c.without(first)[0]
	c.switchover(second)
	second.sql("insert into kept values (2) returning number")

	c.loseEtcd(nodes...)
	c.start(nodes[0], nodes[1])
	if said := nodes[0].exits(1, "firstboot restore-etcd"); !strings.Contains(said, "not known") || !strings.Contains(said, nodes[2].name) {
		t.Errorf("while %s is off it says:\n%s", nodes[2].name, said)
	}
	c.start(nodes[2])
	nodes[2].says("dcs: waits")
	if said := nodes[0].exits(0, "firstboot restore-etcd"); !strings.Contains(said, second.name+" holds PostgreSQL's data that has come furthest") {
		t.Errorf("it says:\n%s", said)
	}
	c.checkRestored(second, systemID, 2)

	nodes[0].sh(snapshotNow)
	second.sql("insert into kept values (3) returning number")
	c.loseEtcd(nodes[0], nodes[1])
	c.start(nodes...)
	nodes[2].says("dcs: etcd.service is active")
	if said := nodes[0].exits(1, "firstboot restore-etcd"); !strings.Contains(said, "there is data of etcd on "+nodes[2].name) {
		t.Errorf("while %s holds data it says:\n%s", nodes[2].name, said)
	}
	nodes[0].exits(0, "firstboot restore-etcd --force")
	nodes[2].exits(0, "firstboot restore-etcd --join")
	c.checkRestored(second, systemID, 3)
	if said := nodes[2].exits(1, "firstboot restore-etcd --join"); !strings.Contains(said, "there is nothing to join") {
		t.Errorf("once it has joined it says:\n%s", said)
	}
}

// checkSnapshots takes snapshots, as the timer does, also where there is no room for one.
func (n *node) checkSnapshots() {
	n.t.Helper()
	n.sh(snapshotNow)
	n.sh("cd " + snapshots + "; newest=$(ls); touch keep-this; for day in 01 02 03; do cp $newest 202001${day}T030000Z.db; done; " + snapshotNow)
	const status = "systemctl show banyan-etcd-snapshot.service --property Result --value"
	n.expect([]fixture.Check{
		{"the timer", "systemctl is-active banyan-etcd-snapshot.timer; systemctl is-enabled banyan-etcd-snapshot.timer", "active\nenabled"},
		{"the snapshots", "ls -A " + snapshots + " | sed 's/[0-9]/9/g' | sort | uniq -c | xargs", `2 99999999T999999Z\.db 1 keep-this`},
		{"which stay", "ls " + snapshots + " | grep --count ^2020 | cat", "[01]"}, // two within a second are one
		{"whose they are", "stat --format '%a %U' " + snapshots + " " + snapshots + "/*Z.db | sort --unique", "600 root\n700 root"},
	})
	n.sh("cd " + snapshots + "; newest=$(ls *.db | tail -n 1); cp $newest /run/kept; mount -t tmpfs -o size=64k tmpfs " + snapshots + "; cp /run/kept " + snapshots + "/$newest")
	n.sh("! " + snapshotNow)
	n.expect([]fixture.Check{
		{"a full disk", status, "exit-code"},
		{"what it leaves", "ls -A " + snapshots + " | wc --lines; cmp /run/kept " + snapshots + "/*.db", "1"},
		{"what a person sees", "systemctl --failed --plain --no-legend | cut -d ' ' -f 1", `banyan-etcd-snapshot\.service`},
	})
	n.sh("umount " + snapshots + "; " + snapshotNow)
	n.expect([]fixture.Check{{"once there is room", status, "success"}})
}

// loseEtcd cuts the power of all nodes, and takes away what etcd holds on some.
func (c *cluster) loseEtcd(losers ...*node) {
	c.t.Helper()
	for _, n := range c.nodes {
		n.kill()
	}
	for _, n := range losers {
		n.empty("var/lib/etcd/default")
	}
}

// checkRestored waits until the cluster serves again, and looks whether it is the same, and
// whether who led last leads.
func (c *cluster) checkRestored(last *node, systemID string, rows int) {
	c.t.Helper()
	c.waitReady()
	n := c.settle(c.nodes)
	if n != last {
		c.t.Errorf("%s leads, which may lack what %s has", n.name, last.name)
	}
	if got := n.sql("select count(*) from kept"); got != strconv.Itoa(rows) {
		c.t.Errorf("after etcd was restored there are %s rows of %d", got, rows)
	}
	n.sql("insert into kept values (0); delete from kept where number = 0; select 1") // with standbys that are in step
	const etcdctl = "su --login --command 'etcdctl %s' | grep --only-matching '%s' | sort | xargs"
	n.expect([]fixture.Check{
		{"the system identifier", fmt.Sprintf(etcdctl, "get --print-value-only /service/pgsql-cl/initialize", "[0-9]*"), systemID},
		{"the dynamic configuration", fmt.Sprintf(etcdctl, "get --print-value-only /service/pgsql-cl/config", `"maximum_lag_on_failover": *2222222`), ".*2222222"},
		{"the members", fmt.Sprintf(etcdctl, "member list", "started, pgsql-n[123]"), "started, pgsql-n1 started, pgsql-n2 started, pgsql-n3"},
		{"what failed", "systemctl --failed --plain --no-legend", ""},
	})
}
