//go:build lab

package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/scratch"
	"banyan/rootfs"
)

// trees is where the root trees of other hosts than nodes are kept from run to run, beside
// the builder's cache.
const trees = "/var/cache/banyan-lab"

// serverTree is the root of Debian 12 with the servers that clusters meet in their networks:
// those of DNS, of which none may be installed on the machine itself.
var serverTree = sync.OnceValues(func() (string, error) {
	return makeTree(context.Background(), "servers", "debian-12", "bind9", "bind9-dnsutils", "krb5-user", "python3-samba",
		"samba", "samba-ad-provision", "samba-dsdb-modules", "samba-vfs-modules")
})

// makeTree makes a root tree with these packages of a profile's archives, or finds the one that
// it made before. It has its name once it is whole. Those that nobody uses any more go.
func makeTree(ctx context.Context, name, profile string, packages ...string) (dir string, err error) {
	p, err := rootfs.LoadProfile(profile)
	if err != nil {
		return "", err
	}
	args := []string{
		"--mode=root", "--variant=minbase", "--format=directory", "--quiet", "--include=" + strings.Join(packages, ","),
		`--aptopt=APT::Install-Recommends "false"`, `--aptopt=Acquire::Languages "none"`, "--dpkgopt=force-unsafe-io",
		"--keyring=" + p.Keyring, p.Suite,
	}
	sum := sha256.Sum256([]byte(strings.Join(args, "\n")))
	dir = filepath.Join(trees, fmt.Sprintf("%s-%x", name, sum[:8]))
	if err := os.MkdirAll(trees, 0o700); err != nil { // set-user-ID programs grow old in there
		return "", err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := buildTree(ctx, p, args, name, dir); err != nil {
			return "", fmt.Errorf("make the tree of %s: %w", name, err)
		}
	}
	if err := useTree(dir); err != nil {
		return "", err
	}
	return dir, removeTrees(name, dir)
}

// buildTree makes a tree under another name first.
func buildTree(ctx context.Context, p *rootfs.Profile, args []string, name, dir string) (err error) {
	sources, err := p.MachineSources(ctx)
	if err != nil {
		return err
	}
	work, lock, err := scratch.Make(trees, "."+name+"-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work), lock.Close()) }()
	root := filepath.Join(work, "root")
	args = append(append([]string{}, args...), root)
	if _, err := (command.Command{Name: "mmdebstrap", Args: append(args, sources...), Env: []string{"LC_ALL=C.UTF-8", "TMPDIR=" + work}}).Run(ctx); err != nil {
		return err
	}
	// These are mounted over.
	for _, file := range []string{"etc/resolv.conf", "etc/hosts", "etc/hostname"} {
		if err := os.WriteFile(filepath.Join(root, file), nil, 0o644); err != nil {
			return err
		}
	}
	if _, err := command.Run(ctx, "sync", "--file-system", root); err != nil {
		return err
	}
	err = os.Rename(root, dir)
	if errors.Is(err, fs.ErrExist) { // another lab was faster
		return nil
	}
	return err
}

// useTree marks a tree as in use until this process ends.
func useTree(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	used = append(used, f)
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
}

// used are open for as long as this process lives.
var used []*os.File

// removeTrees removes the trees of a name that nobody uses, but for one.
func removeTrees(name, keep string) error {
	all, err := filepath.Glob(filepath.Join(trees, name+"-*"))
	if err != nil {
		return err
	}
	for _, dir := range all {
		if dir == keep {
			continue
		}
		lock, err := scratch.Lock(dir)
		if lock == nil || err != nil {
			continue // another lab's
		}
		if err := errors.Join(os.RemoveAll(dir), lock.Close()); err != nil {
			return err
		}
	}
	return nil
}
