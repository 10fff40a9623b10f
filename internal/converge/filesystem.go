package converge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/disk"
	"banyan/internal/durable"
	"banyan/internal/facts"
)

// Filesystem is a file system on a whole disk. An empty disk is formatted. One that
// holds anything is left as it is: it is ours, or an error says what is on it.
//
// What formats it is marked before it begins and until it is on the disk, so that a
// power cut leaves no half of a file system that nobody would dare to touch. While the
// mark is there nothing may mount it: see [FormattingMark].
type Filesystem struct {
	Volume string // what it is for
	Disk   facts.Disk
	Wrong  string // why no disk is known to be the one
	Type   string // ext4 or xfs
	UUID   string // makes a file system ours
	Label  string
	Adopt  bool   // a file system of that type and label is ours as well
	Wipe   string // the serial number of the disk that may be wiped, once
}

// volumesDir holds what is known of the volumes of this machine: VOLUME.formatting, while
// its disk is being formatted, VOLUME.disk, which disk it is on, and SERIAL.wiped, once a
// disk was wiped, for whichever volume it was.
const volumesDir = facts.VolumesDir

// FormattingMark is the file that is there while a volume's disk is being formatted, and
// after that was interrupted. What mounts the volume has to refuse to for so long: the
// disk is formatted again, and what was written to it meanwhile would be lost.
func FormattingMark(volume string) string {
	return filepath.Join(volumesDir, volume+".formatting")
}

// ID is "volume" and its name.
func (f Filesystem) ID() string { return "volume " + f.Volume }

func (f Filesystem) device() string { return "/dev/" + f.Disk.Name }

func (f Filesystem) formatting(m Machine) string { return m.path(FormattingMark(f.Volume)) }

// wiped is by the disk alone: another name for the volume is no other permission.
func (f Filesystem) wiped(m Machine) string {
	return m.path(filepath.Join(volumesDir, url.PathEscape(f.Disk.Serial)+".wiped"))
}

// identity tells the disk that a mark is about from one that took its place. One without a
// serial number is known by its place, for so long as it is half formatted.
func (f Filesystem) identity() string {
	if f.Disk.Serial == "" {
		return f.Disk.Identity() + " " + f.Disk.Name + "\n"
	}
	return f.Disk.Identity() + "\n"
}

func (f Filesystem) record(m Machine) string {
	return m.path(facts.VolumeRecord(f.Volume))
}

// recorded is the disk that the volume was on when it was last made or found.
func (f Filesystem) recorded(m Machine) (*facts.Disk, error) {
	content, err := readIfThere(f.record(m))
	if err != nil || content == "" {
		return nil, err
	}
	var d facts.Disk
	if err := json.Unmarshal([]byte(content), &d); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it if the disk is the right one", f.record(m), err)
	}
	return &d, nil
}

// verdict is what is to be done with a disk.
type verdict struct {
	what   string // in words; "" is nothing
	format bool   // or else only what is kept of the disk is wrong
	wipes  bool   // that uses up the permission to wipe
}

// judge looks at the disk.
func (f Filesystem) judge(ctx context.Context, m Machine) (verdict, error) {
	mark, err := readIfThere(f.formatting(m))
	if err != nil {
		return verdict{}, err
	}
	found, err := disk.Probe(ctx, f.device())
	if err != nil {
		return verdict{}, err
	}
	if found.Size != f.Disk.Size {
		return verdict{}, fmt.Errorf("%s has %d bytes and not %d: another disk took its place just now; run it again", f.device(), found.Size, f.Disk.Size)
	}
	before, err := f.recorded(m)
	if err != nil {
		return verdict{}, err
	}
	format := fmt.Sprintf("format %s as %s", f.Disk, f.Type)
	same := before != nil && before.Same(f.Disk)
	remembered := before != nil && before.Identity() == f.Disk.Identity()
	mayWipe, used := f.Wipe != "" && f.Wipe == f.Disk.Serial, false
	if mayWipe {
		if used, err = durable.Exists(f.wiped(m)); err != nil {
			return verdict{}, err
		}
	}
	ours := found.Filesystem == f.Type && (found.UUID == f.UUID || f.Adopt && found.Label == f.Label)
	switch {
	// Half of a file system has our UUID already, or nothing yet that anybody knows.
	// What somebody else put there since is not ours to format because of the mark.
	case mark == f.identity() && (found.UUID == f.UUID || !found.Known()):
		return verdict{what: format + ", which was interrupted", format: true, wipes: mayWipe}, nil
	case ours && mark != "":
		return verdict{what: "forget that another disk was being formatted"}, nil
	// What the seed lets be wiped is there: nothing is left to be lost by that word.
	case ours && (!remembered || mayWipe && !used):
		return verdict{what: "remember " + f.Disk.String(), wipes: mayWipe}, nil
	case ours:
		return verdict{}, nil
	// The disk with the data may only be away, or damaged: whoever knows better says so.
	case same:
		return verdict{}, fmt.Errorf("the volume %s is on %s, which holds %s now: mend it (see fsck.%s), or, if it is lost, remove %s and wipe the disk by hand: wipefs --all",
			f.Volume, f.Disk, found, f.Type, f.record(m))
	case found.Empty && before != nil && (!mayWipe || used):
		return verdict{}, fmt.Errorf("%s is empty, and the volume %s was on %s: put that one back, or, if it is lost, remove %s", f.Disk, f.Volume, before, f.record(m))
	case found.Empty:
		return verdict{what: format, format: true, wipes: mayWipe}, nil
	case !mayWipe:
		return verdict{}, fmt.Errorf("%s holds %s and is left as it is: take another disk, or, if all of it may be lost, %s", f.Disk, found, f.howToWipe())
	case used:
		return verdict{}, fmt.Errorf("%s holds %s, and the wipe that the seed asks for was used before: it counts once. Remove %s if it shall count again",
			f.Disk, found, f.wiped(m))
	}
	return verdict{what: fmt.Sprintf("wipe %s, which holds %s, and %s", f.device(), found, format), format: true, wipes: true}, nil
}

