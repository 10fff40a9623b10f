package rootfs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"banyan/internal/command"
	"banyan/internal/progress"
	"banyan/packaging"
	"banyan/seeds"
)

// stage is a part of the build that is shown by itself. Its space is where its
// output goes.
type stage struct {
	name  string
	space space
	run   func(context.Context) (output, error)
}

// output is what a stage made.
type output struct {
	paths  []string // of files and trees
	cached bool     // they were there already
}

// plan is the stages, in groups that run one after the other. In a group several
// sequences run side by side: our own packages need nothing of the archives', and
// the initramfs nothing but the base tree.
func (b *builder) plan() [][][]stage {
	cache, work, dist := space{b.CacheDir, "--cache"}, space{filepath.Dir(b.work), "TMPDIR"}, space{b.Output, "--output"}
	image := []stage{{"disk image", dist, b.makeImage}, {"manifest", dist, b.finish}}
	if b.converted() {
		image = []stage{{"disk image", work, b.makeImage}, {b.Format.suffix(b.Compress)[1:], dist, b.convert}, image[1]}
	}
	return [][][]stage{
		{
			{{"own packages", work, b.makePackages}},
			{{"archives", cache, b.updateArchives}, {"packages", cache, b.fetchPackages}, {"base tree", cache, b.makeBase}},
		},
		{
			{{"initramfs", cache, b.makeInitramfs}},
			{{"root tree", work, b.makeRoot}, {"clean the tree", work, b.cleanRoot}, {"squashfs", work, b.makeSquashfs}},
		},
		{image},
	}
}

