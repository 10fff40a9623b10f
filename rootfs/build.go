// Package rootfs makes the image: from a profile to a root tree, from the tree
// to a squashfs, and from that to a bootable disk image with its manifest.
//
// The tree is mmdebstrap's; what stands in overlay/ makes it a Banyan image.
// docs/architecture.md has the layout of the disk and the way it boots.
package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/progress"
	"banyan/packaging"
)

// Options is what an image is built from and where it goes.
type Options struct {
	Profile *Profile
	Version string
	Output  string // a directory
	// Firstboot is the node's program, which goes into the image as a package.
	Firstboot string
	// Example is the seed that is put beside the place for the real one.
	Example string
}

// Build makes an image, shows its progress on out and returns its file name. It
// needs root. When it fails or ctx ends it leaves nothing behind in the output
// directory, no mount and no loop device (it uses none).
func Build(ctx context.Context, o Options, out *os.File) (image string, err error) {
	epoch, err := sourceDate()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(o.Output, 0o755); err != nil {
		return "", err
	}
	work, err := makeWork()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()

	name := fmt.Sprintf("banyan-%s-%s.img", o.Profile.Name, o.Version)
	b := &builder{Options: o, work: work, root: filepath.Join(work, "root"), epoch: epoch,
		id:   uuid.NewSHA1(uuid.NameSpaceURL, []byte("banyan/"+name)),
		name: name, partial: filepath.Join(o.Output, "."+name+".partial")}
	defer func() { err = errors.Join(err, b.removePartial()) }()
	if err := b.removePartial(); err != nil { // of a builder that was killed
		return "", err
	}

	stages := []struct {
		name string
		run  func(context.Context) (int64, error)
	}{
		{"own packages", b.makePackages},
		{"base tree", b.makeBase},
		{"install", b.install},
		{"initramfs", b.makeInitramfs},
		{"seal the tree", b.sealTree},
		{"squashfs", b.makeSquashfs},
		{"disk image", b.makeImage},
		{"manifest", b.writeManifest},
	}
	show := progress.New(out, len(stages))
	defer func() {
		show.Close()
		if err == nil {
			err = show.Table()
		}
	}()
	for _, stage := range stages {
		err := show.Run(stage.name, func() (int64, error) {
			if err := ctx.Err(); err != nil {
				return 0, context.Cause(ctx)
			}
			return stage.run(ctx)
		})
		if err != nil {
			return "", err
		}
	}
	return filepath.Join(o.Output, name), nil
}

// builder holds what the stages hand to one another.
type builder struct {
	Options
	work, root    string
	name, partial string // of the image; partial is its path until it is whole
	id            uuid.UUID
	epoch         time.Time
	debs          []string
}

func (b *builder) file(name string) string { return filepath.Join(b.work, name) }

func (b *builder) makePackages(context.Context) (int64, error) {
	deb, err := packaging.Firstboot(packaging.Options{Version: b.Version, Binary: b.Firstboot, Date: b.epoch, Output: b.work})
	if err != nil {
		return 0, err
	}
	b.debs = []string{deb}
	return sizes(b.debs...)
}

func (b *builder) makeBase(ctx context.Context) (int64, error) {
	if err := b.Profile.makeBase(ctx, b.root, b.work); err != nil {
		return 0, err
	}
	return treeSize(b.root)
}

func (b *builder) install(ctx context.Context) (int64, error) {
	if err := installPackages(ctx, b.root, b.debs); err != nil {
		return 0, err
	}
	if err := layOverlay(b.root); err != nil {
		return 0, err
	}
	if err := setUnits(ctx, b.root); err != nil {
		return 0, err
	}
	return treeSize(b.root)
}

func (b *builder) makeInitramfs(ctx context.Context) (int64, error) {
	if err := makeInitramfs(ctx, b.root); err != nil {
		return 0, err
	}
	return sizes(filepath.Join(b.root, "boot/initrd.img"))
}

