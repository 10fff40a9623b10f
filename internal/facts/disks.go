package facts

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"banyan/seeds"
)

// Disk is a whole disk with a medium in it. A partition is none, nor is a loop
// device, a RAM disk, a CD, a floppy, or a device of device-mapper or md.
type Disk struct {
	Name   string          // in /sys/block, such as sda
	ByID   []string        // its names in /dev/disk/by-id, sorted; none where udev knows nothing of it
	Serial string          // as lsblk(8) shows it; "" where it has none
	Model  string          // as lsblk(8) shows it; "" where it has none
	Size   int64           // in bytes
	Class  seeds.DiskClass // never any
	Boot   bool            // this machine was booted from it, or it holds /, /usr, /var or what is at or below /boot
	Wrong  string          // why it cannot be described; such a disk is known by its name alone
}

// Identity tells a disk from another one, of its size where it has no serial number.
func (d Disk) Identity() string { return fmt.Sprintf("%s %d", d.Serial, d.Size) }

// Same tells whether two are known to be one disk, as those without serial numbers never are.
// One that has grown is the same.
func (d Disk) Same(other Disk) bool { return d.Serial != "" && d.Serial == other.Serial }

// VolumesDir holds what is known of the volumes of this machine.
const VolumesDir = StateDir + "/volumes"

const recordSuffix = ".disk"

// VolumeRecord is the file that says, as JSON, which disk a volume is on.
func VolumeRecord(volume string) string { return VolumesDir + "/" + volume + recordSuffix }

// volumeRecords reads the disk of each volume that was made or found here before.
func volumeRecords(root string) (map[string]Disk, error) {
	files, err := filepath.Glob(filepath.Join(root, VolumesDir, "*"+recordSuffix))
	if err != nil {
		return nil, err
	}
	var found map[string]Disk
	for _, file := range files {
		var d Disk
		content, err := os.ReadFile(file)
		if err := errors.Join(err, json.Unmarshal(content, &d)); err != nil { // a damaged one keeps nothing else from being known
			d = Disk{Wrong: err.Error()}
		}
		if found == nil {
			found = map[string]Disk{}
		}
		found[strings.TrimSuffix(filepath.Base(file), recordSuffix)] = d
	}
	return found, nil
}

// String is the disk as a person may find it.
func (d Disk) String() string {
	if d.Wrong != "" {
		return fmt.Sprintf("/dev/%s, which cannot be read: %s", d.Name, d.Wrong)
	}
	words := []string{"/dev/" + d.Name, d.Model}
	if d.Serial != "" {
		words = append(words, "serial "+d.Serial)
	}
	const gigabyte, megabyte = 1_000_000_000, 1_000_000 // as vendors count
	size := fmt.Sprintf("%d GB", d.Size/gigabyte)
	if d.Size < gigabyte {
		size = fmt.Sprintf("%d MB", d.Size/megabyte)
	}
	return strings.Join(slices.DeleteFunc(append(words, size), func(w string) bool { return w == "" }), ", ")
}

// disks lists the disks of the machine whose root directory is root, from sysfs and
// udev's database. A container without /sys/block has none.
func disks(root string) ([]Disk, error) {
	tree, err := blockDevices(filepath.Join(root, "sys/block"))
	if err != nil || tree == nil {
		return nil, err
	}
	boot, err := bootDisks(root, tree)
	if err != nil {
		return nil, err
	}
	var found []Disk
	for _, d := range tree {
		isDisk, err := d.isDisk()
		if err != nil {
			return nil, err
		}
		if !isDisk {
			continue
		}
		disk, err := describe(root, d)
		if err != nil { // one sick disk keeps nothing else from being known
			disk = Disk{Name: d.name, Wrong: err.Error()}
		} else if disk.Size == 0 {
			continue // a card reader without a card, or gone since
		}
		disk.Boot = boot[d.name]
		found = append(found, disk)
	}
	return found, nil
}

