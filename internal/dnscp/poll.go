package dnscp

import (
	"context"
	"errors"
	"fmt"
	"os"
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

	// timesAge is how old what is known of Patroni's times may be.
	timesAge = 30 * time.Second
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

// question is what Patroni is asked.
type question struct {
	limit time.Duration // for each answer
	times bool          // its times too
}

// ask asks Patroni.
func (q question) ask(ctx context.Context, client patroni.Client) observation {
	o := observation{asked: time.Now()}
	bounded := func() (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(ctx, q.limit, fmt.Errorf("no answer within %v", q.limit))
	}
	within, cancel := bounded()
	defer cancel()
	o.status, o.err = client.Status(within)
	if o.err != nil {
		o.err = errors.Join(o.err, context.Cause(within))
		return o
	}
	o.standing = standingOf(o.status)
	if q.times {
		within, cancel := bounded()
		defer cancel()
		if c, err := client.Config(within); err == nil { // what was known of them goes on to count
			times := c.Times()
			o.times = &times
		}
	}
	return o
}

// interval is when to ask again after that.
func (h HoldDown) interval(o observation, promotingSince time.Time) time.Duration {
	usual := pollInterval
	if d := h.Duration(); d > 0 {
		usual = min(usual, d/pollsPerHoldDown)
	}
	switch {
	case o.standing == silent:
		return min(usual, retryInterval)
	case o.standing == promoting && o.asked.Sub(promotingSince) < promotionTime:
		return promotionInterval
	}
	return usual
}

// limit is how long a question may take: a second one has to fit into the hold-down.
func (h HoldDown) limit() time.Duration {
	if d := h.Duration(); d > 0 {
		return min(askTime, d/2)
	}
	return askTime
}
