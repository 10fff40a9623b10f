package dnscp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"banyan/internal/dnscp/config"
	"banyan/internal/patroni"
	"banyan/internal/pki"
)

const (
	// pollInterval is how often Patroni is asked while nothing happens; a short hold-down
	// is divided by pollsPerHoldDown instead.
	pollInterval     = time.Second
	pollsPerHoldDown = 8

	// While a promotion goes on, Patroni is asked so often, for so long.
	promotionInterval = 50 * time.Millisecond
	promotionTime     = 10 * time.Second

	// retryInterval is how soon Patroni is asked again when it has not answered.
	retryInterval = 200 * time.Millisecond

	// askTime bounds a question: Patroni asks PostgreSQL first, which may take 2 s.
	askTime = 3 * time.Second
)

// NewPatroni is a client of this host's Patroni.
func NewPatroni(c config.Patroni) (patroni.Client, error) {
	var texts [3]string
	for i, path := range []string{c.CAFile, c.CertFile, c.KeyFile} {
		if path == "" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return patroni.Client{}, err
		}
		texts[i] = string(text)
	}
	trust, err := pki.TLS(texts[0], texts[1], texts[2])
	if err != nil {
		return patroni.Client{}, fmt.Errorf("the files of patroni: %w", err)
	}
	return patroni.New(c.URL, trust), nil
}

// line is the way to Patroni, by what its files say at the moment.
type line struct {
	config config.Patroni
	to     atomic.Pointer[patroni.Client]
}

func (l *line) client() patroni.Client { return *l.to.Load() }

// renew reads the files again.
func (l *line) renew() error {
	client, err := NewPatroni(l.config)
	if err == nil {
		l.to.Store(&client)
	}
	return err
}

// ask asks Patroni who leads.
func ask(ctx context.Context, client patroni.Client, limit time.Duration) observation {
	o := observation{asked: time.Now()}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %v", limit))
	defer cancel()
	if o.status, o.err = client.Status(ctx); o.err != nil {
		o.err = errors.Join(o.err, context.Cause(ctx))
		return o
	}
	o.standing = standingOf(o.status)
	return o
}

// interval is when to ask again after that.
func (h holdDown) interval(o observation, promotingSince time.Time) time.Duration {
	usual := pollInterval
	if d := h.Duration(); d > 0 {
		usual = min(usual, d/pollsPerHoldDown)
	}
	switch {
	case o.standing == silent, o.standing == unlocked:
		return min(usual, retryInterval)
	case o.standing == promoting && o.asked.Sub(promotingSince) < promotionTime:
		return promotionInterval
	}
	return usual
}

// limit is how long a question may take: an answer has to come before the hold-down is over,
// and longer than PostgreSQL's, which Patroni gives 2 s.
func (h holdDown) limit() time.Duration {
	if d := h.Duration(); d > 0 {
		return min(askTime, max(d/2, d-time.Second))
	}
	return askTime
}
