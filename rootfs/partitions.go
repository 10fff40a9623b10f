package rootfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/google/uuid"

	"banyan/internal/command"
	"banyan/internal/progress"
)

// around is what the disk has beside the partitions of a profile, in bytes: the
// partition table, the BIOS boot partition and the backup table.
const around = 3 * mebibyte

// fill is p with a state that fills a disk of size bytes, rounded down to whole
// mebibytes; 0 stands for the size that p has by itself.
func (p Partitions) fill(size int64) (Partitions, error) {
	least := around + (p.ESP+p.Banyan+2*p.Root+p.State)*mebibyte
	switch {
	case size == 0:
	case size < least:
		return p, fmt.Errorf("a disk of %s is too small: the partitions of the profile take %s: raise --size", progress.Bytes(size), progress.Bytes(least))
	default:
		p.State += (size - least) / mebibyte
	}
	return p, nil
}

func (b *builder) makeImage(ctx context.Context) (progress.Made, error) {
	sizeOf := b.sizes
	volume := func(name string) string { return uuid.NewSHA1(b.id, []byte("volume "+name)).String()[:8] }

	if err := bootFiles(b.file("esp"), b.base, b.initrd, b.Profile.Name, b.Version); err != nil {
		return progress.Made{}, err
	}
	if err := makeFAT(ctx, b.file("esp.fat"), "ESP", volume("esp"), "32", sizeOf.ESP*mebibyte, b.file("esp")); err != nil {
		return progress.Made{}, err
	}
	readme, err := overlay.ReadFile("overlay/README.txt")
	if err != nil {
		return progress.Made{}, err
	}
	for name, content := range map[string]string{"README.txt": string(readme), "seed.example.yaml": b.Example} {
		if err := writeFile(filepath.Join(b.file("banyan"), name), content, 0o644); err != nil {
			return progress.Made{}, err
		}
	}
	if err := makeFAT(ctx, b.file("banyan.fat"), "BANYAN", volume("banyan"), "16", sizeOf.Banyan*mebibyte, b.file("banyan")); err != nil {
		return progress.Made{}, err
	}
	if err := makeSparse(b.file("state.ext4"), sizeOf.State*mebibyte); err != nil {
		return progress.Made{}, err
	}
	stateID := uuid.NewSHA1(b.id, []byte("volume state")).String()
	// It is made small and grows with the disk: a journal and room for group descriptors as a large one has.
	_, err = command.Command{
		Name: "mkfs.ext4", Args: []string{"-q", "-L", "state", "-U", stateID, "-E", "resize=4294967295,hash_seed=" + stateID,
			"-J", "size=128", "-e", "remount-ro", "-m", "1", b.file("state.ext4")},
		Env: []string{fmt.Sprintf("E2FSPROGS_FAKE_TIME=%d", b.epoch.Unix())}, // before 1.47.1 it knows no SOURCE_DATE_EPOCH
	}.Run(ctx)
	if err != nil {
		return progress.Made{}, err
	}

	core, err := biosCore(ctx, b.root)
	if err != nil {
		return progress.Made{}, err
	}
	boot, err := os.ReadFile(filepath.Join(b.root, "usr/lib/grub/i386-pc/boot.img"))
	if err != nil {
		return progress.Made{}, err
	}
	err = writeImage(b.raw, b.id, []partition{
		{name: "bios", kind: gpt.BIOSBoot, size: mebibyte},
		{name: "esp", kind: gpt.EFISystemPartition, size: sizeOf.ESP * mebibyte, source: b.file("esp.fat")},
		{name: "BANYAN", kind: gpt.MicrosoftBasicData, size: sizeOf.Banyan * mebibyte, source: b.file("banyan.fat")},
		{name: "root-a", kind: gpt.LinuxRootX86_64, size: sizeOf.Root * mebibyte, source: b.file("root.squashfs")},
		{name: "root-b", kind: gpt.LinuxRootX86_64, size: sizeOf.Root * mebibyte},
		{name: "state", kind: gpt.LinuxFilesystem, size: sizeOf.State * mebibyte, source: b.file("state.ext4")},
	}, boot, core)
	if err != nil {
		return progress.Made{}, err
	}
	return made(b.raw)
}
