package rootfs

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/google/uuid"
)

const mebibyte = 1 << 20

// partition is one partition of the image and the file that fills it.
type partition struct {
	name   string
	kind   gpt.Type
	size   int64  // bytes, a multiple of a mebibyte
	source string // a file to copy in; empty leaves it blank
}

// writeImage writes the partitions, in order, into the new disk image name.
// The GUIDs are derived from id, so that one input gives one image.
func writeImage(name string, id uuid.UUID, parts []partition, boot, core []byte) (err error) {
	const alignment = mebibyte
	size, starts := int64(alignment), make([]int64, len(parts))
	for i, p := range parts {
		starts[i] = size
		size += p.size
	}
	size += alignment // the backup table

	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(size); err != nil {
		return err
	}

	table := &gpt.Table{LogicalSectorSize: sectorSize, PhysicalSectorSize: sectorSize, ProtectiveMBR: true, GUID: id.String()}
	for i, p := range parts {
		table.Partitions = append(table.Partitions, &gpt.Partition{
			Index: i + 1,
			Start: uint64(starts[i] / sectorSize), End: uint64((starts[i]+p.size)/sectorSize) - 1,
			Type: p.kind, Name: p.name, GUID: uuid.NewSHA1(id, []byte(p.name)).String(),
		})
	}
	if err := table.Write(f, size); err != nil {
		return fmt.Errorf("write the partition table: %w", err)
	}
	for i, p := range parts {
		switch {
		case p.kind == gpt.BIOSBoot:
			err = installBIOS(f, boot, core, starts[i], p.size)
		case p.source != "":
			err = copySparse(f, starts[i], p.source, p.size)
		}
		if err != nil {
			return fmt.Errorf("partition %s: %w", p.name, err)
		}
	}
	return f.Sync()
}

// copySparse copies the file name to offset in f and leaves its holes holes.
func copySparse(f *os.File, offset int64, name string, room int64) error {
	src, err := os.Open(name)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	if info.Size() > room {
		return fmt.Errorf("%d MiB do not fit into %d: enlarge the partition in the profile", info.Size()/mebibyte+1, room/mebibyte)
	}
	for data, err := range dataOf(src) {
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.NewOffsetWriter(f, offset+data.start), io.NewSectionReader(src, data.start, data.end-data.start)); err != nil {
			return err
		}
	}
	return nil
}
