package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// makeWork makes the directory that the image is made in, below $TMPDIR or
// /var/tmp: it takes some GiB, and /tmp may be in memory. What a builder that was
// killed left there is removed; a directory is locked for as long as it is used.
func makeWork() (string, error) {
	parent := "/var/tmp"
	if dir := os.Getenv("TMPDIR"); dir != "" {
		parent = dir
	}
	const prefix = "banyan-build-"
	left, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return "", err
	}
	for _, dir := range left {
		if locked, err := lockDir(dir); err != nil || !locked {
			continue // another's
		}
		if err := os.RemoveAll(dir); err != nil {
			return "", fmt.Errorf("remove what a builder left: %w", err)
		}
	}
	work, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return "", err
	}
	_, err = lockDir(work)
	return work, err
}

// lockDir locks a directory for as long as this process runs, unless another has.
func lockDir(dir string) (bool, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err == nil:
		return true, nil // fd stays open: the lock ends with this process
	case errors.Is(err, unix.EWOULDBLOCK):
		return false, unix.Close(fd)
	}
	return false, errors.Join(err, unix.Close(fd))
}

// sourceDate is the time that the image carries: SOURCE_DATE_EPOCH where it is
// set (reproducible-builds.org), else now.
func sourceDate() (time.Time, error) {
	value, ok := os.LookupEnv("SOURCE_DATE_EPOCH")
	if !ok {
		return time.Now(), nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is not a number of seconds: %w", err)
	}
	return time.Unix(seconds, 0), nil
}
