// Package initramfs prepares the machine between the mounting of its root and
// PID 1, from inside that root: it grows and mounts state, lays /var, /home,
// /root and /etc over the read-only image, and gives the machine its identity.
//
// Power may fail between any two of these steps: each is whole or is done again
// at the next boot.
package initramfs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/disk"
	"banyan/internal/durable"
	"banyan/internal/facts"
)

const (
	// state is where the partition of that name is mounted.
	state = "/run/banyan/state"
	// factory holds the image's pattern of what outlives it.
	factory = "/usr/share/factory"
	// layers is the layer over /etc, in memory: it is computed anew at every boot.
	layers = "/run/banyan/etc"
)

// imageOwned is what lies below /var and yet belongs to the image: it always
// comes from there.
var imageOwned = []string{"/var/lib/dpkg"}

// Boot is what GRUB booted, as it is kept in [facts.BootFile].
type Boot struct {
	Disk string `json:"disk"` // such as /dev/sda
	Slot string `json:"slot"` // "a" or "b"
}

// ReadBoot reads what this machine was booted from. On a host that is not an
// image's the error is [fs.ErrNotExist].
func ReadBoot() (Boot, error) {
	var b Boot
	content, err := os.ReadFile(facts.BootFile)
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal(content, &b); err != nil {
		return b, fmt.Errorf("%s: %w", facts.BootFile, err)
	}
	return b, nil
}

// Prepare makes the machine ready for its configuration to be rendered. It runs
// in the mounted root with /dev, /proc, /sys and /run of the initramfs.
func Prepare(ctx context.Context, b Boot) error {
	partition, err := disk.Find(b.Disk, "state")
	if err != nil {
		return err
	}
	// State is good at its old size.
	if err := disk.Grow(ctx, partition); err != nil {
		log.Print(err)
	}
	if err := mountState(ctx, partition.Device); err != nil {
		return err
	}
	if err := giveDiskID(ctx, b.Disk); err != nil {
		log.Print(err)
	}
	if err := Lay("/"); err != nil {
		return err
	}
	content, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return os.WriteFile(facts.BootFile, content, 0o644)
}

// Lay lays /var, /home, /root and /etc over the read-only image that is mounted at
// root, and gives the machine its id. State is at run/banyan/state below root.
// What is mounted stays mounted where it fails.
func Lay(root string) error {
	for _, name := range []string{"var", "home", "root"} {
		kept := filepath.Join(root, state, name)
		if err := fill(filepath.Join(root, factory, name), kept); err != nil {
			return fmt.Errorf("fill /%s: %w", name, err)
		}
		if err := bind(kept, filepath.Join(root, name), 0); err != nil {
			return err
		}
	}
	for _, name := range imageOwned {
		if err := bind(filepath.Join(root, factory, name), filepath.Join(root, name), unix.MS_RDONLY); err != nil {
			return err
		}
	}
	etc := filepath.Join(root, "etc")
	if err := overlay(etc, filepath.Join(root, layers)); err != nil {
		return err
	}
	return giveMachineID(filepath.Join(root, facts.StateDir, "machine-id"), filepath.Join(etc, "machine-id"))
}

// mountState checks, mounts and grows the file system. It is grown while
// mounted, since that, unlike growing it before, goes through its journal.
func mountState(ctx context.Context, device string) error {
	const corrected = 1 // e2fsck(8)
	_, err := command.Run(ctx, "e2fsck", "-p", device)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == corrected {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("check %s: %w; run `e2fsck %s` from a rescue system", device, err, device)
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	if err := unix.Mount(device, state, "ext4", unix.MS_NOATIME, ""); err != nil {
		return fmt.Errorf("mount %s: %w", device, err)
	}
	if _, err := command.Run(ctx, "resize2fs", device); err != nil {
		log.Printf("grow the file system on %s: %v", device, err)
	}
	return nil
}

// giveDiskID gives the disk GUIDs of its own at its first boot, so that GRUB can
// tell it from the stick, or from any other disk, that has the same image. It
// must run before fill makes state/var, whose absence marks the first boot.
func giveDiskID(ctx context.Context, device string) error {
	if _, err := os.Lstat(filepath.Join(state, "var")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	esp, err := disk.Find(device, "esp")
	if err != nil {
		return err
	}
	return disk.NewIDs(ctx, esp)
}

func bind(from, to string, flags uintptr) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", from, to, err)
	}
	if flags == 0 {
		return nil
	}
	if err := unix.Mount("", to, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""); err != nil {
		return fmt.Errorf("remount %s: %w", to, err)
	}
	return nil
}

// overlay lays a layer over a directory, which is kept below layers.
func overlay(dir, layers string) error {
	upper, work := filepath.Join(layers, "upper"), filepath.Join(layers, "work")
	for _, dir := range []string{upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("overlay", dir, "overlay", 0, "lowerdir="+dir+",upperdir="+upper+",workdir="+work); err != nil {
		return fmt.Errorf("lay the overlay on %s: %w", dir, err)
	}
	return nil
}

// giveMachineID writes the id of machine-id(5) that is kept in the file kept,
// made where there is none, to the file etc.
func giveMachineID(kept, etc string) error {
	id, err := os.ReadFile(kept)
	if errors.Is(err, fs.ErrNotExist) {
		id, err = newMachineID(kept)
	}
	if err != nil {
		return fmt.Errorf("machine id: %w", err)
	}
	return os.WriteFile(etc, id, 0o444)
}

func newMachineID(kept string) ([]byte, error) {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	random[6], random[8] = random[6]&0x0f|0x40, random[8]&0x3f|0x80 // a version 4 UUID, as machine-id(5) asks
	id := []byte(hex.EncodeToString(random[:]) + "\n")
	if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
		return nil, err
	}
	return id, durable.WriteFile(kept, id, 0o444)
}

// fill makes what the pattern has and dir lacks, whole directories with all
// that is in them. What was there before is not touched: a file that somebody
// removed from a directory stays removed, and what somebody put in the place of a
// directory stays there. The mount point of a volume is immutable: what belongs there is on
// the volume.
func fill(pattern, dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return copyWhole(pattern, dir)
	case err != nil:
		return err
	case !info.IsDir():
		return nil
	}
	if isClosed(dir) {
		return nil
	}
	entries, err := os.ReadDir(pattern)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if err := fill(filepath.Join(pattern, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// isClosed tells whether nothing can be made in a directory, or even read of it: what is
// wrong with one directory keeps nothing from its boot.
func isClosed(path string) bool {
	dir, err := os.Open(path)
	if err == nil {
		defer dir.Close()
		var closed bool
		if closed, _, err = disk.IsImmutable(dir); err == nil {
			return closed
		}
	}
	log.Printf("%v: what the image has for it is left out", err)
	return true
}

// copyWhole copies a directory with all that is in it. dir, which was missing, is
// missing or whole after a power cut: it is made under another name and renamed.
func copyWhole(pattern, dir string) error {
	next := filepath.Join(filepath.Dir(dir), ".banyan-"+filepath.Base(dir))
	if err := os.RemoveAll(next); err != nil { // of a boot that was cut off
		return err
	}
	// cp keeps owners, modes, times, links and extended attributes.
	if _, err := command.Run(context.Background(), "cp", "--archive", pattern, next); err != nil {
		return err
	}
	if err := syncFileSystem(next); err != nil {
		return err
	}
	return durable.Rename(next, dir)
}

func syncFileSystem(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
