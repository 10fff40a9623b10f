package converge

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"banyan/internal/command"
	"banyan/internal/disk"
	"banyan/internal/durable"
	"banyan/internal/facts"
)

// A wipe counts once, for whichever volume.
func TestFilesystemIsWipedOnce(t *testing.T) {
	m := liveMachine(t)
	f := ours(attach(t, 4))
	f.Wipe = "S/1"
	do(t, "mkfs.ext4", "-q", "-L", "old", device(f.Disk))
	formatted(t, m, f, "volume data: wipe "+device(f.Disk)+`, which holds ext4, labelled "old", UUID `)

	do(t, "mkfs.vfat", "-I", device(f.Disk))
	refused(t, m, f, "the volume data is on "+f.Disk.String()+", which holds vfat, UUID ")
	if err := os.Remove(f.record(m)); err != nil {
		t.Fatal(err)
	}
	refused(t, m, f, "the wipe that the seed asks for was used before: it counts once. Remove "+f.wiped(m))
	f.Volume = "wal"
	refused(t, m, f, "was used before")
	if err := os.Remove(f.wiped(m)); err != nil {
		t.Fatal(err)
	}
	formatted(t, m, f, "wipe")
}

// A wipe that was interrupted is a wipe, and has been used once it is done.
func TestWipeIsInterrupted(t *testing.T) {
	m := liveMachine(t)
	f := ours(attach(t, 4))
	f.Wipe = "S/1"
	write(t, f.formatting(m), f.identity())
	do(t, "mkfs.vfat", "-I", device(f.Disk))
	formatted(t, m, f, "wipe "+device(f.Disk)+", which holds vfat")
	refusedLater(t, m, f)

	f = ours(attach(t, 4))
	f.Wipe = "S/1"
	m = liveMachine(t)
	write(t, f.formatting(m), f.identity())
	formatted(t, m, f, ", which was interrupted") // wiped until it was empty
	refusedLater(t, m, f)
}

func refusedLater(t *testing.T, m Machine, f Filesystem) {
	t.Helper()
	do(t, "mkfs.vfat", "-I", device(f.Disk))
	if err := os.Remove(f.record(m)); err != nil {
		t.Fatal(err)
	}
	refused(t, m, f, "was used before")
}

// The word that lets a disk be wiped is used up also where nothing had to be wiped.
func TestWipeOfAnEmptyDisk(t *testing.T) {
	for name, before := range map[string]func(t *testing.T, f Filesystem){
		"empty": func(*testing.T, Filesystem) {},
		"ours": func(t *testing.T, f Filesystem) {
			do(t, "mkfs.ext4", "-q", "-U", f.UUID, "-L", f.Label, device(f.Disk))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := liveMachine(t)
			f := ours(attach(t, 4))
			f.Wipe = "S/1"
			before(t, f)
			formatted(t, m, f, "volume data: ")
			refusedLater(t, m, f)
		})
	}
}

// What was ours and is damaged can be mended, and is not formatted, whatever the seed says.
func TestDamagedFilesystem(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, d facts.Disk){
		"superblock": func(t *testing.T, d facts.Disk) { put(t, d, 1024+56, []byte{0, 0}) },
		"zeroed":     func(t *testing.T, d facts.Disk) { do(t, "blkdiscard", "--zeroout", device(d)) },
	} {
		t.Run(name, func(t *testing.T) {
			m := liveMachine(t)
			f := ours(attach(t, 4))
			formatted(t, m, f, "format")
			damage(t, f.Disk)
			f.Wipe = "S/1"
			refused(t, m, f, "the volume data is on "+f.Disk.String()+", which holds ")
		})
	}
}

// Two disks without serial numbers may be two.
func TestDisksWithoutSerialNumbers(t *testing.T) {
	m := liveMachine(t)
	f := ours(attach(t, 4))
	f.Disk.Serial = ""
	formatted(t, m, f, "format")
	other := ours(attach(t, 4))
	other.Disk.Serial = ""
	refused(t, m, other, "is empty, and the volume data was on ")
}

// Whatever a power cut leaves while a disk is formatted, the next run formats it.
func TestFormattingIsInterrupted(t *testing.T) {
	const half = 2 << 20
	for name, left := range map[string]func(t *testing.T, f Filesystem){
		"nothing done":     func(*testing.T, Filesystem) {},
		"no superblock":    func(t *testing.T, f Filesystem) { put(t, f.Disk, 1024, make([]byte, 1024)) },
		"the first half":   func(t *testing.T, f Filesystem) { put(t, f.Disk, half, make([]byte, half)) },
		"the second half":  func(t *testing.T, f Filesystem) { put(t, f.Disk, 0, make([]byte, half)) },
		"half a signature": func(t *testing.T, f Filesystem) { put(t, f.Disk, 1024+56, []byte{0}) },
		"garbled":          func(t *testing.T, f Filesystem) { put(t, f.Disk, 4096, garbage(64<<10)) },
		"all but the mark": func(t *testing.T, f Filesystem) { do(t, "e2fsck", "-fn", device(f.Disk)) },
	} {
		t.Run(name, func(t *testing.T) {
			m := liveMachine(t)
			f := ours(attach(t, 4))
			if name != "nothing done" {
				apply(t, m, f)
			}
			left(t, f)
			write(t, f.formatting(m), f.identity())
			formatted(t, m, f, ", which was interrupted")
			do(t, "e2fsck", "-fn", device(f.Disk))
		})
	}
}

// While it is formatted the mark is there, for all that is done to the disk.
func TestFormattingIsMarked(t *testing.T) {
	m := liveMachine(t)
	f := ours(attach(t, 4))
	f.Type = "none" // which mkfs knows nothing of
	if _, err := Apply(t.Context(), m, one(f), nil); err == nil || !strings.Contains(err.Error(), "mkfs.none is not installed") {
		t.Errorf("the error is %v", err)
	}
	if got := content(t, f.formatting(m)); got != fmt.Sprintf("S/1 %d\n", f.Disk.Size) {
		t.Errorf("the mark is %q", got)
	}
}

func TestDiskInUse(t *testing.T) {
	m := liveMachine(t)
	f := ours(attach(t, 4))
	f.Wipe = "S/1"
	do(t, "mkfs.ext4", "-q", device(f.Disk))
	dir := t.TempDir()
	do(t, "mount", "-o", "ro,noload", device(f.Disk), dir)
	t.Cleanup(func() {
		if _, err := command.Run(context.WithoutCancel(t.Context()), "umount", dir); err != nil {
			t.Error(err)
		}
	})
	refused(t, m, f, device(f.Disk)+" is in use: lsblk "+device(f.Disk)+" says by what")
	if there, err := durable.Exists(f.formatting(m)); there || err != nil {
		t.Errorf("it is marked, %v", err)
	}
}

// A file system that is whole is never formatted because of a mark once it may have been
// mounted: no unit mounts it while the mark is there, and whoever did by hand has it in use.
func TestInterruptedDiskInUse(t *testing.T) {
	m := liveMachine(t)
	f := ours(attach(t, 4))
	apply(t, m, f)
	write(t, f.formatting(m), f.identity())
	claim, err := disk.Claim(device(f.Disk))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, m, f, "is in use")
	if err := claim.Close(); err != nil {
		t.Fatal(err)
	}
}
