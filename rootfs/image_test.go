package rootfs

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs"
	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/google/uuid"

	"banyan/internal/command"
)

// fakeGRUB is a boot.img and a core.img of three sectors and a bit.
func fakeGRUB() (boot, core []byte) {
	return bytes.Repeat([]byte{0xb0}, sectorSize), bytes.Repeat([]byte{0xc0}, 3*sectorSize+100)
}

func TestWriteImage(t *testing.T) {
	dir := t.TempDir()
	content := filepath.Join(dir, "content")
	if err := makeSparse(content, 64*mebibyte); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(content, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	mark := []byte("in the middle of a hole")
	if _, err := f.WriteAt(mark, 33*mebibyte); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	image := filepath.Join(dir, "image")
	boot, core := fakeGRUB()
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte("test"))
	parts := []partition{
		{name: "bios", kind: gpt.BIOSBoot, size: mebibyte},
		{name: "content", kind: gpt.LinuxFilesystem, size: 64 * mebibyte, source: content},
		{name: "blank", kind: gpt.LinuxFilesystem, size: 8 * mebibyte},
	}
	if err := writeImage(image, id, parts, boot, core); err != nil {
		t.Fatal(err)
	}

	// Another implementation finds nothing wrong with the table.
	said, err := command.Run(t.Context(), "sfdisk", "--verify", image)
	if err != nil {
		t.Errorf("sfdisk --verify: %v\n%s", err, said)
	}
	disk, err := diskfs.Open(image, diskfs.WithOpenMode(diskfs.ReadOnly))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	read, err := disk.GetPartitionTable()
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range read.GetPartitions()[:len(parts)] {
		if p.Label() != parts[i].name || p.GetSize() != parts[i].size {
			t.Errorf("partition %d is %s of %d bytes, want %s of %d", i+1, p.Label(), p.GetSize(), parts[i].name, parts[i].size)
		}
		if want := uuid.NewSHA1(id, []byte(parts[i].name)).String(); !strings.EqualFold(p.UUID(), want) {
			t.Errorf("partition %d has the GUID %s, want %s", i+1, p.UUID(), want)
		}
	}

	whole, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	start := 2 * mebibyte // of content: the table's mebibyte and bios come before it
	if got := whole[start+33*mebibyte:][:len(mark)]; !bytes.Equal(got, mark) {
		t.Errorf("content was not copied to its place: %q", got)
	}
	info, err := os.Stat(image)
	if err != nil {
		t.Fatal(err)
	}
	if taken := onDisk(info); taken > 2*mebibyte {
		t.Errorf("a sparse source gave an image that takes %d bytes", taken)
	}
}

// What GRUB finds where, by the offsets of its own boot sectors.
func TestInstallBIOS(t *testing.T) {
	disk, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	const tableByte = 0x55
	if _, err := disk.WriteAt(bytes.Repeat([]byte{tableByte}, sectorSize), 0); err != nil {
		t.Fatal(err)
	}
	boot, core := fakeGRUB()
	if err := installBIOS(disk, boot, core, mebibyte, mebibyte); err != nil {
		t.Fatal(err)
	}
	written := make([]byte, 2*mebibyte)
	if _, err := disk.ReadAt(written[:mebibyte+len(core)], 0); err != nil {
		t.Fatal(err)
	}
	if sector := binary.LittleEndian.Uint64(written[0x5c:]); sector != mebibyte/sectorSize {
		t.Errorf("boot.img looks for the core at sector %d", sector)
	}
	if written[0x66] != 0x90 || written[0x67] != 0x90 {
		t.Error("boot.img does not trust the BIOS's drive number")
	}
	if !bytes.Equal(written[440:512], bytes.Repeat([]byte{tableByte}, 72)) {
		t.Error("the partition table of the MBR was written over")
	}
	list := written[mebibyte+sectorSize-12:]
	if sector, count := binary.LittleEndian.Uint64(list), binary.LittleEndian.Uint16(list[8:]); sector != mebibyte/sectorSize+1 || count != 3 {
		t.Errorf("the core looks for the rest of itself in %d sectors from %d", count, sector)
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	dir := t.TempDir()
	boot, core := fakeGRUB()
	content := filepath.Join(dir, "content")
	if err := makeSparse(content, 9*mebibyte); err != nil {
		t.Fatal(err)
	}
	for name, part := range map[string]partition{
		"core":    {name: "bios", kind: gpt.BIOSBoot, size: sectorSize},
		"content": {name: "root-a", kind: gpt.LinuxFilesystem, size: 8 * mebibyte, source: content},
	} {
		err := writeImage(filepath.Join(dir, "image-"+name), uuid.New(), []partition{part}, boot, core)
		if err == nil || !strings.Contains(err.Error(), "partition "+part.name) || !strings.Contains(err.Error(), "not fit") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
