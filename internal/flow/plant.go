package flow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"slices"
	"time"

	"banyan/internal/command"
	"banyan/internal/console"
	"banyan/internal/disk"
	"banyan/internal/initramfs"
	"banyan/internal/node"
	"banyan/internal/status"
	"banyan/seeds"
)

const (
	// lookEvery is how long a person who inserted a stick may have to wait.
	lookEvery = 3 * time.Second
	// plantTime is how long it may take until the machine has its configuration.
	plantTime = 5 * time.Minute
)

// Plant looks for a seed until there is one that is valid and fits this
// machine, seals it, applies it and starts banyan-firstboot.service. The sealing
// is the moment of planting: what comes after it the next boot would do as well.
//
// A machine that was planted keeps its seed: what would become of its data?
func Plant(ctx context.Context) error {
	if _, err := os.Stat(sealedSeed); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("this machine was planted already: its seed is %s", sealedSeed))
	}
	found, err := await(ctx)
	if err != nil {
		return err
	}
	log.Printf("planting %s of %s", found.File, found.Place.Source)
	unlock, err := lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := seeds.Seal(sealedSeed, found.Data); err != nil {
		return err
	}
	n, err := compute(*found.Seed)
	if err != nil {
		return err
	}
	r := newReporter()
	r.about(n)
	limited, cancel := context.WithTimeoutCause(ctx, plantTime, fmt.Errorf("not done after %v", plantTime))
	defer cancel()
	applied := r.apply(limited, n.desired)
	// What could not be applied is tried again, and reported, by the unit that runs at every boot.
	_, err = command.Run(ctx, "systemctl", "start", "--no-block", "banyan-firstboot.service")
	return errors.Join(applied, err)
}

// await looks at every place until one has a seed, and says what it saw whenever
// that has changed.
func await(ctx context.Context) (*seeds.Found, error) {
	report := status.Report{State: status.Waiting, Started: time.Now()}
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for first := true; ; first = false {
		found, outcomes, err := discover(ctx)
		if err != nil {
			return nil, err
		}
		if first || !slices.Equal(outcomes, report.Sources) {
			report.Sources, report.Updated = outcomes, time.Now()
			if err := status.Write(status.Path, report); err != nil {
				return nil, err
			}
			for _, o := range outcomes {
				log.Printf("looked for a seed: %s: %s", o.Source, o.Reason)
			}
			if found == nil {
				show(ctx, status.Summary(report, status.Live{}))
			}
		}
		if found != nil {
			return found, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-again.C:
		}
	}
}

// discover looks at every place once.
func discover(ctx context.Context) (*seeds.Found, []seeds.Outcome, error) {
	own, err := ownVolume()
	if err != nil {
		return nil, nil, err
	}
	volumes, err := disk.Volumes(ctx, seeds.VolumeLabels...)
	if err != nil {
		return nil, nil, err
	}
	found, outcomes := seeds.Discover(seeds.Places(own, volumes, mountReadOnly), fits)
	return found, outcomes, nil
}

// fits says why this machine cannot become what the seed says.
func fits(seed *seeds.Seed) error {
	n, err := compute(*seed)
	if err != nil {
		return err
	}
	return node.Check(n.seed, n.self, n.facts)
}

// ownVolume is the BANYAN partition of the disk that was booted, or nil on a
// host that is not an image's.
func ownVolume() (*seeds.Volume, error) {
	boot, err := initramfs.ReadBoot()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	partition, err := disk.Find(boot.Disk, "BANYAN")
	if err != nil {
		return nil, err
	}
	return &seeds.Volume{Device: partition.Device, Label: "BANYAN", Filesystem: "vfat"}, nil
}

func mountReadOnly(v seeds.Volume, look func(fs.FS)) error {
	return disk.Mounted(v.Device, v.Filesystem, disk.ReadOnly, func(dir string) error {
		look(os.DirFS(dir))
		return nil
	})
}

// show puts text on every console, now and above the login prompt. A console
// that does not show it keeps nothing from its work.
func show(ctx context.Context, text string) {
	if err := errors.Join(console.Announce(text), console.Greet(ctx, status.Screen(text))); err != nil {
		log.Printf("a console does not show the summary: %v", err)
	}
}
