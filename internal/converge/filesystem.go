package converge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"banyan/internal/command"
	"banyan/internal/disk"
	"banyan/internal/durable"
	"banyan/internal/facts"
)

// Filesystem is a file system on a whole disk. An empty disk is formatted. One that
// holds anything is left as it is: it is ours, or an error says what is on it.
//
// What formats it is marked before it begins and until it is on the disk, so that a
// power cut leaves no half of a file system that nobody would dare to touch.
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
// its disk is being formatted, and VOLUME.wiped, once a wipe was used.
const volumesDir = facts.StateDir + "/volumes"

// ID is "volume" and its name.
func (f Filesystem) ID() string { return "volume " + f.Volume }

func (f Filesystem) device() string { return "/dev/" + f.Disk.Name }

func (f Filesystem) mark(m Machine, what string) string {
	return m.path(filepath.Join(volumesDir, f.Volume+"."+what))
}

// identity tells the disk that a mark is about from one that took its place.
func (f Filesystem) identity() string {
	return fmt.Sprintf("%s %d\n", f.Disk.Serial, f.Disk.Size)
}

// marked tells whether a mark of that kind is there, for this disk.
func (f Filesystem) marked(m Machine, what string) (bool, error) {
	content, err := os.ReadFile(f.mark(m, what))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return string(content) == f.identity(), err
}

// Diff looks at the disk, on a live machine only: in the initramfs it is not needed yet.
func (f Filesystem) Diff(ctx context.Context, m Machine, _ Changed) (Difference, error) {
	if !m.Live {
		return Difference{}, nil
	}
	if f.Wrong != "" {
		return Difference{}, errors.New(f.Wrong)
	}
	format := fmt.Sprintf("format %s as %s", f.Disk, f.Type)
	interrupted, err := f.marked(m, "formatting")
	if err != nil {
		return Difference{}, err
	}
	if interrupted {
		return Difference{What: format + ", which was interrupted"}, nil
	}
	found, err := disk.Probe(ctx, f.device())
	switch {
	case err != nil:
		return Difference{}, err
	case found.Filesystem == f.Type && (found.UUID == f.UUID || f.Adopt && found.Label == f.Label):
		return Difference{}, nil
	case found.Empty:
		return Difference{What: format}, nil
	}
	wiped, err := f.marked(m, "wiped")
	if err != nil {
		return Difference{}, err
	}
	switch {
	case f.Wipe == "" || f.Wipe != f.Disk.Serial:
		return Difference{}, fmt.Errorf("%s holds %s and is left as it is: take another disk, or, if all of it may be lost, write wipe: %s into storage.volumes.%s of the seed",
			f.Disk, found, f.wipeWord(), f.Volume)
	case wiped:
		return Difference{}, fmt.Errorf("%s holds %s, and the wipe that the seed asks for was used before: it counts once. Remove %s if it shall count again",
			f.Disk, found, f.mark(m, "wiped"))
	}
	return Difference{What: fmt.Sprintf("wipe %s, which holds %s, and %s", f.device(), found, format)}, nil
}

// wipeWord is what a person has to write to have the disk wiped.
func (f Filesystem) wipeWord() string {
	if f.Disk.Serial == "" {
		return "SERIAL (which this disk has not, so it has to be wiped by hand)"
	}
	return f.Disk.Serial
}

// Apply formats the disk.
func (f Filesystem) Apply(ctx context.Context, m Machine, _ Changed) error {
	found, err := disk.Probe(ctx, f.device())
	if err != nil {
		return err
	}
	// Nobody else may have it: a file system that is mounted, RAID, LVM.
	claim, err := disk.Claim(f.device())
	if err != nil {
		return err
	}
	if err := claim.Close(); err != nil { // mkfs claims it itself
		return err
	}
	if err := os.MkdirAll(m.path(volumesDir), 0o700); err != nil {
		return err
	}
	if err := durable.WriteFile(f.mark(m, "formatting"), []byte(f.identity()), 0o600); err != nil {
		return err
	}
	if _, err := command.Run(ctx, "wipefs", "--all", f.device()); err != nil {
		return err
	}
	args := []string{"-q", "-F", "-U", f.UUID, "-L", f.Label, f.device()}
	if f.Type == "xfs" {
		args = []string{"-q", "-f", "-m", "uuid=" + f.UUID, "-L", f.Label, f.device()}
	}
	if _, err := command.Run(ctx, "mkfs."+f.Type, args...); err != nil {
		return err
	}
	if err := syncFile(f.device()); err != nil {
		return err
	}
	if f.Wipe != "" && !found.Empty {
		if err := durable.WriteFile(f.mark(m, "wiped"), []byte(f.identity()), 0o600); err != nil {
			return err
		}
	}
	return durable.Remove(f.mark(m, "formatting"))
}
