//go:build lab

package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"banyan/tests/fixture"
)

// TestTwoOfThreeLost empties two nodes while the third is away: they never form a new
// cluster, not even once the third is there, whose etcd has no quorum. A human has it go
// on, and then they join it, and what was acknowledged is there.
func TestTwoOfThreeLost(t *testing.T) {
	t.Parallel()
	c := newCluster(t, three)
	n1, n2, n3 := c.nodes[0], c.nodes[1], c.nodes[2]
	if leader := c.bear(); leader != n1 {
		t.Fatalf("%s leads, and not %s, which founds the cluster", leader.name, n1.name)
	}
	kept := c.keep()

	n1.kill() // the leader first, so that it counts nobody out
	n2.kill()
	n3.kill()
	n1.empty(".")
	n2.empty(".")
	c.plant(n1, n2)
	for _, n := range []*node{n1, n2} {
		n.says("silent: " + n3.name)
	}
	n3.start()
	for _, n := range []*node{n1, n2} {
		n.says("waits for a quorum of the etcd that there is: " + n3.name + " holds data")
	}
	n1.exits(1, "firstboot bootstrap")
	n3.sh("firstboot bootstrap")
	c.waitReady()
	kept()
}

// TestDCSLost loses what etcd holds on all nodes, and all that the first node holds, which
// founds clusters: it never leads, empty as it is, and what was acknowledged is there.
func TestDCSLost(t *testing.T) {
	t.Parallel()
	c := newCluster(t, three)
	n1 := c.nodes[0]
	c.bear()
	kept := c.keep()

	c.loseEtcd(c.nodes...)
	n1.empty(".")
	c.plant(n1)
	for _, n := range c.without(n1) {
		n.start()
	}
	n1.says("waits for a quorum of the etcd that there is: pgsql-n2 holds lost, pgsql-n3 holds lost")
	if said := n1.exits(1, "firstboot bootstrap"); !strings.Contains(said, "holds data of PostgreSQL") {
		t.Errorf("told to begin with nothing it says:\n%s", said)
	}
	whoHasMore := c.nodes[1]
	if said := whoHasMore.sh("firstboot bootstrap 2>&1 || true"); strings.Contains(said, "has come further") {
		whoHasMore = c.nodes[2]
		whoHasMore.exits(0, "firstboot bootstrap")
	}
	c.waitReady()
	if leader := c.settle(c.nodes); leader != whoHasMore {
		t.Errorf("%s leads, and not %s", leader.name, whoHasMore.name)
	}
	c.checkOne()
	kept()
}

// TestOldEtcd has a human go on with the etcd of a node that was away for long: it is that of
// the time, in which this node led. Who has come furthest leads, and what was acknowledged
// since is there.
func TestOldEtcd(t *testing.T) {
	t.Parallel()
	c := newCluster(t, three)
	old := c.bear()
	old.kill()
	rest := c.without(old)
	c.settle(rest)
	kept := c.keep()

	for _, n := range rest {
		n.kill()
		n.empty("var/lib/etcd/default")
		n.start()
	}
	old.start()
	old.exits(0, "firstboot bootstrap")
	c.waitReady()
	if leader := c.settle(c.nodes); leader == old {
		t.Errorf("%s leads, as it did once", leader.name)
	}
	kept()
}

// TestUnmounted has a node come up without the volume that etcd's data is on: it is no
// member meanwhile, and its place in etcd stays its own.
func TestUnmounted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, three)
	n3 := c.nodes[2]
	c.bear()
	const members = "su --login --command 'etcdctl member list' | sort"
	before := n3.sh(members)

	n3.kill()
	c.plan.more = "storage: {volumes: {etcd: {match: {serial: NONE}}}}\n"
	c.minted.Mint(t, c.plan.text())
	etcd := filepath.Join(n3.state(), "var/lib/etcd")
	for _, do := range []func() error{
		func() error { return os.Rename(n3.sealed(), n3.sealed()+".before") },
		func() error { return os.WriteFile(n3.sealed(), []byte(c.minted.Seeds[n3.name].Text), 0o600) },
		func() error { return os.Rename(etcd, etcd+".volume") },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	n3.start()
	n3.says("volume etcd: no disk fits")
	n3.expect([]fixture.Check{
		{"etcd", "systemctl is-active etcd.service || true", "inactive"},
		{"Patroni, which has its data", "systemctl is-active patroni.service", "active"},
	})
	if got := c.nodes[0].sh(members); got != before {
		t.Errorf("etcd lists\n%s\nand listed\n%s", got, before)
	}

	n3.sh("chattr -i /var/lib/etcd") // nobody writes to where a volume belongs that is not there
	n3.stop()
	if err := os.RemoveAll(etcd); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{etcd + ".volume": etcd, n3.sealed() + ".before": n3.sealed()} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	n3.start()
	c.waitReady()
	c.settle(c.nodes)
	if got := n3.sh(members); got != before {
		t.Errorf("with its volume etcd lists\n%s\nand listed\n%s", got, before)
	}
}

// TestCopyInterrupted cuts the power of a replica while it takes the leader's data: it
// begins anew. What somebody restored meanwhile is not taken for a copy.
func TestCopyInterrupted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, three)
	leader := c.bear()
	kept := c.keep()
	replica := c.without(leader)[0]
	mark := func(script string) {
		replica.sh("systemctl stop patroni.service\n" + programs + "cd $D; echo >/var/lib/banyan/copy; " + script + "; sync")
		replica.kill()
		replica.start()
		c.waitReady()
		c.settle(c.nodes)
		replica.expect([]fixture.Check{{"the marker", "test -e /var/lib/banyan/copy && echo there || true", ""}})
	}
	const left = programs + "ls $D/left 2>/dev/null || true"

	mark("touch backup_label left; rm global/pg_control")
	if got := replica.sh(left); got != "" {
		t.Errorf("of the interrupted copy there is still %s", got)
	}
	mark("touch left")
	if got := replica.sh(left); got == "" {
		t.Error("whole data was taken for an interrupted copy")
	}
	kept()
}
