//go:build lab

package lab

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/namespace"
	"banyan/internal/scratch"
	"banyan/tests/fixture"
)

// lab is what all hosts of this process share.
var lab struct {
	dir       string // where all that the lab makes is
	image     string // the root of the image under test, mounted read-only
	cgroup    string // the hosts' parent
	artifacts string
}

// labs is what the names of all labs of a machine begin with.
const labs = "banyan-lab-"

func TestMain(m *testing.M) {
	// Hosts wait for one another most of the time, and so do the tests of them. It is the
	// default, since the arguments are read later.
	if err := flag.Set("test.parallel", "3"); err != nil {
		panic(err)
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintf(os.Stderr, "lab: %v\n", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	image := os.Getenv("BANYAN_IMAGE")
	if !filepath.IsAbs(image) {
		return 0, fmt.Errorf("BANYAN_IMAGE is %q: set it to the absolute path of the image to test, such as $PWD/dist/banyan-debian-13-VERSION.img", image)
	}
	if os.Geteuid() != 0 {
		return 0, errors.New("this mounts the image and starts containers: run it as root")
	}
	ctx := context.Background()
	// The end of this process is that of all hosts, since a container outlives a systemd-nspawn that was killed.
	if err := namespace.Enter(ctx, "--pid", "--fork", "--kill-child", "--mount-proc"); err != nil {
		return 0, err
	}
	if lab.artifacts, err = fixture.Artifacts("lab"); err != nil {
		return 0, err
	}
	dir, lock, err := scratch.Make(cmp.Or(os.Getenv("TMPDIR"), "/var/tmp"), labs)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir), lock.Close()) }()
	lab.dir = dir
	if err := mountOwn(); err != nil {
		return 0, err
	}
	if err := makeCgroup(); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.Remove(lab.cgroup)) }()
	if lab.image, err = mountImage(ctx, image); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, unix.Unmount(lab.image, 0)) }()
	return m.Run(), nil
}

// cgroups is where the programs that start containers look for control groups.
const cgroups = "/sys/fs/cgroup"

// mountOwn mounts what ip and systemd-nspawn leave names in, and the hierarchy of
// control groups that a machine of today has, where this one has an older one too.
func mountOwn() error {
	for _, dir := range []string{namespaces, "/run/systemd/nspawn"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return err
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(cgroups, &fs); err != nil {
		return fmt.Errorf("%s: %w", cgroups, err)
	}
	if fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return nil
	}
	return mount("cgroup2", cgroups, "cgroup2", 0, "")
}

// makeCgroup makes the parent of the hosts' control groups, and removes what a process
// that was killed left: its directory is gone by now.
func makeCgroup() error {
	left, err := filepath.Glob(filepath.Join(cgroups, labs+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		_, err := os.Stat(filepath.Join(filepath.Dir(lab.dir), filepath.Base(dir)))
		if errors.Is(err, fs.ErrNotExist) {
			err = removeCgroup(dir)
		}
		if err != nil {
			return err
		}
	}
	lab.cgroup = filepath.Join(cgroups, filepath.Base(lab.dir))
	return os.Mkdir(lab.cgroup, 0o755)
}

// mountImage mounts the root of an image's slot a, and returns where. The loop device goes
// with the mount.
func mountImage(ctx context.Context, image string) (dir string, err error) {
	root, err := fixture.Partition(image, "root-a")
	if err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp(lab.dir, "image-"); err != nil {
		return "", err
	}
	options := fmt.Sprintf("ro,loop,offset=%d,sizelimit=%d", root.GetStart(), root.GetSize())
	if _, err := command.Run(ctx, "mount", "-t", "squashfs", "-o", options, image, dir); err != nil {
		return "", fmt.Errorf("mount root-a of %s: %w", image, err)
	}
	return dir, nil
}

func mount(from, to, fs string, flags uintptr, options string) error {
	if err := unix.Mount(from, to, fs, flags, options); err != nil {
		return fmt.Errorf("mount %s at %s: %w", from, to, err)
	}
	return nil
}
