package dnscp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"banyan/internal/durable"
	"banyan/internal/patroni"
)

const (
	// timesInterval is how often Patroni is asked for its times, which patronictl edit-config
	// changes; timesRetry is when it has not told them.
	timesInterval = 10 * time.Second
	timesRetry    = time.Second
)

// timekeeper asks Patroni for its times, beside the question who leads: where its DCS is away,
// it may answer the one at once and the other late, or never.
type timekeeper struct {
	patroni func() patroni.Client
	times   chan patroni.Times // each that is new
	file    string             // keeps them for the next guard; "" for none
	log     *slog.Logger
}

// newTimekeeper is one that keeps them in the directory that systemd gives the guard.
func newTimekeeper(client func() patroni.Client, log *slog.Logger) *timekeeper {
	k := &timekeeper{patroni: client, times: make(chan patroni.Times), log: log}
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		k.file = filepath.Join(dir, "times.json")
	}
	return k
}

// run asks until the context ends. What the guard before this one was told counts until
// Patroni says otherwise: it may not, while its DCS is away.
func (k *timekeeper) run(ctx context.Context) {
	last, err := k.read()
	if err != nil {
		k.log.Warn("Patroni's times are not known before it tells them", "error", err)
	}
	if last != (patroni.Times{}) && !k.tell(ctx, last) {
		return
	}
	for {
		wait := timesInterval
		switch now, err := askTimes(ctx, k.patroni()); {
		case err != nil:
			wait = timesRetry
		case now != last:
			last = now
			if !k.tell(ctx, now) {
				return
			}
			if err := k.write(now); err != nil {
				k.log.Warn("Patroni's times are not kept for the next guard", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (k *timekeeper) tell(ctx context.Context, t patroni.Times) bool {
	select {
	case k.times <- t:
		return true
	case <-ctx.Done():
		return false
	}
}

// askTimes asks Patroni for its times.
func askTimes(ctx context.Context, client patroni.Client) (patroni.Times, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, fmt.Errorf("no answer within %v", askTime))
	defer cancel()
	s, err := client.Status(ctx) // which has the version, too
	if err != nil {
		return patroni.Times{}, err
	}
	c, err := client.Config(ctx)
	if err != nil {
		return patroni.Times{}, err
	}
	return c.Times(s.Software), nil
}

func (k *timekeeper) read() (patroni.Times, error) {
	if k.file == "" {
		return patroni.Times{}, nil
	}
	content, err := os.ReadFile(k.file)
	if errors.Is(err, fs.ErrNotExist) {
		return patroni.Times{}, nil
	}
	var t patroni.Times
	if err == nil {
		err = json.Unmarshal(content, &t)
	}
	if err != nil {
		return patroni.Times{}, fmt.Errorf("%s: %w", k.file, err)
	}
	return t, nil
}

func (k *timekeeper) write(t patroni.Times) error {
	if k.file == "" {
		return nil
	}
	content, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return durable.WriteFile(k.file, content, 0o644)
}
