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
	"time"

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

// list waits until the members of etcd, which all vote, and of Patroni are these.
func (c *cluster) list(when string, nodes []*node) {
	c.t.Helper()
	want := strings.Split(names(nodes), ", ")
	slices.Sort(want)
	etcd := fmt.Sprintf("started %s", strings.Join(want, "\nstarted "))
	ctx, cancel := context.WithTimeout(c.t.Context(), settleTime)
	defer cancel()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		got := c.leader().sh(`su --login --command 'etcdctl member list' | awk -F ', ' '$6 == "false" { print $2, $3 }' | sort
su --login --command 'patronictl list --format json' | grep --only-matching '"Member": "[^"]*' | cut --delimiter '"' --fields 4 | sort`)
		if got == etcd+"\n"+strings.Join(want, "\n") {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("%s, and etcd and Patroni list\n%s\nafter %v", when, got, settleTime)
		case <-again.C:
		}
	}
}

// TestMembers has the list of a cluster's members change: one is added, gets another
// address, leaves and comes back, and is dropped once it is off for good.
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
	c.list("pgsql-n4 is added", c.nodes)

	c.plan.moved = map[string]byte{"pgsql-n4": 77}
	c.minted.Mint(t, c.plan.text())
	n4.addr = c.plan.address(3)
	c.reseed(c.nodes...)
	c.settle(c.nodes)
	c.list("pgsql-n4 has another address", c.nodes)
	n1.expect([]fixture.Check{{"where etcd reaches it", "su --login --command 'etcdctl member list' | grep pgsql-n4", ".*" + regexp.QuoteMeta("https://"+n4.addr.Addr().String()+":2380") + ".*"}})
	if got := n4.sql("select word from kept"); got != "banyan" {
		t.Errorf("at its other address its table holds %q", got)
	}

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
