//go:build lab

package lab

import "testing"

// TestRaft has a cluster without etcd, of two nodes and a witness, lose its leader, the disk
// of a member, and then all of its power.
func TestRaft(t *testing.T) {
	t.Parallel()
	c := newClusterAt(t, newSites(t, 2), plan{dcs: "raft", members: []member{
		{"pgsql-n1", 0, "postgresql, haproxy"},
		{"pgsql-n2", 1, "postgresql, haproxy"},
		{"pgsql-w1", 1, "witness"},
	}})
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
