//go:build lab

package lab

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"banyan/tests/ledger"
)

// openLedger starts a client at a site that writes to whichever node leads.
func (c *cluster) openLedger(site int) *ledger.Client {
	c.t.Helper()
	from := c.sites[site]
	var places []ledger.Connect
	for _, n := range c.databases() {
		places = append(places, func(ctx context.Context) (ledger.Conn, error) { return c.connect(ctx, from, n) })
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), checkTime)
	defer cancel()
	conn, err := c.connect(ctx, from, c.leader())
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
	return client
}

// connect connects to a node that takes writes.
func (c *cluster) connect(ctx context.Context, from *network, n *node) (*pgx.Conn, error) {
	config, err := c.minted.PostgreSQL(from.dial, net.JoinHostPort(n.addr.Addr().String(), "5432"))
	if err != nil {
		return nil, err
	}
	config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	return pgx.ConnectConfig(ctx, config)
}

// survives does something to a cluster to which a client writes. Nodes that are left have
// to settle on one leader. There may be no service for recoveryTime, and none of the rows
// that were acknowledged may be gone.
func (c *cluster) survives(what string, l *ledger.Client, left []*node, do func()) {
	c.t.Helper()
	stop := c.watchLeaders()
	began := time.Now()
	do()
	c.writes(l)
	leader := c.settle(left)
	stop()
	outage := l.Log().Outage(began, time.Now())
	c.t.Logf("%s: %s leads, and for %.1f s nothing was written", what, leader.name, outage.Seconds())
	if outage > recoveryTime {
		c.t.Errorf("%s: for %v nothing was written, want %v at most", what, outage, recoveryTime)
	}
	c.checkLedger(what, l)
}

// writes waits until a client writes again.
func (c *cluster) writes(l *ledger.Client) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), recoveryTime+time.Minute) // by then it is told how long it took
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
	leader := c.leader()
	conn, err := c.connect(ctx, leader.network, leader)
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
