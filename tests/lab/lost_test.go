//go:build lab

package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"banyan/tests/fixture"
)

// three makes a cluster of three nodes with all services, whose seeds have these sections too.
func three(t *testing.T, sections ...string) []*node {
	t.Helper()
	n := newNetwork(t, prefix)
	var b strings.Builder
	b.WriteString("version: banyan/v1\ncluster: {name: pgsql-cl}\nnodes:\n")
	var nodes []*node
	for i := range 3 {
		h := newHost(t, n, fmt.Sprintf("pgsql-n%d", i+1), address(byte(11+i)))
		nodes = append(nodes, &node{host: h})
		fmt.Fprintf(&b, "  - {name: %s, address: %s, gateway: %s}\n", h.name, h.addr, prefix.Addr())
	}
	fmt.Fprintf(&b, "network: {interface: {name: eth0}}\npatroni: {ttl: 20, loop_wait: 5, retry_timeout: 5}\npostgresql:\n  pg_hba: [\"%s\"]\n", fixture.HBA(prefix.Masked()))
	c := fixture.Mint(t, b.String()+strings.Join(sections, ""))
	var plants sync.WaitGroup
	for _, n := range nodes {
		n.cluster = c
		plants.Go(func() { n.plant(c.Seeds[n.name].Text) })
	}
	plants.Wait()
	for _, n := range nodes {
		n.waitReady()
	}
	return nodes
}

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
	nodes := three(t)
	n1, n2, n3 := nodes[0], nodes[1], nodes[2]
	n1.sql("create table kept (word text); insert into kept values ('banyan') returning word")
	const identity = "select system_identifier::text from pg_control_system()"
	before := n1.sql(identity)
	n1.sh(`until [ "$(runuser -u postgres -- psql -Atc "select count(*) from pg_stat_replication where sync_state = 'sync'")" = 2 ]; do sleep 1; done`)

	n1.kill() // the leader first, so that it counts nobody out
	n2.kill()
	n3.kill()
	for _, n := range []*node{n1, n2} {
		n.empty(".")
		n.plant(n.cluster.Seeds[n.name].Text)
	}
	for _, n := range []*node{n1, n2} {
		n.says("silent: pgsql-n3")
	}
	n3.start()
	for _, n := range []*node{n1, n2} {
		n.says("waits for a quorum of the etcd that there is: pgsql-n3 holds data")
	}
	n1.exits(1, "firstboot bootstrap")
	n3.sh("firstboot bootstrap")
	for _, n := range nodes {
		n.waitReady()
	}
	for _, n := range nodes {
		if got := n.sql(identity); got != before {
			t.Errorf("the system identifier of %s is %s, and was %s", n.name, got, before)
		}
		if got := n.sql("select word from kept"); got != "banyan" {
			t.Errorf("the table of %s holds %q", n.name, got)
		}
	}
}
