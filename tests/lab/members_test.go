//go:build lab

package lab

import (
	"regexp"
	"slices"
	"testing"

	"banyan/tests/fixture"
)

// TestMembers has the list of a cluster's members change: one is added, gets another
// address, leaves and comes back, and is dropped once it is off for good.
func TestMembers(t *testing.T) {
	t.Parallel()
	c := newCluster(t, three)
	n1, n2, n3 := c.nodes[0], c.nodes[1], c.nodes[2]
	c.bear()
	kept := c.keep()

	c.plan.members = append(slices.Clone(three), member{"pgsql-n4", 0, "postgresql, etcd, haproxy"})
	c.minted.Mint(t, c.plan.text())
	n4 := c.addHost(3)
	c.plant(n4) // before anybody knows it
	n4.says("dcs: waits")
	c.reseed(n1, n2, n3)
	n4.waitReady()
	c.settle(c.nodes)
	c.list("pgsql-n4 is added", c.nodes)

	c.plan.moved = map[string]byte{"pgsql-n4": 77}
	c.minted.Mint(t, c.plan.text())
	n4.addr = c.plan.address(3)
	c.reseed(c.nodes...)
	c.settle(c.nodes)
	c.list("pgsql-n4 has another address", c.nodes)
	n1.expect([]fixture.Check{{"where etcd reaches it", "su --login --command 'etcdctl member list' | grep pgsql-n4", ".*" + regexp.QuoteMeta("https://"+n4.addr.Addr().String()+":2380") + ".*"}})
	kept()

	n4.exits(0, "firstboot leave")
	left := c.without(n4)
	c.settle(left)
	c.list("pgsql-n4 has left", left)
	n4.exits(0, "firstboot leave --undo")
	n4.waitReady()
	c.settle(c.nodes)
	c.list("pgsql-n4 is back", c.nodes)

	// Who runs is not dropped, though the seed lists it no more; who is off is.
	c.plan.members = three
	c.minted.Mint(t, c.plan.text())
	c.reseed(n1, n2, n3)
	c.list("pgsql-n4 runs, and is listed no more", c.nodes)
	n4.stop()
	n1.sh("systemctl restart banyan-firstboot.service")
	c.waitReady()
	c.settle(left)
	c.list("pgsql-n4 is off, and is listed no more", left)
}
