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
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/progress"
	"banyan/packaging"
)

// Options is what an image is built from and where it goes.
type Options struct {
	Profile *Profile
	Mirrors []string // URI or ARCHIVE=URI, in the place of the profile's archives
	Keyring string   // in the place of the profile's
	Version string
	// Firstboot is the node's program, which goes into the image as a package.
	Firstboot string
	// Example is the seed that is put beside the place for the real one.
	Example string

	Output   string // a directory
	Format   Format
	Compress bool  // by zstd
	Size     int64 // of the disk, in bytes; 0 for what the profile's partitions take

	Cache      string // a directory
	CacheLimit int64  // bytes
}

// Result is the image that was built, and what that took.
type Result struct {
	Image  string           `json:"image"` // its file name
	Stages []progress.Stage `json:"stages"`
}

// Build makes an image and shows its progress on out. It needs root, that of a
// user namespace is enough. When it fails or ctx ends it leaves nothing behind
// but what is whole in the cache, no mount and no loop device (it uses none).
func Build(ctx context.Context, o Options, out *os.File) (result Result, err error) {
	unix.Umask(0o022) // a tree has the modes that it is given
	epoch, err := sourceDate()
	if err != nil {
		return Result{}, err
	}
	sizes, err := o.Profile.Partitions.fill(o.Size)
	if err != nil {
		return Result{}, err
	}
	if o.Keyring == "" {
		o.Keyring = o.Profile.Keyring
	}
	if err := readable(o.Keyring); err != nil {
		return Result{}, fmt.Errorf("read the keyring: %w: name another with --keyring", err)
	}
	made, err := makeDir(o.Output)
	if err != nil {
		return Result{}, err
	}
	if made {
		defer func() {
			if err != nil {
				_ = os.Remove(o.Output) // it is empty, or somebody else's by now
			}
		}()
	}
	cache, err := OpenCache(ctx, o.Cache, func() { fmt.Fprintf(out, "waiting for another build that uses %s\n", o.Cache) })
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, cache.Close()) }()
	work, err := makeWork()
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()

	b := newBuilder(o, cache, work, epoch, sizes)
	if err := b.removePartial(); err != nil { // of a builder that was killed
		return Result{}, err
	}
	defer func() { err = errors.Join(err, b.removePartial()) }()

	began := time.Now()
	stages, err := b.run(ctx, out)
	if err != nil {
		return Result{}, err
	}
	return Result{Image: filepath.Join(o.Output, b.name), Stages: stages}, cache.bound(o.CacheLimit, began)
}

// builder holds what the stages hand to one another.
type builder struct {
	Options
	cache         *Cache
	work, root    string
	name, partial string // of the image; partial is its path until it is whole
	raw           string // the path of the disk image, which is partial where nothing is made of it
	id            uuid.UUID
	epoch         time.Time
	sizes         Partitions // as the image has them

	debs     []string
	apt      apt
	archives []Archive
	recipe   recipe
	basePath string // in the cache
	packages []Package
	base     *base // nil until there is one
	initrd   string
}

func newBuilder(o Options, cache *Cache, work string, epoch time.Time, sizes Partitions) *builder {
	name := fmt.Sprintf("banyan-%s-%s", o.Profile.Name, o.Version)
	b := &builder{Options: o, cache: cache, work: work, root: filepath.Join(work, "root"), epoch: epoch, sizes: sizes,
		id:   uuid.NewSHA1(uuid.NameSpaceURL, []byte("banyan/"+name+".img")),
		name: name + o.Format.suffix(o.Compress),
		apt:  apt{profile: o.Profile, keyring: o.Keyring, dir: cache.path("lists", o.Profile.Name), debs: cache.path("debs")}}
	b.partial = filepath.Join(o.Output, "."+b.name+".partial")
	b.raw = b.partial
	if b.converted() {
		b.raw = b.file("disk.img")
	}
	return b
}

// readable tells why a file cannot be read.
func readable(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Read(make([]byte, 1))
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s is empty", name)
	}
	return err
}

// makeDir makes a directory, unless it is there.
func makeDir(name string) (made bool, err error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return false, nil
	}
	return true, os.MkdirAll(name, 0o755)
}

// stage is a part of the build that is shown by itself. Its space is where what
// it makes goes.
type stage struct {
	name  string
	space space
	run   func(context.Context) (progress.Made, error)
}

