//go:build lab

package lab

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// says waits until the status of a node has a text that the expression matches.
func (n *node) says(want string) {
	n.t.Helper()
	text := regexp.MustCompile(want)
	ctx, cancel := context.WithTimeout(n.t.Context(), birthTime)
	defer cancel()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		got := strings.Join(strings.Fields(n.sh("firstboot status || true")), " ")
		if text.MatchString(got) {
			return
		}
		select {
		case <-ctx.Done():
			n.t.Fatalf("%s says\n%s\nand never %s", n.name, got, want)
		case <-again.C:
		}
	}
}

// empty removes all that is in a directory of a host that is off.
func (n *node) empty(dir string) {
	n.t.Helper()
	dir = filepath.Join(n.state(), dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			n.t.Fatal(err)
		}
	}
}

// TestTwoOfThreeLost empties two nodes while the third is away: they never form a new
// cluster, not even once the third is there, whose etcd has no quorum. A human has it go
// on, and then they join it, and what was acknowledged is there.
func TestTwoOfThreeLost(t *testing.T) {
	t.Parallel()
	c := newCluster(t, three)
	n1, n2, n3 := c.nodes[0], c.nodes[1], c.nodes[2]
	c.plant(c.nodes...)
	c.waitReady()
	if leader := c.settle(c.nodes); leader != n1 {
		t.Fatalf("%s leads, and not %s, which founds the cluster", leader.name, n1.name)
	}
	n1.sql("create table kept (word text); insert into kept values ('banyan') returning word")
	const identity = "select system_identifier::text from pg_control_system()"
	before := n1.sql(identity)

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
	for _, n := range c.nodes {
		if got := n.sql(identity); got != before {
			t.Errorf("the system identifier of %s is %s, and was %s", n.name, got, before)
		}
		if got := n.sql("select word from kept"); got != "banyan" {
			t.Errorf("the table of %s holds %q", n.name, got)
		}
	}
}
