package converge

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"banyan/internal/command"
	"banyan/internal/disk"
	"banyan/internal/durable"
	"banyan/internal/facts"
)

const ourUUID = "7d3f1d1e-0000-8000-8000-00c0ffee0001"

// attach is an empty disk of so many MiB, until the test ends: a loop device.
func attach(t *testing.T, mebibytes int64) facts.Disk {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, mebibytes<<20)); err != nil {
		t.Fatal(err)
	}
	device := do(t, "losetup", "--find", "--show", file)
	t.Cleanup(func() {
		if _, err := command.Run(context.WithoutCancel(t.Context()), "losetup", "--detach", device); err != nil {
			t.Error(err)
		}
	})
	return facts.Disk{Name: filepath.Base(device), Serial: "S/1", Size: mebibytes << 20}
}

// do runs a program that has to succeed, and returns what it says.
func do(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := command.Run(t.Context(), name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func device(d facts.Disk) string { return "/dev/" + d.Name }

// put writes to a disk.
func put(t *testing.T, d facts.Disk, at int64, content []byte) {
	t.Helper()
	f, err := os.OpenFile(device(d), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(content, at)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// garbage is what nobody knows.
func garbage(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails
	return b
}

func open(t *testing.T, d facts.Disk) io.Reader {
	t.Helper()
	f, err := os.Open(device(d))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // it was read
	return f
}

// hash is of all of a disk, but for the xfs one, which has to be large.
func hash(t *testing.T, d facts.Disk) string {
	t.Helper()
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(open(t, d), 16<<20)); err != nil {
		t.Fatal(err)
	}
	return string(sum.Sum(nil))
}

func holding(t *testing.T, d facts.Disk) disk.Holding {
	t.Helper()
	h, err := disk.Probe(t.Context(), device(d))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ours(d facts.Disk) Filesystem {
	return Filesystem{Volume: "data", Disk: d, Type: "ext4", UUID: ourUUID, Label: "pgdata"}
}

func liveMachine(t *testing.T) Machine { return Machine{Root: t.TempDir(), Live: true} }

// formatted makes sure that a volume is formatted, and then left alone.
func formatted(t *testing.T, m Machine, f Filesystem, what string) {
	t.Helper()
	if got := changes(apply(t, m, f)); len(got) != 1 || !strings.Contains(got[0], what) {
		t.Errorf("%q, want %s", got, what)
	}
	h := holding(t, f.Disk)
	if h.Filesystem != f.Type || h.UUID != f.UUID || h.Label != f.Label {
		t.Errorf("there is %+v", h)
	}
	if there, err := durable.Exists(f.formatting(m)); there || err != nil {
		t.Errorf("it is still marked, %v", err)
	}
	before := hash(t, f.Disk)
	if again := changes(apply(t, m, f)); len(again) > 0 || hash(t, f.Disk) != before {
		t.Errorf("a second Apply: %q", again)
	}
}

// refused makes sure that a disk stays as it is, byte for byte.
func refused(t *testing.T, m Machine, f Filesystem, want string) {
	t.Helper()
	before := hash(t, f.Disk)
	_, err := Apply(t.Context(), m, one(f), nil)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("want %s: got %v", want, err)
	}
	if hash(t, f.Disk) != before {
		t.Error("the disk was written to")
	}
}

func TestFilesystem(t *testing.T) {
	m := liveMachine(t)
	f := ours(attach(t, 4))
	before := hash(t, f.Disk)
	off := Machine{Root: m.Root}
	if got := changes(apply(t, off, f)); len(got) > 0 {
		t.Errorf("off line: %q", got)
	}
	if report, err := Diff(t.Context(), m, one(f)); err != nil || len(changes(report)) != 1 || hash(t, f.Disk) != before {
		t.Errorf("the comparison: %q, %v", changes(report), err)
	}
	formatted(t, m, f, "volume data: format /dev/"+f.Disk.Name+", serial S/1, 4 MB as ext4")
	if there, err := durable.Exists(f.wiped(m)); there || err != nil {
		t.Errorf("an empty disk counts as wiped, %v", err)
	}
	do(t, "e2fsck", "-fn", device(f.Disk))

	xfs := ours(attach(t, 320))
	xfs.Volume, xfs.Type = "wal", "xfs"
	formatted(t, m, xfs, "as xfs")
	do(t, "xfs_repair", "-n", device(xfs.Disk))

	f.Wrong = "no disk fits"
	refused(t, m, f, "volume data: no disk fits")
}

func TestFilesystemRefuses(t *testing.T) {
	const last = 4<<20 - 1
	script := func(t *testing.T, d facts.Disk, label string) {
		c := command.Command{Name: "sfdisk", Args: []string{"--quiet", device(d)}, Stdin: strings.NewReader("label: " + label + "\nsize=1M\n")}
		if _, err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for want, fill := range map[string]func(*testing.T, facts.Disk){
		`holds vfat, labelled "PHOTOS", UUID 1234-ABCD and is left`: func(t *testing.T, d facts.Disk) {
			do(t, "mkfs.vfat", "-I", "-n", "PHOTOS", "-i", "1234ABCD", device(d))
		},
		`holds ext4, labelled "an \"old\" one", UUID `: func(t *testing.T, d facts.Disk) {
			do(t, "mkfs.ext4", "-q", "-L", `an "old" one`, device(d))
		},
		"holds ext3, labelled \"pgdata\", UUID " + ourUUID: func(t *testing.T, d facts.Disk) {
			do(t, "mkfs.ext3", "-q", "-L", "pgdata", "-U", ourUUID, device(d))
		},
		"holds a partition table (gpt) and is left": func(t *testing.T, d facts.Disk) { script(t, d, "gpt") },
		"holds a partition table (dos) and is left": func(t *testing.T, d facts.Disk) { script(t, d, "dos") },
		"holds swap, UUID ":                         func(t *testing.T, d facts.Disk) { do(t, "mkswap", device(d)) },
		"holds data of no known kind and is left as it is: take another disk, or, if all of it may be lost, " +
			"write wipe: S/1 into storage.volumes.data of the seed": func(t *testing.T, d facts.Disk) { put(t, d, 0, garbage(4096)) },
		"holds data of no known kind and": func(t *testing.T, d facts.Disk) { put(t, d, last, []byte{1}) },
		"holds data of no known kind":     func(t *testing.T, d facts.Disk) { put(t, d, 1<<20-1, []byte{1}) },
	} {
		t.Run(want, func(t *testing.T) {
			f := ours(attach(t, 4))
			fill(t, f.Disk)
			m := liveMachine(t)
			refused(t, m, f, want)
			f.Wipe = "S/2" // another disk's
			refused(t, m, f, want)
			// The mark of a disk that is another, or was emptied and used since.
			f.Disk.Serial = "S/2"
			write(t, f.formatting(m), f.identity())
			f.Disk.Serial, f.Wipe = "S/1", ""
			refused(t, m, f, want)
			if holding(t, f.Disk).Known() && holding(t, f.Disk).UUID != ourUUID {
				write(t, f.formatting(m), f.identity())
				refused(t, m, f, want)
			}
		})
	}

	f := ours(attach(t, 4))
	put(t, f.Disk, 0, garbage(10))
	f.Disk.Serial = ""
	refused(t, liveMachine(t), f, "zero it by hand, as it has no serial number to name in the seed: blkdiscard --zeroout "+device(f.Disk))
	do(t, "blkdiscard", "--zeroout", device(f.Disk))
	formatted(t, liveMachine(t), f, "format")
	f.Disk.Size++
	refused(t, liveMachine(t), f, "another disk took its place")
}

// Two file systems on one disk are nobody's to choose from.
func TestFilesystemIsAmbiguous(t *testing.T) {
	f := ours(attach(t, 4))
	do(t, "mkfs.ext4", "-q", "-U", ourUUID, "-L", "pgdata", device(f.Disk))
	other := attach(t, 4)
	do(t, "mkfs.vfat", "-I", device(other))
	boot := make([]byte, 512)
	if _, err := io.ReadFull(open(t, other), boot); err != nil {
		t.Fatal(err)
	}
	put(t, f.Disk, 0, boot)
	refused(t, liveMachine(t), f, "holds several things at once and is left as it is")
}

func TestFilesystemIsAdopted(t *testing.T) {
	f := ours(attach(t, 4))
	do(t, "mkfs.ext4", "-q", "-L", "pgdata", device(f.Disk))
	m := liveMachine(t)
	refused(t, m, f, `holds ext4, labelled "pgdata"`)
	f.Adopt = true
	for _, want := range []string{"volume data: remember " + f.Disk.String(), ""} {
		if got := strings.Join(changes(apply(t, m, f)), ""); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	other := f
	other.Label = "pgwal"
	refused(t, m, other, `holds ext4, labelled "pgdata"`)

	// The disk that was being formatted broke, and this one is in its place.
	write(t, f.formatting(m), "S/9 1\n")
	before := hash(t, f.Disk)
	if got := changes(apply(t, m, f)); len(got) != 1 || got[0] != "volume data: forget that another disk was being formatted" {
		t.Errorf("got %q", got)
	}
	if there, err := durable.Exists(f.formatting(m)); there || err != nil || hash(t, f.Disk) != before {
		t.Errorf("the mark is there: %t, %v", there, err)
	}
}

// A disk that is away may come back: an empty one in its place is not taken for it.
func TestFilesystemThatIsAway(t *testing.T) {
	m := liveMachine(t)
	first := ours(attach(t, 4))
	formatted(t, m, first, "format")
	second := ours(attach(t, 5))
	second.Disk.Serial = "S/2"
	refused(t, m, second, "/dev/"+second.Disk.Name+", serial S/2, 5 MB is empty, and the volume data was on /dev/"+first.Disk.Name+", serial S/1, 4 MB: put that one back, or, if it is lost, remove "+second.record(m))
	if got := changes(apply(t, m, first)); len(got) > 0 {
		t.Errorf("it came back: %q", got)
	}
	second.Wipe = "S/2"
	formatted(t, m, second, "format")

	write(t, second.record(m), "{")
	refused(t, m, second, "remove it if the disk is the right one")
}
