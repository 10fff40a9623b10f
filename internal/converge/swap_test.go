package converge

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// isSwap makes sure that a file could be swapped to, and is all there.
func isSwap(t *testing.T, path string, size int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	if info.Size() != size || info.Mode() != 0o600 || stat.Blocks*512 < size {
		t.Errorf("%d bytes in %d blocks, %v", info.Size(), stat.Blocks, info.Mode())
	}
	if what := do(t, "blkid", "--probe", "--output", "value", "--match-tag", "TYPE", path); what != "swap" {
		t.Errorf("it is %s", what)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("beside it are %v, %v", files, err)
	}
}

func TestSwapFile(t *testing.T) {
	m := liveMachine(t)
	s := SwapFile{Path: "/var/swapfile"}
	path := m.path(s.Path)
	write(t, m.path("/proc/swaps"), "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/var/swapfile                           file\t\t1020\t\t0\t\t-2\n")
	if err := os.Mkdir(m.path("/var"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		size  int64
		spoil func() error // what happened to it before
		want  string       // "" is no change
	}{
		{0, nil, ""},
		{2 << 20, nil, "create with 2 MiB"},
		{2 << 20, nil, ""},
		{4 << 20, nil, "change 2 MiB to 4 MiB"},
		{1 << 20, nil, "change 4 MiB to 1 MiB"},
		{1 << 20, func() error { return os.WriteFile(path, make([]byte, 1<<20), 0o600) }, "make anew with 1 MiB"},
		{1 << 20, func() error { return os.Truncate(path, 100) }, "make anew with 1 MiB"},
		{1 << 20, func() error { return os.Chmod(path, 0o640) }, "make anew with 1 MiB"},
		// The power fails before the new one has its name.
		{1 << 20, func() error { return os.Rename(path, unfinished(path)) }, "create with 1 MiB"},
		{2 << 20, func() error { return os.WriteFile(unfinished(path), make([]byte, 3<<20), 0o644) }, "change 1 MiB to 2 MiB"},
		{0, func() error { return os.Rename(path, unfinished(path)) }, "remove what an interrupted run left"},
		{0, nil, ""},
		{1 << 20, nil, "create with 1 MiB"},
		{0, func() error { return os.WriteFile(unfinished(path), nil, 0o600) }, "remove"},
	} {
		if c.spoil != nil {
			if err := c.spoil(); err != nil {
				t.Fatal(err)
			}
		}
		s.Size = c.size
		if got := changes(apply(t, Machine{Root: m.Root}, s)); len(got) > 0 {
			t.Errorf("off line: %q", got)
		}
		want := ""
		if c.want != "" {
			want = "/var/swapfile: " + c.want
		}
		for _, want := range []string{want, ""} {
			if got := strings.Join(changes(apply(t, m, s)), "\n"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		if s.Size > 0 {
			isSwap(t, path, s.Size)
		} else if files, err := os.ReadDir(m.path("/var")); err != nil || len(files) > 0 {
			t.Errorf("there are %v, %v", files, err)
		}
	}
}

// What cannot be made leaves nothing; the disk is full enough.
func TestSwapFileDoesNotFit(t *testing.T) {
	m := liveMachine(t)
	if err := os.Mkdir(m.path("/var"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", m.path("/var"), "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(m.path("/var"), 0); err != nil {
			t.Error(err)
		}
	}()
	_, err := Apply(t.Context(), m, one(SwapFile{"/var/swapfile", 2 << 20}), nil)
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "/var/swapfile: allocate 2 MiB: ") {
		t.Errorf("the error is %v", err)
	}
	_, err = Apply(t.Context(), m, one(SwapFile{"/var/swapfile", 4096}), nil)
	if err == nil || !strings.Contains(err.Error(), "mkswap: exit status 1: ") {
		t.Errorf("the error is %v", err)
	}
	if files, err := os.ReadDir(m.path("/var")); err != nil || len(files) > 0 {
		t.Errorf("there are %v, %v", files, err)
	}
}

func TestSwapFileIsNoFile(t *testing.T) {
	for name, mk := range map[string]func(path string) error{
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":      func(path string) error { return os.Symlink("/dev/sda", path) },
		"a pipe":      func(path string) error { return unix.Mkfifo(path, 0o600) },
	} {
		m := liveMachine(t)
		if err := mk(m.path("/swapfile")); err != nil {
			t.Fatal(err)
		}
		for _, size := range []int64{0, 1 << 20} {
			if _, err := Apply(t.Context(), m, one(SwapFile{"/swapfile", size}), nil); err == nil || !strings.Contains(err.Error(), "/swapfile: is no file: move it away") {
				t.Errorf("%s, %d bytes: %v", name, size, err)
			}
		}
	}
}

// One that is swapped to is given up first, and stays where that fails: this one is not
// really in use.
func TestSwapFileInUse(t *testing.T) {
	m := liveMachine(t)
	path := m.path("/swapfile")
	write(t, m.path("/proc/swaps"), "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"+path+" file\t\t1020\t\t0\t\t-2\n")
	write(t, path, "old")
	for _, size := range []int64{0, 1 << 20} {
		if _, err := Apply(t.Context(), m, one(SwapFile{"/swapfile", size}), nil); err == nil || !strings.Contains(err.Error(), "swapoff: ") {
			t.Errorf("the error is %v", err)
		}
	}
	if got := content(t, path); got != "old" {
		t.Errorf("it holds %q", got)
	}
}
