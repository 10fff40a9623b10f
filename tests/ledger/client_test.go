package ledger

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// server is a PostgreSQL of one table. It crashes in the middle of every third row: what
// it has not said may be there nevertheless.
type server struct {
	mu     sync.Mutex
	rows   []int64
	writes int
}

var (
	errCrash   = errors.New("the server closed the connection unexpectedly")
	errRefused = errors.New("connection refused")
)

func (s *server) connect(context.Context) (Conn, error) { return s, nil }

func (s *server) Exec(_ context.Context, _ string, args ...any) (pgconn.CommandTag, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if number, ok := args[0].(int64); ok && s.writes%6 != 0 {
		s.rows = append(s.rows, number)
	}
	if s.writes%3 == 0 {
		return pgconn.CommandTag{}, errCrash
	}
	return pgconn.CommandTag{}, nil
}

func (s *server) Close(context.Context) error { return nil }

func refuse(context.Context) (Conn, error) { return nil, errRefused }

// A client goes on, at one place or another, and notes what was acknowledged and nothing else.
func TestClient(t *testing.T) {
	s := new(server)
	c := Start(refuse, s.connect)
	var began time.Time
	for range 5 {
		began = time.Now()
		if err := c.Wait(t.Context(), began); err != nil {
			t.Fatal(err)
		}
	}
	log := c.Stop()
	if last := log[len(log)-1]; len(log) < 5 || last.Sent.Before(began) || last.At.Before(last.Sent) {
		t.Errorf("the log is %v", log)
	}
	if lost := log.Lost(s.rows); lost != nil {
		t.Errorf("%v are noted, and the server never acknowledged %v", log, lost)
	}
	slices.Sort(s.rows)
	if once := slices.Compact(slices.Clone(s.rows)); len(once) != len(s.rows) || len(log) >= len(s.rows) {
		t.Errorf("the rows %v are there, want each once, and more than the %d that were acknowledged", s.rows, len(log))
	}
}

// Whoever waits is told why nothing comes.
func TestNoService(t *testing.T) {
	c := Start(refuse)
	defer c.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 5*pace)
	defer cancel()
	if err := c.Wait(ctx, time.Now()); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errRefused) {
		t.Errorf("got %v", err)
	}
}