// run runs all stages. The initramfs needs the base alone, so it is made beside the root.
func (b *builder) run(ctx context.Context, out *os.File) ([]progress.Stage, error) {
	cache, work, output := space{b.Cache, "--cache"}, space{filepath.Dir(b.work), "TMPDIR"}, space{b.Output, "--output"}
	own := []stage{{"own packages", work, b.makePackages}}
	base := []stage{
		{"archives", cache, b.updateArchives},
		{"packages", cache, b.fetchPackages},
		{"base tree", cache, b.makeBase},
	}
	initramfs := []stage{{"initramfs", cache, b.makeInitramfs}}
	root := []stage{
		{"root tree", work, b.makeRoot},
		{"seal the tree", work, b.sealTree},
		{"squashfs", work, b.makeSquashfs},
	}
	last := []stage{{"disk image", output, b.makeImage}}
	if b.converted() {
		last[0].space = work
		last = append(last, stage{string(b.Format), output, b.convert})
	}
	last = append(last, stage{"manifest", output, b.writeManifest})

	show := progress.New(out, len(own)+len(base)+len(initramfs)+len(root)+len(last))
	defer show.Close()
	sequence := func(ctx context.Context, stages []stage) error {
		for _, s := range stages {
			err := show.Run(s.name, func() (progress.Made, error) {
				if err := ctx.Err(); err != nil {
					return progress.Made{}, context.Cause(ctx)
				}
				made, err := s.run(ctx)
				return made, s.space.explain(err)
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	sideBySide := func(one, other []stage) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return sequence(ctx, one) })
		group.Go(func() error { return sequence(ctx, other) })
		return group.Wait()
	}
	if err := sideBySide(own, base); err != nil {
		return nil, err
	}
	if err := sideBySide(initramfs, root); err != nil {
		return nil, err
	}
	if err := sequence(ctx, last); err != nil {
		return nil, err
	}
	show.Close()
	return show.Done(), show.Table()
}

func (b *builder) file(name string) string { return filepath.Join(b.work, name) }

func (b *builder) makePackages(context.Context) (progress.Made, error) {
	deb, err := packaging.Firstboot(packaging.Options{Version: b.Version, Binary: b.Firstboot, Date: b.epoch, Output: b.work})
	if err != nil {
		return progress.Made{}, err
	}
	b.debs = []string{deb}
	return made(b.debs...)
}

// updateArchives also finds out whether the cache has the base tree.
func (b *builder) updateArchives(ctx context.Context) (progress.Made, error) {
	var err error
	if b.archives, err = b.Profile.archives(ctx, b.Mirrors); err != nil {
		return progress.Made{}, err
	}
	if err := b.apt.update(ctx, b.archives); err != nil {
		return progress.Made{}, err
	}
	release, date, err := b.apt.release()
	if err != nil {
		return progress.Made{}, err
	}
	b.recipe = b.Profile.recipe(date)
	key, err := b.recipe.key(release)
	if err != nil {
		return progress.Made{}, err
	}
	b.basePath = b.cache.path("trees", b.Profile.Suite+"-"+key)
	if b.base, err = readBase(b.basePath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return progress.Made{}, err
	}
	return made(b.apt.dir)
}

func (b *builder) fetchPackages(ctx context.Context) (progress.Made, error) {
	if b.base != nil {
		return progress.Made{Cached: true}, nil
	}
	var err error
	if b.packages, err = b.apt.fetch(ctx); err != nil {
		return progress.Made{}, err
	}
	return made(b.apt.debs)
}

func (b *builder) makeBase(ctx context.Context) (progress.Made, error) {
	cached := b.base != nil
	if !cached {
		var err error
		if b.base, err = b.apt.makeBase(ctx, b.recipe, b.archives, b.packages, b.basePath, b.work); err != nil {
			return progress.Made{}, err
		}
	}
	made, err := made(b.base.root())
	made.Cached = cached
	return made, err
}

func (b *builder) makeInitramfs(ctx context.Context) (progress.Made, error) {
	initrd, cached, err := b.base.initramfs(ctx, b.recipe.Date, b.work)
	if err != nil {
		return progress.Made{}, err
	}
	b.initrd = initrd
	made, err := made(initrd)
	made.Cached = cached
	return made, err
}

// makeRoot makes a copy of the base an image's root.
func (b *builder) makeRoot(ctx context.Context) (progress.Made, error) {
	if _, err := command.Run(ctx, "cp", "-a", "--reflink=auto", b.base.root(), b.root); err != nil {
		return progress.Made{}, err
	}
	if err := installPackages(ctx, b.root, b.debs); err != nil {
		return progress.Made{}, err
	}
	if err := layOverlay(overlayTree, b.root); err != nil {
		return progress.Made{}, err
	}
	if err := b.Profile.setUnits(ctx, b.root); err != nil {
		return progress.Made{}, err
	}
	return made(b.root)
}

func (b *builder) sealTree(ctx context.Context) (progress.Made, error) {
	if err := b.Profile.seal(ctx, b.root, b.epoch, b.base.Began); err != nil {
		return progress.Made{}, err
	}
	return made(b.root)
}

func (b *builder) makeSquashfs(ctx context.Context) (progress.Made, error) {
	// zstd's level 9 takes three times as long as 3 for a root that is smaller by 4 %.
	_, err := command.Run(ctx, "mksquashfs", b.root, b.file("root.squashfs"), "-noappend", "-no-progress", "-quiet",
		"-comp", "zstd", "-Xcompression-level", "3", "-b", "256K", "-wildcards", "-e", "dev/*")
	if err != nil {
		return progress.Made{}, err
	}
	return made(b.file("root.squashfs"))
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
