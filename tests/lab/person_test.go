//go:build lab && person

package lab

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"banyan/seeds"
)

// TestPerson is no test: it is the lab for a person, which scripts/lab starts. It has a
// cluster over two sites, says how to enter it, and ends with SIGINT or SIGTERM. The
// environment names the directory for what scripts/lab has to know, BANYAN_LAB, and the
// delay of the line from either site to the router, BANYAN_LAB_DELAY.
func TestPerson(t *testing.T) {
	ctx, cancel := signal.NotifyContext(t.Context(), unix.SIGINT, unix.SIGTERM)
	defer cancel()
	delay, err := time.ParseDuration(os.Getenv("BANYAN_LAB_DELAY"))
	if err != nil {
		t.Fatalf("BANYAN_LAB_DELAY: %v", err)
	}
	c := newCluster(t, threeAndWitness)
	for i, site := range c.sites {
		site.line.set(delay, 0)
		leadTo(t, fmt.Sprintf("dc%d", i+1), site.namespace)
	}
	c.plant(c.nodes...)
	for _, n := range c.nodes {
		leadTo(t, n.name, strconv.Itoa(n.container.leader))
	}
	if err := c.explain(); err != nil {
		t.Fatal(err)
	}
	err = c.try(c.nodes, func(n *node) error {
		_, err := n.container.run(ctx, "firstboot status --wait >&2")
		return err
	})
	switch {
	case err == nil:
		fmt.Println("\nThe cluster is ready.")
	case ctx.Err() == nil:
		fmt.Printf("\nThe cluster is not what it should be:\n%v\n", err)
	}
	<-ctx.Done()
	fmt.Println("\nThe lab is taken down.")
}

// leadTo tells scripts/lab what a name leads to: the process or the network namespace to enter.
func leadTo(t *testing.T, name, where string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(os.Getenv("BANYAN_LAB"), name), []byte(where+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// explain says what there is and how to reach it.
func (c *cluster) explain() error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nNODE\tSITE\tADDRESS\tSERVICES")
	for _, n := range c.nodes {
		self, _ := c.minted.Seeds[n.name].ByName(n.name)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", n.name, self.Site, n.addr.Addr(), seeds.Words(self.Services))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Printf(`
The nodes are planted, and found a cluster in a minute or so.

sudo scripts/lab enter NODE   a shell of root's on a node: firstboot status, patronictl list,
                              etcdctl member list
sudo scripts/lab enter dc1    a shell in the network of a site, where clients are: with a psql of yours
                              psql 'host=%s port=%d user=postgres sslmode=require'; its
                              password is superuser_password in /var/lib/banyan/seed.yaml of a node;
                              the leader itself is at %s or %s, port 5432, by
                              dig +short @%s %s
sudo scripts/lab stop         ends all of it, as Ctrl-C does here
`, c.running(seeds.ServiceHAProxy)[0].addr.Addr(), primaryPort, vip(0), vip(1), c.sites[0].prefix.Addr(), clusterName)
	return err
}
