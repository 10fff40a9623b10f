package media

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"

	"banyan/internal/command"
	"banyan/internal/disk"
	"banyan/internal/progress"
	"banyan/seeds"
)

// WriteDevice writes seeds to a whole disk or stick: onto its BANYAN partition, where
// an image is on it, or its file system labelled BANYAN-SEED. With format it makes
// such a file system on one that is empty. It refuses a device that is in use, or
// holds anything else, and says what.
func WriteDevice(ctx context.Context, device string, files []File, format bool) (Report, error) {
	info, err := os.Stat(device)
	if err != nil {
		return Report{}, err
	}
	if info.Mode().Type() != fs.ModeDevice {
		return Report{}, fmt.Errorf("%s is no disk: a file is named with --image or --output", device)
	}
	b, err := inspect(ctx, device)
	if err != nil {
		return Report{}, err
	}
	if err := b.free(); err != nil {
		return Report{}, err
	}
	claim, err := disk.Claim(device)
	if err != nil {
		return Report{}, err
	}
	v, what, err := b.target(ctx)
	if err == nil && v.disk == "" {
		if !format {
			return Report{}, errors.Join(fmt.Errorf("%s is empty (%s): --format makes it a volume %s", device, b, seeds.VolumeLabel), claim.Close())
		}
		if b.Size < leastVolume {
			return Report{}, errors.Join(fmt.Errorf("%s is too small (%s): a volume takes %s at least", device, b, progress.Bytes(leastVolume)), claim.Close())
		}
		// mkfs.vfat claims the device itself, and chooses the kind of FAT by its size.
		if err := errors.Join(claim.Close(), mkfs(ctx, device)); err != nil {
			return Report{}, unfinishedBy(err)
		}
		return WriteDevice(ctx, device, files, false)
	}
	defer claim.Close()
	if err != nil {
		return Report{}, err
	}
	if v.machines && len(files) > 1 {
		return Report{}, errOneSeed
	}
	r, err := v.write(ctx, files)
	r.Target = what + " of " + device
	return r, unfinishedBy(err)
}

// block is a block device, with those that are made of it, as lsblk(8) and
// blkid(8) describe it.
type block struct {
	Path        string   `json:"path"`
	Type        string   `json:"type"` // "disk", "part", "loop", "crypt" and others
	Size        int64    `json:"size"`
	ReadOnly    bool     `json:"ro"`
	Model       string   `json:"model"`
	Serial      string   `json:"serial"`
	Parent      string   `json:"pkname"`
	Mountpoints []string `json:"mountpoints"` // "" for none
	Children    []block  `json:"children"`
}

func inspect(ctx context.Context, device string) (block, error) {
	out, err := command.Run(ctx, "lsblk", "--json", "--bytes", "--output", "PATH,TYPE,SIZE,RO,MODEL,SERIAL,PKNAME,MOUNTPOINTS", device)
	const nothing = 32 // the exit code where a device has no size
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == nothing {
		return block{}, fmt.Errorf("there is no medium in %s", device)
	}
	if err != nil {
		return block{}, fmt.Errorf("look at %s: %w", device, err)
	}
	var list struct{ BlockDevices []block }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return block{}, fmt.Errorf("lsblk's list: %w", err)
	}
	if len(list.BlockDevices) != 1 {
		return block{}, fmt.Errorf("lsblk knows %d devices %s", len(list.BlockDevices), device)
	}
	return list.BlockDevices[0], nil
}

// free refuses what is no whole disk, or is in use.
func (b block) free() error {
	switch {
	case b.Type == "part":
		return fmt.Errorf("%s is a partition: name the disk that it is on, /dev/%s", b.Path, b.Parent)
	case b.Type != "disk" && b.Type != "loop":
		return fmt.Errorf("%s is no disk but of the type %s", b.Path, b.Type)
	case b.ReadOnly:
		return fmt.Errorf("%s is read-only: a stick may have a switch for that", b.Path)
	case b.Size == 0:
		return fmt.Errorf("there is no medium in %s", b.Path)
	}
	all := b.all()
	for _, user := range all {
		if slices.ContainsFunc(user.Mountpoints, func(at string) bool { return at == "/" || strings.HasPrefix(at, "/boot") }) {
			return fmt.Errorf("%s is this machine's own disk: it was started from there", b.Path)
		}
	}
	for _, user := range all {
		if at := cmp.Or(user.Mountpoints...); at != "" {
			return fmt.Errorf("%s is mounted at %s: umount %[1]s first, and make sure that it is what you mean", user.Path, at)
		}
	}
	for _, user := range all[1:] {
		if user.Type != "part" {
			return fmt.Errorf("%s is in use by %s, of the type %s", b.Path, user.Path, user.Type)
		}
	}
	return nil
}

// all is the block and what is made of it.
func (b block) all() []block {
	all := []block{b}
	for _, child := range b.Children {
		all = append(all, child.all()...)
	}
	return all
}

// target is the volume that seeds go to and what to call it; the disk of an empty
// device's volume is "".
func (b block) target(ctx context.Context) (v volume, what string, err error) {
	switch v, err := onDisk(b.Path); {
	case err == nil:
		return v, "the BANYAN partition", nil
	case !errors.Is(err, fs.ErrNotExist):
		return volume{}, "", err
	}
	whole := partition{volume{disk: b.Path, size: b.Size}, ""}
	found, err := whole.probe(ctx)
	if err != nil {
		return volume{}, "", err
	}
	var ours []volume
	var holds []string
	note := func(p partition, found map[string]string) {
		if strings.EqualFold(found["LABEL"], seeds.VolumeLabel) && found["TYPE"] == "vfat" {
			ours = append(ours, p.volume)
		}
		holds = append(holds, p.describe(found))
	}
	if len(found) > 0 {
		note(whole, found)
	}
	if found["PTTYPE"] != "" { // else it may be a boot sector with something else where a table is
		parts, err := partitions(b.Path)
		if err != nil {
			return volume{}, "", err
		}
		for _, p := range parts {
			inside, err := p.probe(ctx)
			if err != nil {
				return volume{}, "", err
			}
			note(p, inside)
		}
	}
	switch {
	case len(ours) == 1:
		return ours[0], "the volume " + seeds.VolumeLabel, nil
	case len(ours) > 1:
		return volume{}, "", fmt.Errorf("%s has several volumes %s: remove all but one", b.Path, seeds.VolumeLabel)
	case len(holds) > 0 || len(b.Children) > 0:
		return volume{}, "", fmt.Errorf("%s (%s) holds something else: %s. It stays as it is; to give it up, wipefs --all %[1]s, then --format", b.Path, b, strings.Join(holds, ", "))
	}
	return volume{}, "", nil
}

// String describes a device by its size, and model and serial number if it has them.
func (b block) String() string {
	return strings.Join(strings.Fields(progress.Bytes(b.Size)+" "+b.Model+" "+b.Serial), " ")
}

// describe says what blkid found in a partition, or on a disk.
func (p partition) describe(found map[string]string) string {
	what, table := found["TYPE"], found["PTTYPE"]
	switch {
	case what != "":
	case p.offset == 0:
		what = "a partition table (" + table + ")"
	default:
		what = "an unknown partition"
	}
	words := []string{what, cmp.Or(found["LABEL"], p.name), "of " + progress.Bytes(p.size)}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// probe is what blkid(8) finds in a partition or on a disk; nothing where it is empty.
func (p partition) probe(ctx context.Context) (map[string]string, error) {
	return disk.Blkid(ctx, p.disk, p.offset, p.size)
}
