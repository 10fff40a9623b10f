// Package disk finds the partitions and volumes of this machine, grows the one
// that is to fill its disk and gives a disk GUIDs of its own.
package disk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"banyan/internal/command"
)

// Partition is a partition of a disk, as the kernel knows it.
type Partition struct {
	Disk   string // such as /dev/sda
	Device string // such as /dev/sda3
	Number int    // in the partition table, from 1
	Start  int64  // in bytes from the start of the disk
	Size   int64  // in bytes
}

// Find finds the partition of that name (its GPT label) on that disk, and no
// other disk's.
func Find(disk, name string) (Partition, error) {
	return find("/sys/class/block", disk, name)
}

func find(sysfs, disk, name string) (Partition, error) {
	events, err := filepath.Glob(filepath.Join(sysfs, filepath.Base(disk), "*", "uevent"))
	if err != nil {
		return Partition{}, err
	}
	for _, event := range events {
		properties, err := readProperties(event)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since
		}
		if err != nil {
			return Partition{}, err
		}
		if properties["DEVTYPE"] != "partition" || properties["PARTNAME"] != name {
			continue
		}
		p := Partition{Disk: disk, Device: "/dev/" + properties["DEVNAME"]}
		if p.Number, err = strconv.Atoi(properties["PARTN"]); err != nil {
			return Partition{}, fmt.Errorf("%s: %w", event, err)
		}
		if p.Start, err = readSectors(filepath.Dir(event), "start"); err != nil {
			return Partition{}, err
		}
		if p.Size, err = readSectors(filepath.Dir(event), "size"); err != nil {
			return Partition{}, err
		}
		return p, nil
	}
	return Partition{}, fmt.Errorf("disk %s has no partition named %s: %w", disk, name, fs.ErrNotExist)
}

// sector is the unit of sysfs, whatever the disk's own sectors are.
const sector = 512

func readSectors(dir, file string) (int64, error) {
	content, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	return n * sector, err
}

// readProperties reads a file of KEY=VALUE lines.
func readProperties(name string) (map[string]string, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	properties := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			properties[key] = value
		}
	}
	return properties, nil
}

// Grow makes p, the last partition of its disk and not in use, fill the disk.
// It does nothing where next to nothing would be won. A power cut leaves
// the old table or the new one whole: sfdisk writes the backup table first, as
// the UEFI specification orders, and the kernel, told "gpt", looks there too.
func Grow(ctx context.Context, p Partition) error {
	const worthIt = 2 << 20 // alignment, and the backup table at the end
	diskSize, err := readSectors(filepath.Join("/sys/class/block", filepath.Base(p.Disk)), "size")
	if err != nil {
		return err
	}
	if diskSize-(p.Start+p.Size) < worthIt {
		return nil
	}
	number := strconv.Itoa(p.Number)
	if err := sfdisk(ctx, ", +\n", "-N", number, p.Disk); err != nil {
		return fmt.Errorf("grow %s: %w", p.Device, err)
	}
	if _, err := command.Run(ctx, "partx", "--update", "--nr", number, p.Disk); err != nil {
		return fmt.Errorf("tell the kernel that %s grew: %w", p.Device, err)
	}
	return nil
}

// NewIDs gives the disk and its ESP random GUIDs. The kernel knows the old ones
// until the next boot; a power cut in between does no harm.
func NewIDs(ctx context.Context, esp Partition) error {
	for _, args := range [][]string{
		{"--part-uuid", esp.Disk, strconv.Itoa(esp.Number), uuid.NewString()},
		{"--disk-id", esp.Disk, uuid.NewString()},
	} {
		if err := sfdisk(ctx, "", args...); err != nil {
			return fmt.Errorf("give %s a GUID of its own: %w", esp.Disk, err)
		}
	}
	return nil
}

// sfdisk changes the partition table of a disk of which partitions may be mounted.
func sfdisk(ctx context.Context, stdin string, args ...string) error {
	_, err := command.Command{
		Name: "sfdisk", Args: append([]string{"--quiet", "--no-reread", "--no-tell-kernel"}, args...),
		Stdin: strings.NewReader(stdin),
	}.Run(ctx)
	return err
}

// Volume is a file system on a disk.
type Volume struct {
	Device     string // such as /dev/sdb1
	Label      string // of the file system
	Filesystem string // such as vfat
}

// Volumes lists the volumes of this machine.
func Volumes(ctx context.Context) ([]Volume, error) {
	out, err := command.Run(ctx, "lsblk", "--json", "--list", "--output", "PATH,LABEL,FSTYPE")
	if err != nil {
		return nil, fmt.Errorf("list the volumes: %w", err)
	}
	return volumes([]byte(out))
}

func volumes(lsblk []byte) ([]Volume, error) {
	var list struct {
		BlockDevices []struct{ Path, Label, FSType string }
	}
	if err := json.Unmarshal(lsblk, &list); err != nil {
		return nil, fmt.Errorf("lsblk's list: %w", err)
	}
	var found []Volume
	for _, d := range list.BlockDevices {
		if d.FSType != "" {
			found = append(found, Volume{Device: d.Path, Label: d.Label, Filesystem: d.FSType})
		}
	}
	return found, nil
}
