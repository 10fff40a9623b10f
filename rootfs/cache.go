package rootfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Cache keeps what building needs again: base trees, packages and the archives'
// lists. One builder at a time has it.
type Cache struct {
	dir  string
	lock *os.File
}

// What is in a cache: debs/FILE.deb, lists/PROFILE/ and trees/SUITE-KEY/. The
// tag tells a cache from a directory of somebody's and keeps it out of backups:
// https://bford.info/cachedir/.
const (
	cacheTag     = "CACHEDIR.TAG"
	cacheTagText = "Signature: 8a477f597d28d172789f06886806bc55\n# What Banyan's builder downloaded and made; `build cache clear` empties it.\n"
	cacheLock    = "lock"
	unfinished   = ".unfinished" // ends the name of what is being made or removed
)

var cacheParts = []struct{ dir, kind, pattern string }{
	{"trees", "tree", "*"}, {"lists", "lists", "*"}, {"debs", "package", "*.deb"},
}

// markUsed makes something in a cache what was used last.
func markUsed(path string) error {
	now := time.Now()
	return os.Chtimes(path, now, now)
}

// OpenCache opens the cache in dir, which it makes where there is none. Where
// another has the cache it calls onBusy, and waits until it is free or ctx ends.
func OpenCache(ctx context.Context, dir string, onBusy func()) (*Cache, error) {
	if dir == "" {
		return nil, errors.New("there is no place for a cache, since HOME is not set: name one with --cache")
	}
	dir, err := filepath.Abs(dir) // apt and the programs in the tree are elsewhere
	if err != nil {
		return nil, err
	}
	if err := makeCache(dir); err != nil {
		return nil, fmt.Errorf("open the cache: %w: choose another with --cache", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, cacheLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the cache: %w: choose another with --cache", err)
	}
	if err := take(ctx, lock, onBusy); err != nil {
		return nil, err
	}
	// Whoever made these is gone.
	if err := removeAll(dir, "*/*"+unfinished); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &Cache{dir: dir, lock: lock}, nil
}

func makeCache(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	// Root must not run what a user may change, and ids mean something else in a user namespace.
	if info, err := os.Stat(dir); err != nil {
		return err
	} else if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is somebody else's", dir)
	}
	tag := filepath.Join(dir, cacheTag)
	switch content, err := os.ReadFile(tag); {
	case err == nil && string(content) != cacheTagText:
		return fmt.Errorf("%s is the cache of something else", dir)
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s holds something else", dir)
	default:
		if err := writeFile(tag, cacheTagText, 0o644); err != nil {
			return err
		}
	}
	for _, part := range cacheParts {
		// A tree holds outdated set-user-ID programs, which no user may reach.
		if err := os.MkdirAll(filepath.Join(dir, part.dir), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// take locks a file, or closes it.
func take(ctx context.Context, lock *os.File, onBusy func()) error {
	err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return nil
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return errors.Join(err, lock.Close())
	}
	onBusy()
	taken := make(chan error)
	go func() {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX)
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
		select {
		case taken <- err:
		case <-ctx.Done(): // nobody waits any more
			_ = lock.Close()
		}
	}()
	select {
	case err := <-taken:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close lets another have the cache.
func (c *Cache) Close() error { return c.lock.Close() }

func (c *Cache) path(names ...string) string {
	return filepath.Join(append([]string{c.dir}, names...)...)
}

// Entry is one thing in a cache.
type Entry struct {
	Kind  string    `json:"kind"` // "tree", "lists" or "package"
	Name  string    `json:"name"`
	Bytes int64     `json:"bytes"` // on the disk
	Used  time.Time `json:"used"`  // last
	path  string
}

// List lists what is in the cache, what was used last first.
func (c *Cache) List() ([]Entry, error) {
	entries := []Entry{}
	for _, part := range cacheParts {
		names, err := filepath.Glob(c.path(part.dir, part.pattern))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil {
				return nil, err
			}
			bytes, err := treeSize(name)
			if err != nil {
				return nil, err
			}
			entries = append(entries, Entry{part.kind, filepath.Base(name), bytes, info.ModTime(), name})
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(b.Used.Compare(a.Used), strings.Compare(a.Name, b.Name))
	})
	return entries, nil
}

// Clear empties the cache and returns how many bytes that freed.
func (c *Cache) Clear() (freed int64, err error) {
	entries, err := c.List()
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		freed += e.Bytes
	}
	if err := discard(entries); err != nil {
		return 0, err
	}
	for _, part := range cacheParts { // what is left is no entry, such as what apt broke off
		if err := removeAll(c.path(part.dir), "*"); err != nil {
			return 0, err
		}
	}
	return freed, nil
}

// discard removes entries. One whose removal is broken off does not have its name any more.
func discard(entries []Entry) error {
	for _, e := range entries {
		if err := os.Rename(e.path, e.path+unfinished); err != nil {
			return err
		}
		if err := os.RemoveAll(e.path + unfinished); err != nil {
			return err
		}
	}
	return nil
}

// bound removes what was used longest ago until the cache takes no more than
// limit bytes. What was used since a time stays, however large.
func (c *Cache) bound(limit int64, since time.Time) error {
	entries, err := c.List()
	if err != nil {
		return err
	}
	return discard(surplus(entries, limit, since))
}

// surplus is what of the entries, the last used of which is first, has to go.
func surplus(entries []Entry, limit int64, since time.Time) []Entry {
	var total int64
	for _, e := range entries {
		total += e.Bytes
	}
	var gone []Entry
	for _, e := range slices.Backward(entries) {
		if total <= limit || !e.Used.Before(since) {
			break
		}
		total -= e.Bytes
		gone = append(gone, e)
	}
	return gone
}
