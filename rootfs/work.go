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
func makeWork() (work string, lock *os.File, err error) {
	parent := "/var/tmp"
	if dir := os.Getenv("TMPDIR"); dir != "" {
		parent = dir
	}
	const prefix = "banyan-build-"
	left, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return "", nil, err
	}
	for _, dir := range left {
		lock, err := lockDir(dir)
		if err != nil || lock == nil {
			continue // another's
		}
		if err := errors.Join(os.RemoveAll(dir), lock.Close()); err != nil {
			return "", nil, fmt.Errorf("remove what a builder left: %w", err)
		}
	}
	if work, err = os.MkdirTemp(parent, prefix); err != nil {
		return "", nil, err
	}
	lock, err = lockDir(work)
	return work, lock, err
}

// lockDir locks a directory until what it returns is closed. That is nil where
// another has the lock.
func lockDir(dir string) (lock *os.File, err error) {
	if lock, err = os.Open(dir); err != nil {
		return nil, err
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, lock.Close()
	}
	return nil, errors.Join(err, lock.Close())
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
