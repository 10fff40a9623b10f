package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/diskfs/go-diskfs"

	"banyan/internal/command"
	"banyan/seeds"
)

var errOneSeed = errors.New("a disk is one machine's and gets one seed: those for several go on a stick of their own, or into a file (--output)")

// WriteImage writes a seed onto the BANYAN partition of a raw disk image, in the
// place of an earlier one.
func WriteImage(ctx context.Context, image string, files []File) (Report, error) {
	if len(files) != 1 {
		return Report{}, errOneSeed
	}
	if err := isRaw(image); err != nil {
		return Report{}, err
	}
	v, err := onDisk(image)
	if err != nil {
		return Report{}, err
	}
	r, err := v.write(ctx, files)
	r.Target = "the BANYAN partition of " + image
	return r, unfinishedBy(err)
}

// formats are those of images which are no raw ones, by their first bytes, and the
// program that makes a raw one of each.
var formats = []struct{ magic, name, convert string }{
	{"QFI\xfb", "a qcow2 image", "qemu-img convert -O raw %s disk.img"},
	{"KDMV", "a vmdk image", "qemu-img convert -O raw %s disk.img"},
	{"\x28\xb5\x2f\xfd", "compressed by zstd", "zstd -d %s"},
	{"\x1f\x8b", "compressed by gzip", "gunzip %s"},
	{"\xfd7zXZ\x00", "compressed by xz", "unxz %s"},
}

// isRaw refuses what is no raw disk image.
func isRaw(image string) error {
	info, err := os.Stat(image)
	if err != nil {
		return err
	}
	switch {
	case info.Mode().Type() == fs.ModeDevice:
		return fmt.Errorf("%s is a device: name it with --device", image)
	case !info.Mode().IsRegular() || info.Size() == 0:
		return fmt.Errorf("%s is no disk image", image)
	}
	f, err := os.Open(image)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 8)
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, format := range formats {
		if bytes.HasPrefix(head, []byte(format.magic)) {
			return fmt.Errorf("%s is %s, and a seed is written to raw ones: "+format.convert, image, format.name, image)
		}
	}
	return nil
}

// onDisk is the BANYAN partition of a disk or of an image of one; [fs.ErrNotExist]
// says that there is none.
func onDisk(name string) (volume, error) {
	table, err := partitions(name)
	if err != nil {
		return volume{}, err
	}
	found := slices.DeleteFunc(table, func(p partition) bool { return p.name != seeds.PartitionName })
	switch len(found) {
	case 0:
		return volume{}, fmt.Errorf("%s has no partition named %s: %w", name, seeds.PartitionName, fs.ErrNotExist)
	case 1:
		v := found[0].volume
		v.machines = true
		return v, nil
	}
	return volume{}, fmt.Errorf("%s has several partitions named %s", name, seeds.PartitionName)
}

// partition is one of a disk's.
type partition struct {
	volume
	name string // in a GPT
}

// partitions are those that the table of a disk lists, whether the kernel knows them
// or not; none where it has no table.
func partitions(name string) ([]partition, error) {
	disk, err := diskfs.Open(name, diskfs.WithOpenMode(diskfs.ReadOnly))
	if err != nil {
		return nil, err
	}
	defer disk.Close()
	table, err := disk.GetPartitionTable()
	if err != nil {
		return nil, nil // it does not tell whether there is none, which blkid does
	}
	var list []partition
	for _, p := range table.GetPartitions() {
		if p.GetSize() == 0 { // of a table with a fixed number of entries
			continue
		}
		list = append(list, partition{volume{disk: name, offset: p.GetStart(), size: p.GetSize()}, p.Label()})
	}
	return list, nil
}

// leastVolume is the size of the least volume that is made: FAT16, which everything
// reads, begins there.
const leastVolume = 16 << 20

// mkfs makes a FAT file system for seeds.
func mkfs(ctx context.Context, name string, args ...string) error {
	_, err := command.Run(ctx, "mkfs.vfat", append(args, "-I", "-n", seeds.VolumeLabel, name)...)
	return err
}
