package flow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"banyan/internal/disk"
	"banyan/seeds"
)

// redactOwnPartition takes the secrets of the seeds that are kept here, the sealed
// one and a staged one, off the BANYAN partition of the disk that was booted, where
// they still are. An encrypted seed stays as it is: it keeps its secrets by itself.
func redactOwnPartition(ctx context.Context, node string) error {
	own, err := ownVolume()
	if err != nil || own == nil {
		return err
	}
	var kept []keptSeed
	for _, name := range []string{sealedSeed, stagedSeed} {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) && name == stagedSeed {
			continue
		}
		if err != nil {
			return err
		}
		redacted, err := seeds.Redacted(data, node)
		if err != nil {
			return err
		}
		kept = append(kept, keptSeed{data, redacted})
	}
	// Mounted, which is for writing, only where there is something to write.
	files, err := disk.Files(ctx, *own)
	if err != nil {
		return err
	}
	needed := false
	err = eachSeed(files, func(_ string, data []byte) error {
		without, err := withoutSecrets(data, node, kept)
		needed = needed || !bytes.Equal(data, without)
		return err
	})
	if err != nil || !needed {
		return err
	}
	return disk.Mounted(own.Device, own.Filesystem, disk.ReadWrite, func(dir string) error {
		return eachSeed(os.DirFS(dir), func(name string, data []byte) error {
			without, err := withoutSecrets(data, node, kept)
			if err != nil || bytes.Equal(data, without) {
				return err
			}
			if err := overwrite(filepath.Join(dir, name), without); err != nil {
				return fmt.Errorf("remove the secrets from %s on %s: %w", name, own.Device, err)
			}
			return nil
		})
	})
}

// eachSeed calls do with each file that a person would call a seed, and its path.
func eachSeed(files fs.FS, do func(name string, data []byte) error) error {
	return fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && name != "." && !strings.EqualFold(name, seeds.Folder) {
			return fs.SkipDir
		}
		if !seeds.MayBeSeed(name) || !e.Type().IsRegular() {
			return nil
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return do(name, data)
	})
}

// sector is what a power cut leaves whole.
const sector = 512

// keptSeed is a seed that this machine keeps, and how it may stay where it was.
type keptSeed struct{ data, redacted []byte }

// begun tells whether data is what a power cut left of the redaction of a seed that is
// kept: its first sector is redacted, and each other one is as it was or as it is to be.
// What somebody has edited since is not that.
func (k keptSeed) begun(data []byte) bool {
	longer := func(text []byte, by string) []byte {
		return append(bytes.Clone(text), bytes.Repeat([]byte(by), max(0, len(data)-len(text)))...)
	}
	before, after := longer(k.data, "\x00"), longer(k.redacted, "\n") // a file that grew has zeros until they are written over
	if !bytes.HasPrefix(data, k.redacted[:min(sector, len(k.redacted))]) {
		return false
	}
	for i := sector; i < len(data); i += sector {
		part := data[i:min(i+sector, len(data))]
		if !bytes.HasPrefix(after[i:], part) && !bytes.HasPrefix(before[i:], part) {
			return false
		}
	}
	return true
}

// withoutSecrets is what is to stand in place of data: of a kept seed, or of one
// whose redaction a power cut has ended, the redacted one; of another valid seed
// which holds one of the same secrets that itself, redacted; of what is no seed
// itself, with asterisks for those secrets.
func withoutSecrets(data []byte, node string, kept []keptSeed) ([]byte, error) {
	if seeds.IsEncrypted(data) {
		return data, nil
	}
	_, invalid := seeds.Parse("seed", data)
	without := data
	for _, k := range kept {
		if bytes.Equal(data, k.data) || k.begun(data) {
			return k.redacted, nil
		}
		if invalid == nil { // asterisks would be its passwords
			shared, err := seeds.ShareSecret(data, k.data)
			if err != nil {
				return nil, err
			}
			if shared {
				return seeds.Redacted(data, node)
			}
			continue
		}
		var err error
		if without, err = seeds.Scrub(without, k.data); err != nil {
			return nil, err
		}
	}
	return without, nil
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
