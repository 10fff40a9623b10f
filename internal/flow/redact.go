package flow

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"banyan/internal/disk"
	"banyan/seeds"
)

// redactOwnPartition takes the secrets of the sealed seed off the BANYAN
// partition of the disk that was booted, where they still are.
func redactOwnPartition() error {
	own, err := ownVolume()
	if err != nil || own == nil {
		return err
	}
	sealed, err := os.ReadFile(sealedSeed)
	if err != nil {
		return err
	}
	redacted, err := seeds.Redacted(sealed)
	if err != nil {
		return err
	}
	// Mounted for writing only where there is something to write.
	needed := false
	err = disk.Mounted(own.Device, own.Filesystem, disk.ReadOnly, func(dir string) error {
		return eachSeed(dir, func(_ string, data []byte) error {
			without, err := withoutSecrets(data, sealed, redacted)
			needed = needed || !bytes.Equal(data, without)
			return err
		})
	})
	if err != nil || !needed {
		return err
	}
	return disk.Mounted(own.Device, own.Filesystem, disk.ReadWrite, func(dir string) error {
		return eachSeed(dir, func(path string, data []byte) error {
			without, err := withoutSecrets(data, sealed, redacted)
			if err != nil || bytes.Equal(data, without) {
				return err
			}
			if err := overwrite(path, without); err != nil {
				return fmt.Errorf("remove the secrets from %s on %s: %w", filepath.Base(path), own.Device, err)
			}
			return nil
		})
	})
}

func eachSeed(dir string, do func(path string, data []byte) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !seeds.IsSeedName(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := do(path, data); err != nil {
			return err
		}
	}
	return nil
}

// sector is what a power cut leaves whole.
const sector = 512

// withoutSecrets is what is to stand in place of data: of the sealed seed, or of
// one whose redaction a power cut ended after the first sector, the redacted one;
// of any other seed itself, without the secrets that are sealed here.
func withoutSecrets(data, sealed, redacted []byte) ([]byte, error) {
	begun := bytes.HasPrefix(data, redacted[:min(sector, len(redacted))])
	if begun || bytes.Equal(data, sealed) {
		return redacted, nil
	}
	return seeds.Scrub(data, sealed)
}

// overwrite writes a file in place, on the sectors that hold its secrets. The
// first sector, which says of a redacted seed that it is one, is written first,
// so that after a power cut the rest is known to be ours to finish.
func overwrite(path string, content []byte) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	padding := bytes.Repeat([]byte("\n"), max(0, int(info.Size())-len(content)))
	padded := append(bytes.Clone(content), padding...)
	first := min(sector, len(padded))
	if _, err := f.WriteAt(padded[:first], 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if _, err := f.WriteAt(padded[first:], int64(first)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(content))); err != nil {
		return err
	}
	return f.Sync()
}
