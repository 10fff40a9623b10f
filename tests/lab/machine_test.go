//go:build lab

package lab

import "testing"

// TestOtherMachine has the disk of a node come up in another machine: while its cluster hears
// of the first one, it is taken for a copy and does nothing; then it was moved.
func TestOtherMachine(t *testing.T) {
	t.Parallel()
	c := newCluster(t, three)
	n1, n3 := c.nodes[0], c.nodes[2]
	n3.uuid = "5f1f2d3c-0000-4000-8000-000000000001"
	c.bear()

	n3.stop()
	n3.uuid = "5f1f2d3c-0000-4000-8000-000000000002"
	const key = "/service/pgsql-cl/members/pgsql-n3" // which the first machine would renew
	n1.sh("su --login --command 'etcdctl put " + key + " {}' >&2")
	n3.start()
	n3.says("another machine runs as this node, so this disk is a copy")
	for _, unit := range []string{"etcd.service", "patroni.service"} {
		n3.exits(3, "systemctl is-active "+unit)
	}

	n1.sh("su --login --command 'etcdctl del " + key + "' >&2")
	n3.sh("systemctl restart banyan-firstboot.service")
	c.waitReady()
	c.settle(c.nodes)
	c.list("the disk was moved", c.nodes)
	n3.stop()
	n3.start()
	c.waitReady()
	c.settle(c.nodes)
}
