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
	dir, err := os.Open(path)
	if err != nil {
		return Difference{}, err
	}
	defer dir.Close()
	mounted, err := isMountedOn(dir)
	if err != nil || mounted {
		return Difference{}, err
	}
	if file, err := firstFile(path); err != nil || file != "" {
		if err == nil {
			err = fmt.Errorf("holds %s and more, perhaps, which the volume would hide: move it onto the volume by hand, or take the volume out of the seed", file)
		}
		return Difference{}, err
	}
	closed, can, err := disk.IsImmutable(dir)
	if err != nil || closed || !can { // a file system without attributes does without
		return Difference{}, err
	}
	return Difference{What: "make immutable"}, nil
}

// Apply makes the directory, and makes it immutable. Should it be mounted on meanwhile, it
// is not the volume that becomes so.
func (p MountPoint) Apply(_ context.Context, m Machine, _ Changed) error {
	path := m.path(p.Path)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	mounted, err := isMountedOn(dir)
	if err != nil || mounted {
		return err
	}
	if _, can, err := disk.IsImmutable(dir); err != nil || !can {
		return err
	}
	if err := disk.MakeImmutable(dir); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// isMountedOn tells whether an open directory is what is mounted on its path, and so on
// another file system than its parent.
func isMountedOn(dir *os.File) (bool, error) {
	var here, above unix.Stat_t
	if err := errors.Join(unix.Fstat(int(dir.Fd()), &here), unix.Stat(filepath.Dir(dir.Name()), &above)); err != nil {
		return false, err
	}
	return here.Dev != above.Dev, nil
}

// MountedFrom is that a directory has the file system of that disk mounted, and not one of
// the same UUID or label on another.
type MountedFrom struct{ Path, Device string }

// ID is "mount" and the directory's path.
func (f MountedFrom) ID() string { return "mount " + f.Path }

// Diff compares numbers of devices, on a live machine where the directory is mounted by
// now; nothing can be done about another.
func (f MountedFrom) Diff(_ context.Context, m Machine, _ Changed) (Difference, error) {
	if !m.Live {
		return Difference{}, nil
	}
	dir, err := os.Open(m.path(f.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return Difference{}, nil
	}
	if err != nil {
		return Difference{}, err
	}
	defer dir.Close()
	if mounted, err := isMountedOn(dir); err != nil || !mounted {
		return Difference{}, err
	}
	var here, disk unix.Stat_t
	if err := errors.Join(unix.Fstat(int(dir.Fd()), &here), unix.Stat(f.Device, &disk)); err != nil {
		return Difference{}, err
	}
	if here.Dev != disk.Rdev {
		return Difference{}, fmt.Errorf("device %d:%d is mounted at %s, and not %s: two disks have one UUID or label; see lsblk -o NAME,UUID,LABEL, and take the wrong one away",
			unix.Major(here.Dev), unix.Minor(here.Dev), f.Path, f.Device)
	}
	return Difference{}, nil
}

// Apply is never called.
func (f MountedFrom) Apply(context.Context, Machine, Changed) error { return nil }

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
