package flow

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/status"
)

// lock lets one process at a time change this machine: the unit that plants, the
// unit that runs at every boot, and a person who types the same. It waits for
// its turn; the lock goes with the process that holds it.
func lock(ctx context.Context) (unlock func(), err error) {
	path := filepath.Join(filepath.Dir(status.Path), "lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	unlock = func() { _ = f.Close() } // which is what unlocks; nothing was written

	again := time.NewTicker(time.Second)
	defer again.Stop()
	for first := true; ; first = false {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return unlock, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			unlock()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if first {
			log.Print("waiting for another firstboot that is at work")
		}
		select {
		case <-ctx.Done():
			unlock()
			return nil, context.Cause(ctx)
		case <-again.C:
		}
	}
}

// runUnit runs firstboot at each boot.
const runUnit = "banyan-firstboot.service"

// takeOver ends the run of that unit, which would keep the lock for as long as there is no
// etcd, and has it run anew at the end, however that comes.
func takeOver(ctx context.Context) (done func() error, err error) {
	begin := func() error { return startRun(context.WithoutCancel(ctx)) }
	if _, err := command.Run(ctx, "systemctl", "stop", runUnit); err != nil {
		return nil, errors.Join(err, begin())
	}
	unlock, err := lock(ctx)
	if err != nil {
		return nil, errors.Join(err, begin())
	}
	return func() error {
		unlock()
		return begin()
	}, nil
}
