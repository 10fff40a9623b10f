package converge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"banyan/internal/disk"
	"banyan/internal/durable"
)

// MountPoint is the directory that a volume is mounted at by a unit of its own. While
// nothing is mounted there it is empty and immutable (chattr(1)), so that nothing is
// written to the wrong disk.
type MountPoint struct {
	Path string
	On   string // see Directory
}

// ID is "mount point" and its path.
func (p MountPoint) ID() string { return "mount point " + p.Path }

// Diff looks at what is there while nothing is mounted.
func (p MountPoint) Diff(_ context.Context, m Machine, _ Changed) (Difference, error) {
	if p.On != "" && !m.Live {
		return Difference{}, nil
	}
	path := m.path(p.Path)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Difference{What: "create"}, nil
	}
	if err != nil {
		return Difference{}, err
	}
	if !info.IsDir() {
		return Difference{}, errors.New("is not a directory: move it away")
	}
	mounted, err := isMounted(path)
	if err != nil || mounted {
		return Difference{}, err
	}
	if file, err := firstFile(path); err != nil || file != "" {
		if err == nil {
			err = fmt.Errorf("holds %s and more, perhaps, which the volume would hide: move it onto the volume by hand, or take the volume out of the seed", file)
		}
		return Difference{}, err
	}
	closed, err := disk.IsImmutable(path)
	if err != nil || closed {
		return Difference{}, err
	}
	can, err := disk.HasAttributes(path)
	if err != nil || !can {
		return Difference{}, err // such a file system does without
	}
	return Difference{What: "make immutable"}, nil
}

// Apply makes the directory, and makes it immutable.
func (p MountPoint) Apply(_ context.Context, m Machine, _ Changed) error {
	path := m.path(p.Path)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	if err := disk.MakeImmutable(path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// isMounted tells whether something is mounted on a directory, which is then on another
// file system than its parent.
func isMounted(path string) (bool, error) {
	var here, above unix.Stat_t
	if err := errors.Join(unix.Stat(path, &here), unix.Stat(filepath.Dir(path), &above)); err != nil {
		return false, err
	}
	return here.Dev != above.Dev, nil
}

// firstFile is a file below dir, or "" where there are directories alone.
func firstFile(dir string) (string, error) {
	found := ""
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		found = path
		return fs.SkipAll
	})
	return found, err
}