// sealTree also takes out what goes elsewhere on the disk: the boot files.
func (b *builder) sealTree(ctx context.Context) (int64, error) {
	if err := bootFiles(b.root, b.file("esp"), b.Profile.Name, b.Version); err != nil {
		return 0, err
	}
	if err := removeAll(b.root, "boot/*"); err != nil {
		return 0, err
	}
	if err := b.Profile.seal(ctx, b.root, b.epoch); err != nil {
		return 0, err
	}
	return treeSize(b.root)
}

func (b *builder) makeSquashfs(ctx context.Context) (int64, error) {
	// Level 9 of zstd is where a smaller root starts to cost more time than it saves when written.
	_, err := command.Run(ctx, "mksquashfs", b.root, b.file("root.squashfs"), "-noappend", "-no-progress", "-quiet",
		"-comp", "zstd", "-Xcompression-level", "9", "-b", "256K", "-wildcards", "-e", "dev/*")
	if err != nil {
		return 0, err
	}
	return sizes(b.file("root.squashfs"))
}

func (b *builder) makeImage(ctx context.Context) (int64, error) {
	sizeOf := b.Profile.Partitions
	volume := func(name string) string { return uuid.NewSHA1(b.id, []byte("volume "+name)).String()[:8] }

	if err := makeFAT(ctx, b.file("esp.fat"), "ESP", volume("esp"), "32", sizeOf.ESP*mebibyte, b.file("esp")); err != nil {
		return 0, err
	}
	readme, err := overlay.ReadFile("overlay/README.txt")
	if err != nil {
		return 0, err
	}
	for name, content := range map[string]string{"README.txt": string(readme), "seed.example.yaml": b.Example} {
		if err := writeFile(filepath.Join(b.file("banyan"), name), content, 0o644); err != nil {
			return 0, err
		}
	}
	if err := makeFAT(ctx, b.file("banyan.fat"), "BANYAN", volume("banyan"), "16", sizeOf.Banyan*mebibyte, b.file("banyan")); err != nil {
		return 0, err
	}
	if err := makeSparse(b.file("state.ext4"), sizeOf.State*mebibyte); err != nil {
		return 0, err
	}
	stateID := uuid.NewSHA1(b.id, []byte("volume state")).String()
	// It is made small and grows with the disk: a journal and room for group descriptors as a large one has.
	_, err = command.Command{
		Name: "mkfs.ext4", Args: []string{"-q", "-L", "state", "-U", stateID, "-E", "resize=4294967295,hash_seed=" + stateID,
			"-J", "size=128", "-e", "remount-ro", "-m", "1", b.file("state.ext4")},
		Env: []string{fmt.Sprintf("E2FSPROGS_FAKE_TIME=%d", b.epoch.Unix())}, // before 1.47.1 it knows no SOURCE_DATE_EPOCH
	}.Run(ctx)
	if err != nil {
		return 0, err
	}

	core, err := biosCore(ctx, b.root)
	if err != nil {
		return 0, err
	}
	boot, err := os.ReadFile(filepath.Join(b.root, "usr/lib/grub/i386-pc/boot.img"))
	if err != nil {
		return 0, err
	}
	err = writeImage(b.partial, b.id, []partition{
		{name: "bios", kind: gpt.BIOSBoot, size: mebibyte},
		{name: "esp", kind: gpt.EFISystemPartition, size: sizeOf.ESP * mebibyte, source: b.file("esp.fat")},
		{name: "BANYAN", kind: gpt.MicrosoftBasicData, size: sizeOf.Banyan * mebibyte, source: b.file("banyan.fat")},
		{name: "root-a", kind: gpt.LinuxRootX86_64, size: sizeOf.Root * mebibyte, source: b.file("root.squashfs")},
		{name: "root-b", kind: gpt.LinuxRootX86_64, size: sizeOf.Root * mebibyte},
		{name: "state", kind: gpt.LinuxFilesystem, size: sizeOf.State * mebibyte, source: b.file("state.ext4")},
	}, boot, core)
	if err != nil {
		return 0, err
	}
	return sizes(b.partial)
}

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
