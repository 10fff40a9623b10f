package facts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// blockDevice is an entry of /sys/block: a disk, or a device that is made of others.
type blockDevice struct {
	name, dir  string
	number     string      // MAJOR:MINOR
	partitions []partition // by name
	madeOf     []string    // devices and partitions below it, where device-mapper, md or the like made it
}

type partition struct{ name, number string }

// blockDevices reads /sys/block, by name: the kernel's
// Documentation/ABI/stable/sysfs-block. Where it is not there the result is nil.
func blockDevices(block string) ([]blockDevice, error) {
	entries, err := os.ReadDir(block)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := []blockDevice{}
	for _, e := range entries {
		d := blockDevice{name: e.Name(), dir: filepath.Join(block, e.Name())}
		// A path to a multipath NVMe is hidden; it is not a disk of its own.
		hidden, err := attribute(filepath.Join(d.dir, "hidden"))
		if err != nil {
			return nil, err
		}
		if d.number, err = attribute(filepath.Join(d.dir, "dev")); err != nil {
			return nil, err
		}
		if hidden == "1" || d.number == "" {
			continue // or it just went
		}
		if err := d.look(); err != nil {
			return nil, err
		}
		found = append(found, d)
	}
	return found, nil
}

// look finds the partitions of the device and what it is made of.
func (d *blockDevice) look() error {
	slaves, err := os.ReadDir(filepath.Join(d.dir, "slaves"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, s := range slaves {
		d.madeOf = append(d.madeOf, s.Name())
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), d.name) { // as the kernel names partitions, which spares looking at the rest
			continue
		}
		dir := filepath.Join(d.dir, e.Name())
		isPartition, err := exists(filepath.Join(dir, "partition"))
		if err != nil {
			return err
		}
		number, err := attribute(filepath.Join(dir, "dev"))
		if err != nil {
			return err
		}
		if isPartition && number != "" {
			d.partitions = append(d.partitions, partition{e.Name(), number})
		}
	}
	return nil
}

// bootDisks are the whole devices that the system runs from, by the mounts of the machine
// and by what it was booted from.
func bootDisks(root string, tree []blockDevice) (map[string]bool, error) {
	booted, err := bootedDisk(root)
	if err != nil {
		return nil, err
	}
	mounts, err := readMounts(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return nil, err
	}
	names, below := index(tree)
	boot := map[string]bool{booted: true}
	for _, m := range mounts {
		if !slices.Contains([]string{"/", "/usr", "/var", "/boot"}, m.at) && !strings.HasPrefix(m.at, "/boot/") {
			continue
		}
		name := names[m.number]
		if name == "" && strings.HasPrefix(m.source, "/dev/") { // btrfs has numbers of its own
			name = deviceName(root, m.source)
		}
		for _, whole := range below(name) {
			boot[whole] = true
		}
	}
	return boot, nil
}

// index gives the names of devices and partitions by their numbers, and the whole
// devices at the bottom of one.
func index(tree []blockDevice) (names map[string]string, below func(string) []string) {
	names = map[string]string{}
	wholes := map[string]blockDevice{} // by the names of their partitions too
	for _, d := range tree {
		names[d.number], wholes[d.name] = d.name, d
		for _, p := range d.partitions {
			names[p.number], wholes[p.name] = p.name, d
		}
	}
	below = func(name string) []string {
		d, known := wholes[name]
		switch {
		case !known:
			return nil
		case len(d.madeOf) == 0:
			return []string{d.name}
		}
		var found []string
		for _, part := range d.madeOf {
			found = append(found, below(part)...)
		}
		return found
	}
	return names, below
}

// deviceName is the kernel's name of a device below /dev, which may be a symlink.
func deviceName(root, device string) string {
	if path, err := filepath.EvalSymlinks(filepath.Join(root, device)); err == nil {
		device = path
	}
	return filepath.Base(device)
}

// mount is a mount of this process.
type mount struct {
	number string // MAJOR:MINOR of what is mounted
	at     string
	source string // such as /dev/sda1
}

// unescape takes off the escapes of the kernel's fs/proc_namespace.c.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\043`, "#", `\134`, `\`)

// readMounts reads proc_pid_mountinfo(5).
func readMounts(mountinfo string) ([]mount, error) {
	content, err := os.ReadFile(mountinfo)
	if err != nil {
		return nil, err
	}
	var found []mount
	for l := range strings.Lines(string(content)) {
		f := strings.Fields(l)
		hyphen := slices.Index(f, "-") // after optional fields; then come type and source
		if hyphen < 6 || len(f) < hyphen+3 {
			return nil, fmt.Errorf("%s: %q is no mount: see whether /proc is the kernel's", mountinfo, l)
		}
		found = append(found, mount{number: f[2], at: unescape.Replace(f[4]), source: unescape.Replace(f[hyphen+2])})
	}
	return found, nil
}
