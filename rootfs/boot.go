package rootfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/google/uuid"

	"banyan/internal/command"
	"banyan/internal/grubenv"
)

const sectorSize = 512

// grubModules are those that a BIOS core image needs to read the ESP and
// grub.cfg; Debian's signed image for UEFI has them all inside.
var grubModules = []string{"biosdisk", "part_gpt", "fat", "normal", "configfile", "linux", "loadenv", "probe", "regexp", "test", "echo",
	"serial", "terminal", "minicmd", "all_video", "reboot", "halt"}

// layOutESP lays out the ESP below dir: Debian's signed shim and GRUB where
// firmware looks when no boot entry was made, GRUB's own files, and the
// kernel of slot a.
func layOutESP(dir string, base *base, initrd, profile, version string) error {
	kernel, _, err := base.kernel()
	if err != nil {
		return err
	}
	for to, from := range map[string]string{
		"EFI/BOOT/BOOTX64.EFI": filepath.Join(base.root(), "usr/lib/shim/shimx64.efi.signed"),
		"EFI/BOOT/mmx64.efi":   filepath.Join(base.root(), "usr/lib/shim/mmx64.efi.signed"),
		"EFI/BOOT/grubx64.efi": filepath.Join(base.root(), "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"),
		"banyan/a/vmlinuz":     kernel,
		"banyan/a/initrd.img":  initrd,
	} {
		content, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("the tree lacks a boot file: %w", err)
		}
		if err := writeFile(filepath.Join(dir, to), string(content), 0o644); err != nil {
			return err
		}
	}
	configuration, err := grubFiles(profile, version)
	if err != nil {
		return err
	}
	for name, content := range configuration {
		if err := writeFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// grubFiles are GRUB's own files on the ESP: the disk's, and those that come with
// the image in slot a.
func grubFiles(profile, version string) (map[string]string, error) {
	shared, err := overlay.ReadFile("overlay/grub.cfg")
	if err != nil {
		return nil, err
	}
	ofSlot, err := template.ParseFS(overlay, "overlay/slot.cfg")
	if err != nil {
		return nil, err
	}
	var entry strings.Builder
	if err := ofSlot.Execute(&entry, struct{ Version, Profile string }{version, profile}); err != nil {
		return nil, err
	}
	choice, err := grubenv.Format(grubenv.Variable{Name: "slot", Value: "a"})
	if err != nil {
		return nil, err
	}
	held, err := grubenv.Format(grubenv.Variable{Name: "version", Value: version}, grubenv.Variable{Name: "profile", Value: profile},
		grubenv.Variable{Name: "arguments"})
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"EFI/debian/grub.cfg": "configfile /banyan/grub.cfg\n", // where Debian's signed GRUB looks
		"banyan/grub.cfg":     string(shared),
		"banyan/grubenv":      string(choice),
		"banyan/a/grub.cfg":   entry.String(),
		"banyan/a/grubenv":    string(held),
	}, nil
}

// biosCore makes GRUB's core image for BIOS with the tree's own GRUB. It finds
// its configuration on the second partition of the disk that it is loaded from.
func biosCore(ctx context.Context, root string) ([]byte, error) {
	const inside = "/tmp/core.img"
	args := append([]string{"--format=i386-pc", "--prefix=(,gpt2)/banyan", "--output=" + inside}, grubModules...)
	if _, err := inChroot(ctx, root, nil, "grub-mkimage", args...); err != nil {
		return nil, err
	}
	core, err := os.ReadFile(root + inside)
	return core, errors.Join(err, os.Remove(root+inside))
}

// installBIOS makes the disk bootable by BIOS: boot.img into the boot code area
// of the MBR, core into the BIOS boot partition at byte offset start. It does
// what grub-bios-setup does on a real disk (GRUB's util/setup.c): boot.img is
// told the core's first sector, the core where its other sectors are.
func installBIOS(disk *os.File, boot, core []byte, start, size int64) error {
	const (
		bootCode     = 440             // of the MBR; the disk signature and the partition table follow
		driveCheck   = 0x66            // GRUB_BOOT_MACHINE_DRIVE_CHECK
		kernelSector = 0x5c            // GRUB_BOOT_MACHINE_KERNEL_SECTOR
		firstBlock   = sectorSize - 12 // of the core's first sector: sector (8 bytes), length (2), segment (2)
	)
	if len(boot) != sectorSize || len(core) < 2*sectorSize {
		return fmt.Errorf("boot.img of %d and core.img of %d bytes are not GRUB's", len(boot), len(core))
	}
	if int64(len(core)) > size {
		return fmt.Errorf("core.img of %d bytes does not fit the BIOS boot partition of %d", len(core), size)
	}
	boot, core = bytes.Clone(boot), bytes.Clone(core)
	sector := uint64(start / sectorSize)
	binary.LittleEndian.PutUint64(boot[kernelSector:], sector)
	copy(boot[driveCheck:], []byte{0x90, 0x90}) // no floppy: trust the drive number that the BIOS gives
	binary.LittleEndian.PutUint64(core[firstBlock:], sector+1)
	sectors := (len(core) + sectorSize - 1) / sectorSize
	binary.LittleEndian.PutUint16(core[firstBlock+8:], uint16(sectors-1))

	if _, err := disk.WriteAt(boot[:bootCode], 0); err != nil {
		return err
	}
	_, err := disk.WriteAt(core, start)
	return err
}

// fat is a FAT file system.
type fat struct {
	label, id string
	bits      string // 16 or 32
	mebibytes int64
}

// make makes the file system in the new file name, with the files below dir in it.
func (f fat) make(ctx context.Context, name, dir string) error {
	if err := makeSparse(name, f.mebibytes*mebibyte); err != nil {
		return err
	}
	if _, err := command.Run(ctx, "mkfs.vfat", "--invariant", "-F", f.bits, "-n", f.label, "-i", f.id, name); err != nil {
		return err
	}
	utc := []string{"TZ=UTC0"} // FAT has local time, and two builds are one
	// One by one and in order, so that one input gives one file system.
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		inside := "::/" + strings.TrimPrefix(strings.TrimPrefix(path, dir), "/")
		switch {
		case err != nil || path == dir:
			return err
		case d.IsDir():
			_, err = command.Command{Name: "mmd", Args: []string{"-i", name, inside}, Env: utc}.Run(ctx)
		default:
			_, err = command.Command{Name: "mcopy", Args: []string{"-i", name, path, inside}, Env: utc}.Run(ctx)
		}
		if err != nil && strings.Contains(err.Error(), "Disk full") {
			return fmt.Errorf("partition %s: what goes into it does not fit into %d MiB: enlarge the partition in the profile", f.label, f.mebibytes)
		}
		return err
	})
}

// makeState makes the file system of the partition state in the new file name.
func (b *builder) makeState(ctx context.Context, name string) error {
	if err := makeSparse(name, b.sizes.State*mebibyte); err != nil {
		return err
	}
	id := uuid.NewSHA1(b.id, []byte("volume state")).String()
	// It is made small and grows with the disk: a journal and room for group descriptors as a large one has.
	_, err := command.Command{
		Name: "mkfs.ext4",
		Args: []string{"-q", "-L", "state", "-U", id, "-E", "resize=4294967295,hash_seed=" + id, "-J", "size=128", "-e", "remount-ro", "-m", "1", name},
		Env:  []string{fmt.Sprintf("E2FSPROGS_FAKE_TIME=%d", b.epoch.Unix())}, // before 1.47.1 it knows no SOURCE_DATE_EPOCH
	}.Run(ctx)
	return err
}
