//go:build lab

package lab

import "testing"

// twoAndWitness are two nodes and a witness of a cluster without etcd.
var twoAndWitness = []member{
	{"pgsql-n1", 0, "postgresql, haproxy"},
	{"pgsql-n2", 1, "postgresql, haproxy"},
	{"pgsql-w1", 1, "witness"},
}

// TestRaft has a cluster without etcd, of two nodes and a witness, lose its leader, the disk
// of a member, and then all of its power.
func TestRaft(t *testing.T) {
	t.Parallel()
	c := newClusterAt(t, newSites(t, 2), plan{dcs: "raft", members: twoAndWitness})
	c.bear()
	c.verified("raft", c.nodes, nil)
	l := c.openLedger(1)
	c.cutLeader(l)
	witness := c.node("pgsql-w1")
	c.survives("the witness is installed anew", l, c.nodes, func() {
		c.reinstall(witness)
		witness.waitReady()
	})
	c.losePower(l)
}

// compactSoon has a member of raft make a snapshot of its log each second, and not each five
// minutes, and waits for the first.
const compactSoon = `mkdir -p /run/lab /run/systemd/system/banyan-raft.service.d
cat >/run/lab/sitecustomize.py <<'END'
from pysyncobj import config
init = config.SyncObjConf.__init__
config.SyncObjConf.__init__ = lambda self, **given: init(self, logCompactionMinTime=1, **given)
END
printf '[Service]\nEnvironment=PYTHONPATH=/run/lab\n' >/run/systemd/system/banyan-raft.service.d/lab.conf
systemctl daemon-reload
systemctl restart banyan-raft.service
timeout 50 sh -c 'until ls /var/lib/patroni/raft/*.dump; do sleep 0.2; done' >&2`

// TestRaftMembers loses two of three members of raft for good. Whoever is left is the whole of
// it once its seed says so, whatever its snapshot says, and one after the other joins it again.
func TestRaftMembers(t *testing.T) {
	t.Parallel()
	c := newClusterAt(t, newSites(t, 2), plan{dcs: "raft", members: twoAndWitness})
	n1, n2, w1 := c.nodes[0], c.nodes[1], c.nodes[2]
	c.bear().sql("create table kept (word text); insert into kept values ('banyan') returning word")
	for _, n := range c.nodes {
		n.sh(compactSoon)
	}
	c.settle(c.nodes)
	mint := func(members int) {
		c.plan.members = twoAndWitness[:members]
		c.minted.Mint(t, c.plan.text())
	}

	w1.kill()
	n2.kill()
	mint(1)
	c.reseed(n1)
	c.settle(c.on())

	for i, n := range []*node{n2, w1} {
		left := c.on()
		n.empty(".")
		mint(2 + i)
		c.plant(n)
		for _, o := range left {
			c.reseed(o)
		}
		n.waitReady()
		c.settle(c.on())
		for _, database := range c.databases() {
			if got := database.sql("select word from kept"); got != "banyan" {
				t.Errorf("with %s the table of %s holds %q", n.name, database.name, got)
			}
			database.awaits("Patroni is connected to "+n.name, `ss -Htnp state established dst `+n.addr.Addr().String()+`:2379 |
grep --only-matching "pid=$(systemctl show --property MainPID --value patroni.service)," | uniq | wc --lines`, "1")
		}
	}
	c.verified("two of three members of raft were lost", c.nodes, nil)
}
