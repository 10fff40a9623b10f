package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Conn is a connection to PostgreSQL, such as a [pgx.Conn].
type Conn interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Close(ctx context.Context) error
}

// Connect connects to where the leader may be. A connection to anybody else fails, here
// or at the first row.
type Connect func(context.Context) (Conn, error)

const (
	// pace is the time from one row to the next, and from one attempt to the next.
	pace = 50 * time.Millisecond
	// patience is how long a connection, or a row, may take. What has not come by then is
	// not acknowledged, whatever becomes of it.
	patience = 2 * time.Second
)

// Create makes the table that the rows go to.
func Create(ctx context.Context, conn Conn) error {
	_, err := conn.Exec(ctx, "create table ledger (number bigint primary key, sent timestamptz not null)")
	return err
}

// Rows reads the numbers of all rows that are there.
func Rows(ctx context.Context, conn *pgx.Conn) ([]int64, error) {
	rows, err := conn.Query(ctx, "select number from ledger")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// Client writes rows until it is stopped. Where it cannot it tries the next place again
// and again.
type Client struct {
	places []Connect
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	log     Log
	changed chan struct{} // closed at the next acknowledgement
	err     error         // of the last attempt
}

// Start starts a client that finds the leader at one of the places.
func Start(places ...Connect) *Client {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{places: places, cancel: cancel, done: make(chan struct{}), changed: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.run(ctx)
	}()
	return c
}

func (c *Client) run(ctx context.Context) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var conn Conn
	place := 0
	// A number is never used twice: nobody knows what became of the row.
	for number := int64(1); ; number++ {
		select {
		case <-ctx.Done():
			if conn != nil {
				_ = hangUp(conn) // all that was acknowledged is in the log
			}
			return
		case <-tick.C:
		}
		var err error
		if conn == nil {
			if conn, err = c.dial(ctx, c.places[place%len(c.places)]); err != nil {
				conn = nil // which may be a nil of another type until now
				place++
				c.failed(err)
				continue
			}
		}
		if err := c.write(ctx, conn, number); err != nil {
			c.failed(errors.Join(err, hangUp(conn)))
			conn = nil
			place++
		}
	}
}

func (c *Client) dial(ctx context.Context, connect Connect) (Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return connect(ctx)
}

// write writes a row and notes it.
func (c *Client) write(ctx context.Context, conn Conn, number int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sent := time.Now()
	if _, err := conn.Exec(ctx, "insert into ledger values ($1, $2)", number, sent); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, Commit{number, sent, time.Now()})
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

// hangUp closes a connection whose other end may be gone.
func hangUp(conn Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return conn.Close(ctx)
}

func (c *Client) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// Log is what was acknowledged until now.
func (c *Client) Log() Log {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.log)
}

// Wait waits for the acknowledgement of a row that was sent after some moment.
func (c *Client) Wait(ctx context.Context, after time.Time) error {
	for {
		c.mu.Lock()
		changed, n := c.changed, len(c.log)
		come := n > 0 && c.log[n-1].Sent.After(after)
		c.mu.Unlock()
		if come {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			c.mu.Lock()
			defer c.mu.Unlock()
			return fmt.Errorf("no row was acknowledged: %w; the last attempt failed: %w", context.Cause(ctx), c.err)
		}
	}
}

// Stop ends the client and returns all that was acknowledged.
func (c *Client) Stop() Log {
	c.cancel()
	<-c.done
	return c.Log()
}
