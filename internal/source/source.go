// Package source reads the places where a seed may have been left for this machine:
// the kernel's command line and what it names, volumes, what the firmware or a
// hypervisor passes on, systemd's credentials, and /etc.
package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"banyan/internal/disk"
	"banyan/seeds"
)

// Directory is where a seed may lie in the root file system.
const Directory = "/etc/banyan"

// Machine is what is looked at.
type Machine struct {
	Root string // its root directory, with /proc, /sys and /run
	// Own is the BANYAN partition of the disk that was booted, or nil.
	Own     *disk.Volume
	Volumes []disk.Volume // all others
	// Open reads the files of a volume.
	Open func(context.Context, disk.Volume) (fs.FS, error)
	// Fetch fetches what the kernel's command line names by its URL. It is nil where
	// there is no time for a network.
	Fetch func(context.Context, Named) ([]byte, error)
}

// Places are where a node looks for its seed, in order. No other disk's BANYAN
// partition is among them, so that an installer's stick and the disk installed from
// it never mix.
func (m Machine) Places(ctx context.Context) []seeds.Place {
	volume := func(source string, v disk.Volume) seeds.Place {
		return seeds.Place{
			Source: source + " " + v.Device,
			Visit: func(look func(fs.FS)) error {
				files, err := m.Open(ctx, v)
				if err == nil {
					look(files)
				}
				return err
			},
		}
	}
	places := []seeds.Place{m.kernel(ctx)}
	if m.Own != nil {
		places = append(places, volume("BANYAN partition", *m.Own))
	} else {
		places = append(places, absent("BANYAN partition of the boot disk"))
	}
	found := false
	for _, label := range seeds.VolumeLabels {
		for _, v := range m.Volumes {
			if strings.EqualFold(v.Label, label) && v.Filesystem != "" {
				places = append(places, volume("volume "+label, v))
				found = true
			}
		}
	}
	if !found {
		places = append(places, absent("volume "+strings.Join(seeds.VolumeLabels, " or ")))
	}
	return append(places,
		seeds.Place{Source: "SMBIOS OEM strings", Read: m.smbios},
		seeds.Place{Source: "QEMU fw_cfg", Read: m.firmwareConfiguration},
		seeds.Place{Source: "credential " + credential, Read: m.credential},
		directory(Directory, filepath.Join(m.Root, Directory)),
	)
}

func absent(source string) seeds.Place {
	return seeds.Place{Source: source, Visit: func(func(fs.FS)) error { return fs.ErrNotExist }}
}

func directory(source, name string) seeds.Place {
	return seeds.Place{Source: "directory " + source, Visit: func(look func(fs.FS)) error {
		if _, err := os.Stat(name); err != nil {
			return err
		}
		look(os.DirFS(name))
		return nil
	}}
}

// readFile reads a file that may be the seed.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return seeds.ReadText(f)
}

// firstFile reads the first of these files that is there, and says which.
func firstFile(root string, names ...string) (string, []byte, error) {
	for _, name := range names {
		data, err := readFile(filepath.Join(root, name))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return name, data, err
		}
	}
	return "", nil, fs.ErrNotExist
}
