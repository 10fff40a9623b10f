//go:build lab

package lab

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"banyan/seeds"
	"banyan/tests/ledger"
)

// primaryPort is that on which HAProxy leads to the leader.
const primaryPort = 5000

// openLedger starts a client at a site that writes to the leader, which it finds through any
// HAProxy of the cluster, those of its own site first.
func (c *cluster) openLedger(site int) *ledger.Client {
	c.t.Helper()
	from := c.sites[site]
	var places []ledger.Connect
	for _, n := range c.proxies(from) {
		places = append(places, func(ctx context.Context) (ledger.Conn, error) { return c.connect(ctx, from, n, primaryPort) })
	}
	return c.startLedger(places...)
}

// openVIPLedger starts a client at the first site that writes to whoever has its VIP.
func (c *cluster) openVIPLedger() *ledger.Client {
	c.t.Helper()
	return c.startLedger(func(ctx context.Context) (ledger.Conn, error) { return c.connectVIP(ctx, c.sites[0], vip(0)) })
}

// proxies are the nodes with HAProxy, those of a site first.
func (c *cluster) proxies(from *network) []*node {
	proxies := c.running(seeds.ServiceHAProxy)
	slices.SortStableFunc(proxies, func(a, b *node) int {
		far := map[bool]int{false: 1}
		return far[a.network == from] - far[b.network == from]
	})
	return proxies
}

// startLedger starts a client that writes by these ways, the first that works.
func (c *cluster) startLedger(places ...ledger.Connect) *ledger.Client {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), checkTime)
	defer cancel()
	conn, err := c.connectLeader(ctx)
	if err == nil {
		err = ledger.Create(ctx, conn)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	if err := conn.Close(ctx); err != nil {
		c.t.Fatal(err)
	}
	client := ledger.Start(places...)
	c.t.Cleanup(func() { client.Stop() })
	c.writes(client)
	return client
}

// connectLeader connects to the leader itself, at its own site.
func (c *cluster) connectLeader(ctx context.Context) (*pgx.Conn, error) {
	leader := c.leader()
	return c.connect(ctx, leader.network, leader, 5432)
}

// connect connects to a port of a node behind which there is the leader, who is known by
// the cluster's name.
func (c *cluster) connect(ctx context.Context, from *network, n *node, port uint16) (*pgx.Conn, error) {
	return c.connectTo(ctx, from, netip.AddrPortFrom(n.addr.Addr(), port))
}

// connectVIP connects to the PostgreSQL of whoever has a VIP.
func (c *cluster) connectVIP(ctx context.Context, from *network, vip netip.Addr) (*pgx.Conn, error) {
	return c.connectTo(ctx, from, netip.AddrPortFrom(vip, 5432))
}

func (c *cluster) connectTo(ctx context.Context, from *network, to netip.AddrPort) (*pgx.Conn, error) {
	config, err := c.minted.PostgreSQL(from.dial, to.String())
	if err != nil {
		return nil, err
	}
	config.TLSConfig.ServerName = clusterName
	config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	return pgx.ConnectConfig(ctx, config)
}

// survives does something to a cluster to which a client writes. Nodes that are left have
// to settle on one leader, which has the VIP of its site and the name. There may be no service for plan.times.recovery, and none of the rows
// that were acknowledged may be gone. It returns for how long nothing was written.
func (c *cluster) survives(what string, l *ledger.Client, left []*node, do func()) time.Duration {
	c.t.Helper()
	stop, stopVIPs := c.watchLeaders(), c.watchVIPs()
	began := time.Now()
	do()
	c.writes(l)
	leader := c.settle(left)
	stop()
	c.holds(leader)
	stopVIPs()
	outage := l.Log().Outage(began, time.Now())
	c.t.Logf("%s: %s leads, and for %.1f s nothing was written", what, leader.name, outage.Seconds())
	if outage > c.plan.times.recovery() {
		c.t.Errorf("%s: for %v nothing was written, want %v at most", what, outage, c.plan.times.recovery())
	}
	c.checkLedger(what, l)
	return outage
}

// writes waits until a client writes again.
func (c *cluster) writes(l *ledger.Client) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), c.plan.times.recovery()+time.Minute) // by then it is told how long it took
	defer cancel()
	if err := l.Wait(ctx, time.Now()); err != nil {
		c.t.Fatal(err)
	}
}

// checkLedger looks for all rows that were acknowledged.
func (c *cluster) checkLedger(when string, l *ledger.Client) {
	c.t.Helper()
	log := l.Log() // what is acknowledged from now on may come too late to be read
	ctx, cancel := context.WithTimeout(c.t.Context(), checkTime)
	defer cancel()
	conn, err := c.connectLeader(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	rows, err := ledger.Rows(ctx, conn)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := conn.Close(ctx); err != nil {
		c.t.Fatal(err)
	}
	if lost := log.Lost(rows); lost != nil {
		c.t.Errorf("%s: of %d rows that were acknowledged %d are lost: %v", when, len(log), len(lost), lost)
	}
}

// keep writes a row. What it returns checks that every node has it, and that all are still
// of the PostgreSQL cluster that it was written to.
func (c *cluster) keep() (kept func()) {
	c.t.Helper()
	leader := c.leader()
	leader.sql("create table kept (word text); insert into kept values ('banyan') returning word")
	const identity = "select system_identifier::text from pg_control_system()"
	before := leader.sql(identity)
	return func() {
		c.t.Helper()
		for _, n := range c.nodes {
			if got := n.sql(identity); got != before {
				c.t.Errorf("the system identifier of %s is %s, and was %s", n.name, got, before)
			}
			if got := n.sql("select word from kept"); got != "banyan" {
				c.t.Errorf("the table of %s holds %q", n.name, got)
			}
		}
	}
}
