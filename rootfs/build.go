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
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"banyan/internal/progress"
	"banyan/internal/scratch"
)

// Options is what an image is built from and where it goes.
type Options struct {
	Profile *Profile
	Mirrors []string // URI or ARCHIVE=URI, in the place of the profile's archives
	Keyring string   // in the place of the profile's
	Version string
	// Firstboot and DNSCP are the programs of a node, which go into the image as packages.
	Firstboot, DNSCP string
	// Example is the seed that is put beside the place for the real one.
	Example string
	// SeedKey is the text of the key that seeds have to be signed with; empty where
	// the image takes any.
	SeedKey string

	Output   string // a directory
	Format   Format
	Compress bool  // by zstd
	Size     int64 // of the disk, in bytes; 0 for what the profile's partitions take

	CacheDir   string
	CacheLimit int64 // bytes
}

// Result is the image that was built, and what that took.
type Result struct {
	Image  string           `json:"image"` // its path
	Stages []progress.Stage `json:"stages"`
}

// Build makes an image and shows its progress on out. It needs root, that of a
// user namespace is enough. When it fails or ctx ends it leaves nothing behind
// but what is whole in the cache, no mount and no loop device (it uses none);
// where it is killed, only a mount namespace of its own unmounts its root.
func Build(ctx context.Context, o Options, out *os.File) (result Result, err error) {
	unix.Umask(0o022) // whatever the caller's: two builds are one
	epoch, err := SourceDate()
	if err != nil {
		return Result{}, err
	}
	if _, err := o.seedKeyID(); err != nil {
		return Result{}, err
	}
	sizes, err := o.Profile.Partitions.fill(o.Size)
	if err != nil {
		return Result{}, err
	}
	mirrors, err := o.Profile.parseMirrors(o.Mirrors)
	if err != nil {
		return Result{}, err
	}
	if o.Keyring == "" {
		o.Keyring = o.Profile.Keyring
	}
	if o.Keyring, err = filepath.Abs(o.Keyring); err != nil { // apt is elsewhere
		return Result{}, err
	}
	if err := readable(o.Keyring); err != nil {
		return Result{}, fmt.Errorf("read the keyring: %w: name another with --keyring", err)
	}
	if strings.ContainsAny(o.Keyring, " \t]") {
		return Result{}, fmt.Errorf("apt takes no keyring with a space or a bracket in its path: copy %s elsewhere", o.Keyring)
	}
	for _, dir := range []string{os.Getenv("TMPDIR"), o.CacheDir, o.Output} {
		if strings.ContainsAny(dir, `*?[{\"`) {
			return Result{}, fmt.Errorf("the directory %s has a character in its name that means others to the programs of a build: choose another", dir)
		}
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
	cache, err := OpenCache(ctx, o.CacheDir, func() { fmt.Fprintf(out, "waiting for another build that uses %s\n", o.CacheDir) })
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, cache.Close()) }()
	lock, err := scratch.Lock(o.Output)
	switch {
	case err != nil:
		return Result{}, fmt.Errorf("lock the output directory: %w", err)
	case lock == nil: // with another cache, or it would have waited
		return Result{}, fmt.Errorf("another build writes to %s: choose another place with --output", o.Output)
	}
	defer lock.Close()
	work, workLock, err := makeWork()
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work), workLock.Close()) }()

	b := newBuilder(o, cache, work, epoch, sizes, mirrors)
	if err := b.removePartial(); err != nil { // of a builder that was killed
		return Result{}, err
	}
	defer func() { err = errors.Join(err, b.unmountRoot(), b.removePartial()) }()

	stages, err := b.run(ctx, out)
	if err != nil {
		return Result{}, err
	}
	return Result{Image: filepath.Join(o.Output, b.name), Stages: stages}, cache.bound(o.CacheLimit, b.began)
}

// builder holds what the stages hand to one another.
type builder struct {
	Options
	cache         *Cache
	apt           apt
	mirrors       map[string]string // URIs, by archive
	work, root    string
	name, partial string // of the image; partial is its path until it is whole
	disk          string // the path of the raw disk image, which is partial where nothing else is made of it
	id            uuid.UUID
	epoch, began  time.Time  // the image's date, and when the build began
	sizes         Partitions // as the image has them

	ownDebs []string // by makePackages

	// By updateArchives.
	archives []Archive
	recipe   recipe
	basePath string

	packages []Package // by fetchPackages, where there is no base
	base     *base     // by updateArchives, or else makeBase
	mounted  bool      // by mountRoot
	initrd   string    // by makeInitramfs
}

func newBuilder(o Options, cache *Cache, work string, epoch time.Time, sizes Partitions, mirrors map[string]string) *builder {
	name := fmt.Sprintf("banyan-%s-%s", o.Profile.Name, o.Version)
	b := &builder{Options: o, cache: cache, work: work, root: filepath.Join(work, "root"), epoch: epoch, began: time.Now(), sizes: sizes, mirrors: mirrors,
		id:   uuid.NewSHA1(uuid.NameSpaceURL, []byte("banyan/"+name+".img")),
		name: name + o.Format.suffix(o.Compress),
		apt:  apt{profile: o.Profile, keyring: o.Keyring, dir: cache.path("lists", o.Profile.Name), debs: cache.path("debs")}}
	b.partial = filepath.Join(o.Output, "."+b.name+".partial")
	b.disk = b.partial
	if b.converted() {
		b.disk = b.file("disk.img")
	}
	return b
}

// file is the path of a file of the working directory.
func (b *builder) file(name string) string { return filepath.Join(b.work, name) }
