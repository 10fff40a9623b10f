package rootfs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"banyan/internal/command"
	"banyan/internal/progress"
	"banyan/packaging"
)

// stage is a part of the build that is shown by itself. Its space is where what
// it makes goes.
type stage struct {
	name  string
	space space
	run   func(context.Context) (progress.Made, error)
}

// run runs all stages. The initramfs needs the base alone, so it is made beside the root.
func (b *builder) run(ctx context.Context, out *os.File) (done []progress.Stage, err error) {
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
	defer func() {
		show.Close()
		if err == nil {
			err = show.Table()
		}
	}()
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
	return show.Done(), nil
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
