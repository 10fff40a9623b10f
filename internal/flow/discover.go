package flow

import (
	"context"
	"errors"
	"io/fs"
	"log"
	"slices"
	"time"

	"filippo.io/age"

	"banyan/internal/disk"
	"banyan/internal/facts"
	"banyan/internal/initramfs"
	"banyan/internal/node"
	"banyan/internal/source"
	"banyan/internal/status"
	"banyan/seeds"
)

const (
	// lookEvery is how long a person who inserted a stick may have to wait.
	lookEvery = 3 * time.Second
	// patience is how long a seed that is named by its URL comes before all others.
	patience = time.Minute
)

// search makes ready for looking for a seed of a node of that name, or of any.
func search(name string, f facts.Facts) (seeds.Search, error) {
	key, err := seeds.AcceptedKey("/")
	if err != nil {
		return seeds.Search{}, err
	}
	return seeds.Search{Machine: f.Machine(), Node: name, Key: key, Fits: func(seed *seeds.Seed, self seeds.Node) error {
		if _, err := node.Desired(*seed, self, f); err != nil {
			return err
		}
		return node.Check(*seed, self, f)
	}}, nil
}

// places are those of this machine, at this moment.
func places(ctx context.Context, fetch func(context.Context, source.Named) ([]byte, error)) ([]seeds.Place, error) {
	own, err := ownVolume()
	if err != nil {
		return nil, err
	}
	volumes, err := disk.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	return source.Machine{Root: "/", Own: own, Volumes: volumes, Open: disk.Files, Fetch: fetch}.Places(ctx), nil
}

// unsealed is the outcome of the last place, which Discover does not look at.
var unsealed = seeds.Outcome{Source: "sealed seed", Reason: "not present"}

// await looks at every place until one has a seed, and says what it saw whenever
// that has changed. It ends without one when somebody else has planted this machine.
func await(ctx context.Context) (*seeds.Found, []seeds.Outcome, error) {
	if err := lease(ctx); err != nil {
		return nil, nil, err
	}
	key, err := seeds.AcceptedKey("/")
	if err != nil {
		return nil, nil, err
	}
	fetcher := &source.Fetcher{Signed: key != nil, Patience: patience}
	asked := newAsker(ctx, question)
	defer asked.stop()
	report := status.Report{State: status.Waiting, Started: time.Now()}
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for first := true; ; first = false {
		if done, err := isPlanted(); done || err != nil {
			return nil, nil, err
		}
		found, locked, outcomes, err := lookOnce(ctx, fetcher, asked.identities())
		if err != nil {
			return nil, nil, err
		}
		if done, err := isPlanted(); done || err != nil { // while it was looked, and that is reported already
			return nil, nil, err
		}
		if first || !slices.Equal(outcomes, report.Sources) {
			report.Sources, report.Updated = outcomes, time.Now()
			if err := status.Write(status.Path, report); err != nil {
				return nil, nil, err
			}
			for _, o := range outcomes {
				log.Printf("looked for a seed: %s: %s", o.Source, o.Reason)
			}
			if found == nil {
				show(ctx, status.Summary(report, status.Live{}))
			}
		}
		if found != nil {
			return found, outcomes, nil
		}
		asked.ask(locked) // below what was shown
		select {
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		case <-again.C:
		case <-asked.answered:
		}
	}
}

// lookOnce looks at every place once. locked tells of a seed that waits for its
// passphrase.
func lookOnce(ctx context.Context, fetcher *source.Fetcher, identities []age.Identity) (found *seeds.Found, locked bool, outcomes []seeds.Outcome, err error) {
	f, err := gatherFacts()
	if err != nil {
		return nil, false, nil, err
	}
	s, err := search("", f)
	if err != nil {
		return nil, false, nil, err
	}
	all, err := places(ctx, fetcher.Fetch)
	if err != nil {
		return nil, false, nil, err
	}
	s.Identities = identities
	found, locked, outcomes = s.Discover(all)
	return found, locked, append(outcomes, unsealed), nil
}

// ownVolume is the BANYAN partition of the disk that was booted, or nil on a
// host that is not an image's.
func ownVolume() (*disk.Volume, error) {
	boot, err := initramfs.ReadBoot()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	partition, err := disk.Find(boot.Disk, seeds.PartitionName)
	if err != nil {
		return nil, err
	}
	return &disk.Volume{Device: partition.Device, Label: seeds.PartitionName, Filesystem: "vfat"}, nil
}