// howToWipe is what a person has to do to have the disk wiped.
func (f Filesystem) howToWipe() string {
	if f.Disk.Serial == "" {
		return "zero it by hand, as it has no serial number to name in the seed: blkdiscard --zeroout " + f.device()
	}
	return fmt.Sprintf("write wipe: %s into storage.volumes.%s of the seed", f.Disk.Serial, f.Volume)
}

// Diff looks at the disk, on a live machine only: in the initramfs it is not needed yet.
func (f Filesystem) Diff(ctx context.Context, m Machine, _ Changed) (Difference, error) {
	if !m.Live {
		return Difference{}, nil
	}
	if f.Wrong != "" {
		return Difference{}, errors.New(f.Wrong)
	}
	v, err := f.judge(ctx, m)
	return Difference{What: v.what}, err
}

// Apply formats the disk.
func (f Filesystem) Apply(ctx context.Context, m Machine, _ Changed) (err error) {
	v, err := f.judge(ctx, m)
	if err != nil {
		return err
	}
	if !v.format { // it may be mounted
		return errors.Join(f.useUp(m, v), durable.Remove(f.formatting(m)), f.remember(m))
	}
	if v, err = f.claimed(ctx, m); err != nil {
		return err
	}
	device, err := lockDevice(f.device())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, device.Close()) }()
	if err := keep(m, FormattingMark(f.Volume), f.identity()); err != nil {
		return err
	}
	if _, err := command.Run(ctx, "wipefs", "--all", f.device()); err != nil {
		return err
	}
	// Once -F asks nothing; only twice it would take a disk that is in use.
	args := []string{"-q", "-F", "-U", f.UUID, "-L", f.Label, f.device()}
	if f.Type == "xfs" {
		args = []string{"-q", "-f", "-m", "uuid=" + f.UUID, "-L", f.Label, f.device()}
	}
	if _, err := command.Run(ctx, "mkfs."+f.Type, args...); err != nil {
		return err
	}
	if err := device.Sync(); err != nil {
		return err
	}
	if err := errors.Join(f.useUp(m, v), f.remember(m)); err != nil {
		return err
	}
	return durable.Remove(f.formatting(m))
}

// useUp notes that the permission to wipe the disk was used.
func (f Filesystem) useUp(m Machine, v verdict) error {
	if !v.wipes {
		return nil
	}
	return keep(m, filepath.Join(volumesDir, url.PathEscape(f.Disk.Serial)+".wiped"), f.identity())
}

func (f Filesystem) remember(m Machine) error {
	content, err := json.Marshal(f.Disk)
	if err != nil {
		return err
	}
	return keep(m, facts.VolumeRecord(f.Volume), string(content)+"\n")
}

// claimed judges the disk while nobody else has it: a file system that is mounted, RAID,
// LVM. What formats it claims it for itself, which takes that we do not.
func (f Filesystem) claimed(ctx context.Context, m Machine) (v verdict, err error) {
	claim, err := disk.Claim(f.device())
	if err != nil {
		return verdict{}, err
	}
	defer func() { err = errors.Join(err, claim.Close()) }()
	return f.judge(ctx, m)
}

// lockDevice keeps udev from looking at a device until it is closed, and so from telling
// of a file system that is not whole: https://systemd.io/BLOCK_DEVICE_LOCKING. udev itself
// has the lock only while it looks.
func lockDevice(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
		}
	}
}
