//go:build lab

package lab

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"banyan/tests/fixture"
)

// reseed gives nodes that are on their next seeds, which were minted, and has them applied.
func (c *cluster) reseed(nodes ...*node) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), birthTime)
	defer cancel()
	c.each(nodes, func(n *node) error {
		if err := os.WriteFile(n.sealed(), []byte(c.minted.Seeds[n.name].Text), 0o600); err != nil {
			return err
		}
		_, err := n.container.run(ctx, "systemctl restart banyan-firstboot.service; firstboot status --wait >&2")
		return err
	})
}

// list wants the members of etcd and of Patroni to be these, and all of etcd's to vote.
func (c *cluster) list(when string, etcd, patroni []*node) {
	c.t.Helper()
	names := func(nodes []*node) string {
		var all []string
		for _, n := range nodes {
			all = append(all, n.name)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	c.leader().expect([]fixture.Check{
		{when + ": etcd", "su --login --command 'etcdctl member list' | awk -F ', ' '$2 == \"started\" && $6 == \"false\" { print $3 }' | sort | xargs", names(etcd)},
		{when + ": all that etcd lists", "su --login --command 'etcdctl member list' | wc --lines", fmt.Sprint(len(etcd))},
		{when + ": Patroni", `su --login --command 'patronictl list --format json' | grep --only-matching '"Member": "[^"]*' | cut --delimiter '"' --fields 4 | sort | xargs`, names(patroni)},
	})
}

// TestMembers has the list of a cluster's members change: one is added, gets another
// address, leaves and comes back, and one that died is dropped.
func TestMembers(t *testing.T) {
	t.Parallel()
	c := newCluster(t, three)
	n1, n2, n3 := c.nodes[0], c.nodes[1], c.nodes[2]
	c.plant(c.nodes...)
	c.waitReady()
	c.settle(c.nodes)
	n1.sql("create table kept (word text); insert into kept values ('banyan') returning word")

	c.plan.members = append(slices.Clone(three), member{"pgsql-n4", 0, "postgresql, etcd, haproxy"})
	c.minted.Mint(t, c.plan.text())
	n4 := c.addHost(3)
	c.plant(n4) // before anybody knows it
	n4.says("dcs: waits")
	c.reseed(n1, n2, n3)
	n4.waitReady()
	c.settle(c.nodes)
	c.list("pgsql-n4 is added", c.nodes, c.nodes)

	c.plan.moved = map[string]byte{"pgsql-n4": 77}
	c.minted.Mint(t, c.plan.text())
	n4.addr = c.plan.address(3)
	c.reseed(c.nodes...)
	c.settle(c.nodes)
	c.list("pgsql-n4 has another address", c.nodes, c.nodes)
	n1.expect([]fixture.Check{{"where etcd reaches it", "su --login --command 'etcdctl member list' | grep pgsql-n4", ".*" + regexp.QuoteMeta("https://"+n4.addr.Addr().String()+":2380") + ".*"}})
	if got := n4.sql("select word from kept"); got != "banyan" {
		t.Errorf("at its other address its table holds %q", got)
	}

	n4.exits(0, "firstboot leave")
	left := c.without(n4)
	c.settle(left)
	c.list("pgsql-n4 has left", left, left)
	n4.exits(0, "firstboot leave --undo")
	n4.waitReady()
	c.settle(c.nodes)
	c.list("pgsql-n4 is back", c.nodes, c.nodes)

	// Who runs is not dropped, though the seed lists it no more; who is dead is.
	c.plan.members = three
	c.minted.Mint(t, c.plan.text())
	c.reseed(n1, n2, n3)
	c.list("pgsql-n4 runs, and is listed no more", c.nodes, c.nodes)
	n4.kill()
	n1.sh("systemctl restart banyan-firstboot.service")
	c.waitReady()
	c.settle(left)
	c.list("pgsql-n4 is dead, and is listed no more", left, left)
}
