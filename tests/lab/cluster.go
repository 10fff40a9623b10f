//go:build lab

package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"banyan/seeds"
	"banyan/tests/fixture"
)

// cluster is nodes of one cluster file. Who serves in it they settle among themselves.
type cluster struct {
	t      testing.TB
	plan   plan // by which it was minted last
	sites  []*network
	zone   *zone   // that the cluster's name is in
	nodes  []*node // as the cluster file has them
	minted *fixture.Cluster
}

// member is a node of a cluster file.
type member struct {
	name     string
	site     int    // counted from 0
	services string // as in a seed
}

// threeAndWitness is the cluster of most tests: one site has most of the data, and the
// other most of the votes, so that a cut between them moves the leader.
var threeAndWitness = []member{
	{"pgsql-n1", 0, "postgresql, etcd, haproxy"},
	{"pgsql-n2", 0, "postgresql, haproxy"},
	{"pgsql-n3", 1, "postgresql, etcd, haproxy"},
	{"pgsql-w1", 1, "witness"},
}

// plan is what the cluster file of a test says. The lines between the sites are short,
// and so etcd's times may be: those for sites that are far apart would add to Patroni's.
type plan struct {
	members []member
	dcs     string // etcd on the nodes, where it is not said
	times   times  // those of the lab, where they are not said
	more    string // further sections

	moved map[string]byte // the host's number of who is not where its place has it

	postgresql string // further lines of the section
	patroni    string // likewise
	hba        string // a further line of postgresql.pg_hba

	dns       string // of the section, beside the name, in place of what leads to the stand-in zone
	resolvers string // of the nodes, in place of that zone's
}

// times are those of Patroni: https://patroni.readthedocs.io/en/latest/dynamic_configuration.html
type times struct{ ttl, loopWait, retryTimeout time.Duration }

var (
	// shortTimes are the shortest that Patroni takes.
	shortTimes = times{20 * time.Second, 5 * time.Second, 5 * time.Second}
	// usualTimes are its own.
	usualTimes = times{30 * time.Second, 10 * time.Second, 10 * time.Second}
)

// recovery is for how long there may be no service whatever fails: until the leader's key
// is gone, a round in which the others see it, one in which they elect, and some time for
// PostgreSQL to become the leader.
func (t times) recovery() time.Duration { return t.ttl + 2*t.loopWait + 5*time.Second }

// synchronousNodes is how many replicas are in step where there are as many.
const synchronousNodes = 2

// settleTime is for everybody who is left to follow the leader again.
const settleTime = 3 * time.Minute

// clusterName is what clients at any site know the leader by: each node's certificate has it.
const clusterName = "pgsql-cl." + clusterZone

// readName is what they know the replicas by.
const readName = "pgsql-cl-ro." + clusterZone

// clusterZone is the zone of those names.
const clusterZone = "demo.ru"

// text is the cluster file.
func (p plan) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: banyan/v1\ncluster: {name: pgsql-cl, dcs: %s}\nsites:\n", p.dcs)
	var hba []string
	for i := range siteCount(p.members) {
		if !slices.ContainsFunc(p.members, func(m member) bool { return m.site == i }) {
			continue
		}
		subnet := netip.PrefixFrom(siteAddress(i, 0), prefix.Bits())
		fmt.Fprintf(&b, "  - {name: dc%d, subnet: %s, vips: [%s]}\n", i+1, subnet, siteAddress(i, 180))
		hba = append(hba, fmt.Sprintf("%q", fixture.HBA(subnet)))
	}
	if p.hba != "" {
		hba = append(hba, fmt.Sprintf("%q", p.hba))
	}
	var servers []string
	for i := range siteCount(p.members) {
		servers = append(servers, siteAddress(i, 1).String())
	}
	zone := fmt.Sprintf("read_name: pgsql-cl-ro, zone: %s, servers: [%s]", clusterZone, strings.Join(servers, ", "))
	fmt.Fprintf(&b, "dns: {name: pgsql-cl, %s, ttl: 30}\nnodes:\n", cmp.Or(p.dns, zone))
	for i, m := range p.members {
		fmt.Fprintf(&b, "  - {name: %s, address: %s, gateway: %s, services: [%s]}\n", m.name, p.address(i), siteAddress(m.site, 1), m.services)
	}
	fmt.Fprintf(&b, `network: {interface: {name: eth0}, dns: [%s]}
postgresql:
  parameters: {shared_buffers: 128MB}
  pg_hba: [%s]
%spatroni:
%s  ttl: %.0f
  loop_wait: %.0f
  retry_timeout: %.0f
  synchronous_mode: true
  synchronous_node_count: %d
`, cmp.Or(p.resolvers, strings.Join(servers, ", ")), strings.Join(hba, ", "), p.postgresql, p.patroni, p.times.ttl.Seconds(), p.times.loopWait.Seconds(), p.times.retryTimeout.Seconds(), synchronousNodes)
	if p.dcs == "etcd" {
		b.WriteString("etcd: {heartbeat-interval: 100, election-timeout: 1000, snapshots: 2}\n")
	}
	return b.String() + p.more
}

