package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Access is how a volume is mounted.
type Access uintptr

// Ways to mount a volume. Nothing on it is run, and no device on it is one.
const (
	ReadOnly  = Access(unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	ReadWrite = Access(unix.MS_SYNCHRONOUS | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
)

// Mounted mounts a volume on a directory of its own while f runs.
func Mounted(device, filesystem string, access Access, f func(dir string) error) (err error) {
	dir, err := os.MkdirTemp("/run", "banyan-mount-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	if err := unix.Mount(device, dir, filesystem, uintptr(access), ""); err != nil {
		return fmt.Errorf("mount %s as %s: %w", device, filesystem, err)
	}
	defer func() {
		if unmount := unix.Unmount(dir, 0); unmount != nil {
			err = errors.Join(err, fmt.Errorf("unmount %s: %w", device, unmount))
		}
	}()
	return f(dir)
}
