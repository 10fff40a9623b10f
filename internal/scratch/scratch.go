// Package scratch makes directories for what is not whole yet. One is locked for as
// long as it is used, so that whoever makes the next removes what a killed process left,
// and nothing that is in use.
package scratch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Make makes a directory below parent whose name begins with prefix, and removes those
// of that prefix that nobody uses any more. It is for the caller to remove it, and
// then to close its lock.
func Make(parent, prefix string) (dir string, lock *os.File, err error) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return "", nil, err
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		left := filepath.Join(parent, e.Name())
		lock, err := Lock(left)
		if err != nil || lock == nil {
			continue // another's
		}
		if err := errors.Join(os.RemoveAll(left), lock.Close()); err != nil {
			return "", nil, fmt.Errorf("remove what was left by a process that was killed: %w", err)
		}
	}
	if dir, err = os.MkdirTemp(parent, prefix); err != nil {
		return "", nil, err
	}
	lock, err = Lock(dir)
	return dir, lock, err
}

// Lock locks a directory until what it returns is closed. That is nil where another
// has the lock.
func Lock(dir string) (lock *os.File, err error) {
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
