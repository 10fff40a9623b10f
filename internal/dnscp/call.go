package dnscp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"banyan/internal/dnscp/config"
)

// Run does what a callback is for. Where a guard runs it is woken, and knows better than a
// call that may be late what is to be done; the error then is what it could not do. Else
// the work is done here, with the privileges of this process.
func (c Call) Run(ctx context.Context, log *slog.Logger) error {
	answer, absent, err := wakeGuard(ctx)
	if absent {
		return c.alone(ctx, log)
	}
	if err == nil {
		log.Debug("the guard has looked", "patroni", answer.Standing, "holds", answer.Holds)
	}
	return err
}

// BeforeStop has the VIPs go before PostgreSQL stops. Without a guard those in vips, separated
// by commas, are removed here, unless Patroni says that this host goes on leading.
func BeforeStop(ctx context.Context, vips string, log *slog.Logger) error {
	answer, absent, err := wakeGuard(ctx)
	switch {
	case absent && vips == "":
		return errors.New("no guard runs on this host: name the VIPs by --vips")
	case absent:
		c := Call{Action: "on_stop"}
		if c.VIPs, err = parseVIPs(vips); err != nil {
			return err
		}
		return c.alone(ctx, log)
	case len(answer.Holds) > 0:
		log.Info("the VIPs stay, since Patroni stops no leader for good", "patroni", answer.Standing, "holds", answer.Holds)
	}
	return err
}

// wakeGuard wakes the guard; absent is that this host is to have none. A host whose guard is
// only down does not do its work: it would leave a VIP that the guard does not know of.
func wakeGuard(ctx context.Context) (a answer, absent bool, err error) {
	a, err = wakeUp(ctx, Socket)
	switch {
	case errors.Is(err, errNoGuard) && hasGuard():
		return a, false, fmt.Errorf("%w, and is to: systemctl start dnscp.socket dnscp.service", err)
	case errors.Is(err, errNoGuard):
		return a, true, nil
	case err == nil && a.Error != "":
		err = errors.New(a.Error)
	}
	return a, false, err
}

// hasGuard tells whether this host is to have a guard.
func hasGuard() bool {
	_, err := os.Stat(config.File)
	return !errors.Is(err, fs.ErrNotExist)
}