// isDisk tells disks from other whole devices. What is not virtual has its device in
// sysfs; of that, majors of the kernel's Documentation/admin-guide/devices.txt are
// no disks.
func (d blockDevice) isDisk() (bool, error) {
	const floppy, scsiCD = "2", "11"
	if major, _, _ := strings.Cut(d.number, ":"); major == floppy || major == scsiCD {
		return false, nil
	}
	return exists(filepath.Join(d.dir, "device"))
}

// describe reads what a disk is. Serial number and model come from where lsblk(8)
// takes them (util-linux, misc-utils/lsblk-properties.c and lsblk.c), and beyond that
// from virtio's serial, which lsblk has from udev alone.
func describe(root string, d blockDevice) (Disk, error) {
	udev, err := readUdev(filepath.Join(root, "run/udev/data/b"+d.number))
	if err != nil {
		return Disk{}, err
	}
	var errs []error
	read := func(file string) string {
		value, err := attribute(filepath.Join(d.dir, file))
		errs = append(errs, err)
		return value
	}
	disk := Disk{Name: d.name, ByID: udev.byID, Class: seeds.DiskClassSSD}
	serial := cmp.Or(udev.properties["SCSI_IDENT_SERIAL"], udev.properties["ID_SCSI_SERIAL"], udev.properties["ID_SERIAL_SHORT"],
		udev.properties["ID_SERIAL"], read("serial"), read("device/serial"))
	disk.Serial = legible(serial)
	disk.Model = cmp.Or(legible(decode(udev.properties["ID_MODEL_ENC"])), legible(udev.properties["ID_MODEL"]), legible(read("device/model")))
	switch {
	case strings.HasPrefix(d.name, "nvme"):
		disk.Class = seeds.DiskClassNVMe
	case read("queue/rotational") == "1":
		disk.Class = seeds.DiskClassRotational
	}
	if size := read("size"); size != "" {
		const sector = 512 // the unit of sysfs, whatever the disk's own sectors are
		sectors, err := strconv.ParseInt(size, 10, 64)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s/size: %w", d.dir, err))
		}
		disk.Size = sectors * sector
	}
	return disk, errors.Join(errs...)
}

// udevRecord is what udev knows of a device.
type udevRecord struct {
	properties map[string]string
	byID       []string // names in /dev/disk/by-id
}

// readUdev reads a file of udev's database, run/udev/data/bMAJOR:MINOR of a block
// device: lines of a letter, a colon and a value, of which E is KEY=VALUE and S a
// symlink below /dev (systemd's src/libsystemd/sd-device, handle_db_line). systemd
// promises nothing of that format, but it is older than its udev. A device that
// udev has not seen yet has no file.
func readUdev(path string) (udevRecord, error) {
	r := udevRecord{properties: map[string]string{}}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	for l := range strings.Lines(string(content)) {
		switch letter, value, _ := strings.Cut(strings.TrimSuffix(l, "\n"), ":"); letter {
		case "E":
			key, value, _ := strings.Cut(value, "=")
			r.properties[key] = value
		case "S":
			if name, ok := strings.CutPrefix(value, "disk/by-id/"); ok {
				r.byID = append(r.byID, name)
			}
		}
	}
	slices.Sort(r.byID)
	return r, nil
}

var encoded = regexp.MustCompile(`\\x[0-9a-fA-F]{2}`)

// decode takes off the encoding of udev's properties that end in _ENC.
func decode(s string) string {
	return encoded.ReplaceAllStringFunc(s, func(s string) string {
		char, _ := strconv.ParseUint(s[2:], 16, 8) // the expression has two digits
		return string([]byte{byte(char)})
	})
}

// legible has one space where a disk's firmware has many, as lsblk does it, and a
// question mark for what would steer a console.
func legible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.Join(strings.Fields(s), " "))
}

// bootedDisk is the name in /sys/block of the disk that the image was booted from,
// or "".
func bootedDisk(root string) (string, error) {
	var boot struct{ Disk string }
	content, err := os.ReadFile(filepath.Join(root, BootFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(content, &boot); err != nil {
		return "", fmt.Errorf("%s: %w", BootFile, err)
	}
	return filepath.Base(boot.Disk), nil
}
