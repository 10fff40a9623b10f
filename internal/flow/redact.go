package flow

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"banyan/internal/disk"
	"banyan/seeds"
)

// redactOwnPartition takes the secrets of the sealed seed off the BANYAN
// partition of the disk that was booted, if they are still there.
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
	var needed bool
	names := []string{"seed.yaml", "seed.yml"} // FAT has no case
	err = disk.Mounted(own.Device, own.Filesystem, disk.ReadOnly, func(dir string) error {
		for _, name := range names {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			needed = needed || holdsSecrets(data, sealed, redacted)
		}
		return nil
	})
	if err != nil || !needed {
		return err
	}
	return disk.Mounted(own.Device, own.Filesystem, disk.ReadWrite, func(dir string) error {
		for _, name := range names {
			if err := redact(filepath.Join(dir, name), sealed, redacted); err != nil {
				return fmt.Errorf("remove the secrets from %s on %s: %w", name, own.Device, err)
			}
		}
		return nil
	})
}

// holdsSecrets tells the sealed seed itself, and one whose redaction a power cut
// ended, from one that is redacted and from another seed, which is not ours to touch.
func holdsSecrets(data, sealed, redacted []byte) bool {
	return bytes.Equal(data, sealed) || seeds.IsPlanted(data) && !bytes.Equal(data, redacted)
}

// redact overwrites the seed in place, on the sectors that hold the secrets.
// What says that it was planted is written first, within one sector, so that
// after a power cut the rest is known to be ours to finish.
func redact(path string, sealed, redacted []byte) (err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !holdsSecrets(data, sealed, redacted) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()

	const sector = 512
	padding := bytes.Repeat([]byte("\n"), max(0, len(data)-len(redacted)))
	content := append(bytes.Clone(redacted), padding...)
	first := min(sector, len(content))
	if _, err := f.WriteAt(content[:first], 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if _, err := f.WriteAt(content[first:], int64(first)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(redacted))); err != nil {
		return err
	}
	return f.Sync()
}
