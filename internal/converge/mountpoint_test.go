package converge

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/durable"
)

// mounted mounts a file system on a directory until the test ends.
func mounted(t *testing.T, what, kind, dir string) {
	t.Helper()
	if err := unix.Mount(what, dir, kind, 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := command.Run(context.WithoutCancel(t.Context()), "umount", dir); err != nil {
			t.Error(err)
		}
	})
}

// onDisk is a machine whose root is a file system with attributes.
func onDisk(t *testing.T) Machine {
	t.Helper()
	d := attach(t, 4)
	do(t, "mkfs.ext4", "-q", device(d))
	m := liveMachine(t)
	mounted(t, device(d), "ext4", m.Root)
	return m
}

func isImmutable(t *testing.T, path string) bool {
	t.Helper()
	flags, _, _ := strings.Cut(do(t, "lsattr", "-d", path), " ")
	return strings.Contains(flags, "i")
}

func TestMountPoint(t *testing.T) {
	m := onDisk(t)
	p := MountPoint{Path: "/var/lib/postgresql"}
	path := m.path(p.Path)
	for _, want := range []string{"mount point /var/lib/postgresql: create", ""} {
		if got := strings.Join(changes(apply(t, m, p)), "\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if err := os.WriteFile(filepath.Join(path, "file"), nil, 0o600); !isImmutable(t, path) || err == nil {
		t.Errorf("it takes a file: %v", err)
	}

	// A person undid it, and left directories behind.
	do(t, "chattr", "-i", path)
	if err := os.MkdirAll(filepath.Join(path, "17/main"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"mount point /var/lib/postgresql: make immutable", ""} {
		if got := strings.Join(changes(apply(t, m, p)), "\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	write(t, filepath.Join(path, "17/main/PG_VERSION"), "17\n")
	if _, err := Apply(t.Context(), m, one(p), nil); err == nil || !strings.Contains(err.Error(), "mount point /var/lib/postgresql: holds "+path+"/17/main/PG_VERSION and more, perhaps") {
		t.Errorf("the error is %v", err)
	}

	// What is mounted there may hold files, and is not made immutable.
	d := attach(t, 4)
	do(t, "mkfs.ext4", "-q", device(d))
	mounted(t, device(d), "ext4", path)
	write(t, filepath.Join(path, "17/main/PG_VERSION"), "17\n")
	if got := changes(apply(t, m, p)); len(got) > 0 || isImmutable(t, path) {
		t.Errorf("it is mounted: %q", got)
	}
	// It came to be mounted just now.
	if err := p.Apply(t.Context(), m, nil); err != nil || isImmutable(t, path) {
		t.Errorf("the volume is immutable, %v", err)
	}
}

func TestMountPointInTheWay(t *testing.T) {
	m := liveMachine(t)
	write(t, m.path("/file"), "")
	if err := os.Symlink("/", m.path("/link")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/file", "/link"} {
		if _, err := Apply(t.Context(), m, one(MountPoint{Path: path}), nil); err == nil || !strings.Contains(err.Error(), "is not a directory: move it away") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// One on a volume is made once that is mounted; the boot makes the others.
func TestMountPointOffLine(t *testing.T) {
	m := onDisk(t)
	m.Live = false
	apply(t, m, MountPoint{Path: "/below/volume", On: "/below"})
	if there, err := durable.Exists(m.path("/below")); there || err != nil {
		t.Errorf("what is on a volume was made: %v", err)
	}
	apply(t, m, MountPoint{Path: "/data"})
	if !isImmutable(t, m.path("/data")) {
		t.Error("it is not immutable")
	}
}

// A file system without attributes does without.
func TestMountPointWithoutAttributes(t *testing.T) {
	m := liveMachine(t)
	mounted(t, "none", "ramfs", m.Root)
	for _, want := range []string{"mount point /data: create", ""} {
		if got := strings.Join(changes(apply(t, m, MountPoint{Path: "/data"})), "\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What is mounted has to be the disk that was looked at.
func TestMountedFrom(t *testing.T) {
	m := liveMachine(t)
	right, wrong := ours(attach(t, 4)), ours(attach(t, 5))
	for i, f := range []Filesystem{right, wrong} {
		f.Volume = fmt.Sprint(i)
		formatted(t, m, f, "format")
	}
	at := t.TempDir()
	for _, path := range []string{at, at + "/missing"} {
		if got, err := Diff(t.Context(), m, one(MountedFrom{path, device(wrong.Disk)})); err != nil || len(changes(got)) > 0 {
			t.Errorf("%s, where nothing is mounted yet: %v, %v", path, got, err)
		}
	}
	do(t, "mount", device(right.Disk), at)
	t.Cleanup(func() {
		if _, err := command.Run(context.WithoutCancel(t.Context()), "umount", at); err != nil {
			t.Error(err)
		}
	})
	m.Root = "/"
	if got, err := Diff(t.Context(), m, one(MountedFrom{at, device(right.Disk)})); err != nil || len(changes(got)) > 0 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Diff(t.Context(), m, one(MountedFrom{at, device(wrong.Disk)})); err == nil || !strings.Contains(err.Error(), "and not "+device(wrong.Disk)) {
		t.Errorf("of another disk: %v", err)
	}
	if _, err := Diff(t.Context(), Machine{Root: "/"}, one(MountedFrom{at, device(wrong.Disk)})); err != nil {
		t.Errorf("off line: %v", err)
	}
}
