//go:build lab

package lab

import (
	"regexp"
	"strings"
	"testing"

	"banyan/tests/fixture"
)

// three are the nodes of a cluster that is born in some order.
var three = []member{
	{"pgsql-n1", 0, "postgresql, etcd, haproxy"},
	{"pgsql-n2", 0, "postgresql, etcd, haproxy"},
	{"pgsql-n3", 0, "postgresql, etcd, haproxy"},
}

// orders are all orders of three.
var orders = [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}

// bornInOrder plants the nodes of a cluster one after the other, each once those before it
// have nothing to do but to wait, and wants one cluster to come of it.
func bornInOrder(t *testing.T, order []int) {
	t.Helper()
	c := newCluster(t, three)
	for i, place := range order {
		n := c.nodes[place]
		c.plant(n)
		if i < len(order)-1 {
			// Nobody begins before all were asked.
			n.says("waits until all members of etcd can be asked")
		}
	}
	c.waitReady()
	c.settle(c.nodes)
	c.checkOne()
}

// checkOne wants the nodes of a cluster of three to be one cluster.
func (c *cluster) checkOne() {
	c.t.Helper()
	leader := c.leader()
	leader.expect([]fixture.Check{
		{"the members of etcd", "su --login --command 'etcdctl member list' | grep --count started", "3"},
		{"the members of Patroni", "su --login --command 'patronictl list --format json' | grep --only-matching '\"Role\"' | wc --lines", "3"},
	})
	const identity = `/usr/lib/postgresql/*/bin/pg_controldata /var/lib/postgresql/*/main | grep 'system identifier'`
	for _, n := range c.nodes {
		n.expect([]fixture.Check{{"the cluster that it is of", identity, regexp.QuoteMeta(leader.sh(identity))}})
	}
}

// TestOrder has a cluster of three born in every order.
func TestOrder(t *testing.T) {
	t.Parallel()
	for _, order := range orders {
		t.Run(orderName(order), func(t *testing.T) {
			t.Parallel()
			bornInOrder(t, order)
		})
	}
}

// orderName is the name of the test of an order, such as pgsql-n3,pgsql-n1,pgsql-n2.
func orderName(order []int) string {
	var all []string
	for _, place := range order {
		all = append(all, three[place].name)
	}
	return strings.Join(all, ",")
}