// address is that of a member, by its place in the cluster file.
func (p plan) address(place int) netip.Prefix {
	m := p.members[place]
	return netip.PrefixFrom(siteAddress(m.site, cmp.Or(p.moved[m.name], byte(11+place))), prefix.Bits())
}

func siteCount(members []member) int {
	last := slices.MaxFunc(members, func(a, b member) int { return a.site - b.site })
	return last.site + 1
}

// newCluster makes the hosts of a cluster with etcd on them, which are off and have no seeds yet, and its sites.
func newCluster(t testing.TB, members []member) *cluster {
	t.Helper()
	return newClusterAt(t, newSites(t, siteCount(members)), plan{members: members})
}

// newClusterAt makes the hosts of a cluster as it is planned, at sites that are there.
func newClusterAt(t testing.TB, sites []*network, p plan) *cluster {
	t.Helper()
	p.dcs = cmp.Or(p.dcs, "etcd")
	p.times = cmp.Or(p.times, shortTimes)
	if sites[0].zone == nil { // else it is another cluster's too
		sites[0].zone = newZone(t, sites)
	}
	c := &cluster{t: t, plan: p, sites: sites, zone: sites[0].zone, minted: fixture.Mint(t, p.text())}
	for i := range p.members {
		c.addHost(i)
	}
	return c
}

// addHost makes the host of a member, by its place in the plan.
func (c *cluster) addHost(place int) *node {
	c.t.Helper()
	m := c.plan.members[place]
	n := &node{newHost(c.t, c.sites[m.site], m.name, c.plan.address(place).Addr()), c.minted}
	c.nodes = append(c.nodes, n)
	return n
}

// node is the node of a name.
func (c *cluster) node(name string) *node {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.name == name {
			return n
		}
	}
	c.t.Fatalf("the cluster has no %s", name)
	return nil
}

// databases are the nodes that are on and have PostgreSQL.
func (c *cluster) databases() []*node { return c.running(seeds.ServicePostgreSQL) }

// running are the nodes that are on and run a service.
func (c *cluster) running(service seeds.Service) []*node {
	members := c.minted.Seeds[c.nodes[0].name].Members(service)
	return slices.DeleteFunc(c.on(), func(n *node) bool {
		return !slices.ContainsFunc(members, func(m seeds.Node) bool { return m.Name == n.name })
	})
}

// each does something with nodes, all at once.
func (c *cluster) each(nodes []*node, do func(*node) error) {
	c.t.Helper()
	if err := c.try(nodes, do); err != nil {
		c.t.Fatal(err)
	}
}

// try is each, where that may fail.
func (c *cluster) try(nodes []*node, do func(*node) error) error {
	errs := make([]error, len(nodes))
	var all sync.WaitGroup
	for i, n := range nodes {
		all.Go(func() {
			if err := do(n); err != nil {
				errs[i] = fmt.Errorf("%s: %w", n.name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// plant turns nodes on, all at once, with their seeds in /etc/banyan.
func (c *cluster) plant(nodes ...*node) {
	c.t.Helper()
	c.turnOn(nodes, func(n *node) map[string]string { return seedFile(c.minted.Seeds[n.name].Text) })
}

// start turns nodes on, all at once.
func (c *cluster) start(nodes ...*node) {
	c.t.Helper()
	c.turnOn(nodes, func(*node) map[string]string { return nil })
}

func (c *cluster) turnOn(nodes []*node, etc func(*node) map[string]string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), bootTime)
	defer cancel()
	c.each(nodes, func(n *node) error { return n.turnOn(ctx, etc(n)) })
}

// waitReady waits until all nodes that are on are done and serve.
func (c *cluster) waitReady() {
	c.t.Helper()
	ctx, cancel := context.WithTimeoutCause(c.t.Context(), birthTime, fmt.Errorf("not ready after %v", birthTime))
	defer cancel()
	c.each(c.on(), func(n *node) error {
		_, err := n.container.run(ctx, "firstboot status --wait >&2")
		return err
	})
}

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

// bear plants all nodes, and returns who leads once the cluster is there and well.
func (c *cluster) bear() *node {
	c.t.Helper()
	c.plant(c.nodes...)
	c.waitReady()
	return c.settle(c.nodes)
}

// on are the nodes that are on.
func (c *cluster) on() []*node {
	var on []*node
	for _, n := range c.nodes {
		if n.container != nil {
			on = append(on, n)
		}
	}
	return on
}

// without are the nodes but those.
func (c *cluster) without(gone ...*node) []*node {
	return slices.DeleteFunc(slices.Clone(c.nodes), func(n *node) bool { return slices.Contains(gone, n) })
}
