package media

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"banyan/internal/command"
	"banyan/internal/durable"
	"banyan/internal/scratch"
	"banyan/seeds"
)

// WriteFile makes an image of a stick (FILE.img, FAT) or of a CD (FILE.iso, ISO 9660)
// that holds the seeds and is labelled BANYAN-SEED. It is readable by its owner alone.
// It replaces a file that is such an image already, and no other. With
// SOURCE_DATE_EPOCH set, one input gives one image.
func WriteFile(ctx context.Context, output string, files []File) (r Report, err error) {
	kind, ok := map[string]struct {
		filesystem string
		make       func(context.Context, string, []File) error
	}{".img": {"vfat", makeFAT}, ".iso": {"iso9660", makeISO}}[strings.ToLower(filepath.Ext(output))]
	if !ok {
		return Report{}, fmt.Errorf("%s: a name that ends in .img makes the image of a stick, one in .iso that of a CD", output)
	}
	if err := replaceable(ctx, output); err != nil {
		return Report{}, err
	}
	// What is not whole yet lies where the secrets are meant to be, and nowhere else.
	dir, lock, err := scratch.Make(filepath.Dir(output), ".banyan-seed-")
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir), lock.Close()) }()
	whole := filepath.Join(dir, filepath.Base(output))
	if err := kind.make(ctx, whole, files); err != nil {
		return Report{}, err
	}
	if err := errors.Join(os.Chmod(whole, 0o600), settle(whole)); err != nil {
		return Report{}, err
	}
	if err := (volume{disk: whole, filesystem: kind.filesystem}).compare(files, nil); err != nil {
		return Report{}, err
	}
	r.Target = output
	for _, f := range files {
		r.Files = append(r.Files, f.Name)
	}
	return r, durable.Rename(whole, output)
}

// replaceable refuses to replace what was not made here.
func replaceable(ctx context.Context, output string) error {
	info, err := os.Lstat(output)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() == fs.ModeDevice {
		return fmt.Errorf("%s is a device: name it with --device", output)
	}
	found := map[string]string{}
	if info.Mode().IsRegular() {
		if found, err = (partition{volume{disk: output, size: info.Size()}, ""}).probe(ctx); err != nil {
			return err
		}
	}
	if found["LABEL"] != seeds.VolumeLabel {
		return fmt.Errorf("%s is there, and no volume %s: choose another name (or --image, to put the seed on the image of a disk)", output, seeds.VolumeLabel)
	}
	return nil
}

// makeFAT makes the image of a stick without a partition table.
func makeFAT(ctx context.Context, name string, files []File) error {
	size := int64(leastVolume)
	for _, f := range files {
		size += int64(len(f.Data)) + 64<<10 // its last cluster is not full, and it has a name
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	const sector = 512
	if err := errors.Join(f.Truncate((size+sector-1)/sector*sector), f.Close()); err != nil {
		return err
	}
	if err := mkfs(ctx, name, "--invariant", "-F", "16"); err != nil {
		return err
	}
	_, err = volume{disk: name}.write(ctx, files)
	return err
}

// makeISO makes the image of a CD. ISO 9660 by itself has names of eight letters:
// Linux takes them from Rock Ridge, Windows from Joliet.
func makeISO(ctx context.Context, name string, files []File) error {
	tree := name + ".d"
	for _, f := range files {
		file := filepath.Join(tree, f.Name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, f.Data, 0o600); err != nil {
			return err
		}
	}
	args := []string{"-as", "mkisofs", "-quiet", "-V", seeds.VolumeLabel, "-R", "-J", "-uid", "0", "-gid", "0", "-o", name}
	if epoch, ok := os.LookupEnv("SOURCE_DATE_EPOCH"); ok { // which xorriso heeds for the volume, and not for its files
		args = append(args, "--set_all_file_dates", "="+epoch)
	}
	_, err := command.Command{Name: "xorriso", Args: append(args, tree), Env: []string{"TZ=UTC0"}}.Run(ctx)
	return err
}