// run runs the plan and shows how it goes on.
func (b *builder) run(ctx context.Context, out *os.File) ([]progress.Stage, error) {
	plan, total := b.plan(), 0
	for _, group := range plan {
		for _, sequence := range group {
			total += len(sequence)
		}
	}
	show := progress.New(out, total)
	defer show.Close()
	for _, group := range plan {
		running, ctx := errgroup.WithContext(ctx)
		for _, sequence := range group {
			running.Go(func() error {
				for _, s := range sequence {
					if err := show.Run(s.name, func() (progress.Made, error) { return s.measure(ctx) }); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := running.Wait(); err != nil {
			return nil, err
		}
	}
	show.Close()
	return show.Done(), show.Table()
}

// measure runs a stage and says how much it made.
func (s stage) measure(ctx context.Context) (progress.Made, error) {
	if ctx.Err() != nil {
		return progress.Made{}, context.Cause(ctx)
	}
	out, err := s.run(ctx)
	if err != nil {
		return progress.Made{}, s.space.explain(err)
	}
	made := progress.Made{Cached: out.cached}
	for _, path := range out.paths {
		bytes, err := treeSize(path)
		if err != nil {
			return progress.Made{}, err
		}
		made.Bytes += bytes
	}
	return made, nil
}

func (b *builder) makePackages(context.Context) (output, error) {
	var err error
	b.ownDebs, err = packaging.Make(packaging.Options{Version: b.Version, Date: b.epoch, Output: b.work, Firstboot: b.Firstboot, DNSCP: b.DNSCP})
	return output{paths: b.ownDebs}, err
}

// updateArchives also finds out whether the cache has the base tree.
func (b *builder) updateArchives(ctx context.Context) (output, error) {
	near, err := machineMirrors(ctx)
	if err != nil {
		return output{}, err
	}
	b.archives = b.Profile.archivesAt(near, b.mirrors)
	if err := b.apt.update(ctx, b.archives); err != nil {
		return output{}, err
	}
	fingerprint, date, err := b.apt.fingerprint()
	if err != nil {
		return output{}, err
	}
	b.recipe = b.Profile.recipe(date)
	key, err := b.recipe.key(fingerprint)
	if err != nil {
		return output{}, err
	}
	b.basePath = b.cache.path("trees", b.Profile.Suite+"-"+key)
	switch b.base, err = readBase(b.basePath); {
	case err == nil:
		err = markUsed(b.basePath)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	return output{paths: []string{b.apt.dir}}, err
}

func (b *builder) fetchPackages(ctx context.Context) (output, error) {
	if b.base != nil {
		return output{cached: true}, nil
	}
	var err error
	b.packages, err = b.apt.fetch(ctx)
	return output{paths: []string{b.apt.debs}}, err
}

func (b *builder) makeBase(ctx context.Context) (output, error) {
	cached := b.base != nil
	if !cached {
		var err error
		if b.base, err = b.unpackBase(ctx); err != nil {
			return output{}, err
		}
	}
	return output{paths: []string{b.base.root()}, cached: cached}, nil
}

func (b *builder) makeInitramfs(ctx context.Context) (output, error) {
	var cached bool
	var err error
	b.initrd, cached, err = b.base.initramfs(ctx, b.recipe.Date, b.work)
	return output{paths: []string{b.initrd}, cached: cached}, err
}

// makeRoot makes the base an image's root.
func (b *builder) makeRoot(ctx context.Context) (output, error) {
	if err := b.mountRoot(ctx); err != nil {
		return output{}, err
	}
	if err := installPackages(ctx, b.root, b.ownDebs); err != nil {
		return output{}, err
	}
	if err := layOverlay(overlayTree, b.root); err != nil {
		return output{}, err
	}
	if err := b.laySeedKey(b.root); err != nil {
		return output{}, err
	}
	return output{paths: []string{b.root}}, b.Profile.setUnits(ctx, b.root)
}

// cleanRoot also refuses a root that no machine may get.
func (b *builder) cleanRoot(ctx context.Context) (output, error) {
	if err := b.Profile.clean(b.root); err != nil {
		return output{}, err
	}
	if err := b.Profile.verify(ctx, b.root); err != nil {
		return output{}, err
	}
	if err := makeFactory(ctx, b.root); err != nil {
		return output{}, err
	}
	return output{paths: []string{b.root}}, setDates(b.root, dates{after: b.began, to: b.epoch})
}

func (b *builder) makeSquashfs(ctx context.Context) (output, error) {
	root := b.file("root.squashfs")
	// zstd's level 9 takes three times as long as 3 for a root that is smaller by 4 %.
	_, err := command.Run(ctx, "mksquashfs", b.root, root, "-noappend", "-no-progress", "-quiet",
		"-comp", "zstd", "-Xcompression-level", "3", "-b", "256K", "-wildcards", "-e", "dev/*")
	return output{paths: []string{root}}, err
}

// makeImage makes the file systems that the image has besides the root, and the
// raw disk image of all.
func (b *builder) makeImage(ctx context.Context) (output, error) {
	volume := func(name string) string { return uuid.NewSHA1(b.id, []byte("volume "+name)).String()[:8] }
	if err := layOutESP(b.file("esp"), b.base, b.initrd, b.Profile.Name, b.Version); err != nil {
		return output{}, err
	}
	if err := (fat{"ESP", volume("esp"), "32", b.sizes.ESP}).make(ctx, b.file("esp.fat"), b.file("esp")); err != nil {
		return output{}, err
	}
	readme, err := overlay.ReadFile("overlay/README.txt")
	if err != nil {
		return output{}, err
	}
	for name, content := range map[string]string{"README.txt": string(readme), "seed.example.yaml": b.Example} {
		if err := writeFile(filepath.Join(b.file("banyan"), name), content, 0o644); err != nil {
			return output{}, err
		}
	}
	if err := (fat{seeds.PartitionName, volume("banyan"), "16", b.sizes.Banyan}).make(ctx, b.file("banyan.fat"), b.file("banyan")); err != nil {
		return output{}, err
	}
	if err := b.makeState(ctx, b.file("state.ext4")); err != nil {
		return output{}, err
	}
	core, err := biosCore(ctx, b.root)
	if err != nil {
		return output{}, err
	}
	boot, err := os.ReadFile(filepath.Join(b.root, "usr/lib/grub/i386-pc/boot.img"))
	if err != nil {
		return output{}, err
	}
	err = writeImage(b.disk, b.id, []partition{
		{name: "bios", kind: gpt.BIOSBoot, size: mebibyte},
		{name: "esp", kind: gpt.EFISystemPartition, size: b.sizes.ESP * mebibyte, source: b.file("esp.fat")},
		{name: seeds.PartitionName, kind: gpt.MicrosoftBasicData, size: b.sizes.Banyan * mebibyte, source: b.file("banyan.fat")},
		{name: "root-a", kind: gpt.LinuxRootX86_64, size: b.sizes.Root * mebibyte, source: b.file("root.squashfs")},
		{name: "root-b", kind: gpt.LinuxRootX86_64, size: b.sizes.Root * mebibyte},
		{name: "state", kind: gpt.LinuxFilesystem, size: b.sizes.State * mebibyte, source: b.file("state.ext4")},
	}, boot, core)
	return output{paths: []string{b.disk}}, err
}

// converted tells whether the raw disk image is not yet what is wanted.
func (b *builder) converted() bool { return b.Format != formatRaw || b.Compress }

// convert makes what is wanted of the raw disk image.
func (b *builder) convert(ctx context.Context) (output, error) {
	image := b.disk
	if b.Format != formatRaw {
		image = b.partial
		if b.Compress {
			image = b.file("disk" + b.Format.suffix(false))
		}
		args := []string{"convert", "-f", "raw", "-O", string(b.Format)}
		if b.Format == formatVMDK {
			args = append(args, "-o", "subformat=streamOptimized") // what other tools import
		}
		if _, err := command.Run(ctx, "qemu-img", append(args, b.disk, image)...); err != nil {
			return output{}, err
		}
	}
	if b.Compress {
		if _, err := command.Run(ctx, "zstd", "--quiet", "-T0", "-o", b.partial, image); err != nil {
			return output{}, err
		}
	}
	return output{paths: []string{b.partial}}, nil
}

// finish ends the build.
func (b *builder) finish(ctx context.Context) (output, error) {
	if err := b.writeManifest(ctx); err != nil {
		return output{}, err
	}
	return output{paths: []string{filepath.Join(b.Output, b.name+".json")}}, b.publish()
}
