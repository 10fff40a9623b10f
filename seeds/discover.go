package seeds

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"banyan/internal/strict"
)

// VolumeLabels are the labels of the file systems, such as that of a USB stick,
// on which a person may bring a seed. CIDATA is cloud-init's.
var VolumeLabels = []string{"BANYAN-SEED", "CIDATA"}

// Directory is where a seed may lie in the root file system.
const Directory = "/etc/banyan"

// Volume is a file system that has to be mounted.
type Volume struct {
	Device     string // such as /dev/sdb1
	Label      string // of the file system
	Filesystem string // such as vfat
}

// Mount mounts a volume, read-only, calls look with its files and unmounts it.
type Mount func(v Volume, look func(fs.FS)) error

// Place is somewhere a seed may have been dropped.
type Place struct {
	Source string // what it is called in an [Outcome]
	// Visit calls look with the place's files. Its error is [fs.ErrNotExist] where
	// the place does not exist.
	Visit func(look func(fs.FS)) error
}

// Places are where a node looks for its seed, in order: own, the BANYAN partition
// of the disk that it was booted from (nil where there is none), the volumes with
// one of VolumeLabels, the Directory. No other disk's BANYAN partition is among
// them, so that an installer's stick and the disk installed from it never mix.
func Places(own *Volume, volumes []Volume, mount Mount) []Place {
	mounted := func(source string, v Volume) Place {
		return Place{
			Source: source + " " + v.Device,
			Visit:  func(look func(fs.FS)) error { return mount(v, look) },
		}
	}
	var places []Place
	if own != nil {
		places = append(places, mounted("BANYAN partition", *own))
	} else {
		places = append(places, absent("BANYAN partition of the boot disk"))
	}
	var sticks []Place
	for _, v := range volumes {
		for _, label := range VolumeLabels {
			if strings.EqualFold(v.Label, label) {
				sticks = append(sticks, mounted("volume "+label, v))
			}
		}
	}
	if len(sticks) == 0 {
		sticks = []Place{absent("volume " + strings.Join(VolumeLabels, " or "))}
	}
	return append(append(places, sticks...), directory(Directory))
}

func absent(source string) Place {
	return Place{Source: source, Visit: func(func(fs.FS)) error { return fs.ErrNotExist }}
}

func directory(name string) Place {
	return Place{Source: "directory " + name, Visit: func(look func(fs.FS)) error {
		if _, err := os.Stat(name); err != nil {
			return err
		}
		look(os.DirFS(name))
		return nil
	}}
}

// Outcome is what came of looking at one place. It holds no secret.
type Outcome struct {
	Source string `json:"source"`
	Found  bool   `json:"found"`
	Reason string `json:"reason,omitempty"` // why no seed was taken from it, or what else went wrong
}

// Found is a valid seed and where it was.
type Found struct {
	Place Place
	File  string // its name there
	Data  []byte // as it was there, secrets and all
	Seed  *Seed
}

// Discover looks at places in order and returns the first valid seed that fits
// this machine, or nil. fits says why a seed does not. A seed that is broken or
// does not fit ends no search: what is wrong with it is the outcome of its place.
// There is an outcome for each place, for those after the seed as well.
func Discover(places []Place, fits func(*Seed) error) (*Found, []Outcome) {
	var found *Found
	var outcomes []Outcome
	for _, p := range places {
		o := Outcome{Source: p.Source}
		if found != nil {
			o.Reason = "not looked at: the seed of " + found.Place.Source + " comes first"
		} else {
			found, o.Reason = visit(p, fits)
			o.Found = found != nil
		}
		outcomes = append(outcomes, o)
	}
	return found, outcomes
}

func visit(p Place, fits func(*Seed) error) (found *Found, reason string) {
	err := p.Visit(func(files fs.FS) { found, reason = search(files, fits) })
	if found != nil {
		found.Place = p
	}
	switch {
	case err == nil:
	case found != nil || reason != "": // read, and then not unmounted
		reason = strings.TrimPrefix(fmt.Sprintf("%s\n%v", reason, err), "\n")
	case errors.Is(err, fs.ErrNotExist):
		reason = "not present"
	default:
		reason = fmt.Sprintf("not readable: %v", err)
	}
	return found, reason
}

var (
	seedName   = regexp.MustCompile(`(?i)^seed\.ya?ml$`) // FAT has no case
	hiddenName = regexp.MustCompile(`(?i)^seed\.ya?ml\.txt$`)
)

// IsSeedName tells whether a person would call a file of that name a seed, and
// Windows with its hidden .txt.
func IsSeedName(name string) bool { return seedName.MatchString(name) || hiddenName.MatchString(name) }

// search looks for the seed among the files of a place.
func search(files fs.FS, fits func(*Seed) error) (found *Found, reason string) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Sprintf("not readable: %v", err)
	}
	var names []string
	var hidden string
	for _, e := range entries {
		switch {
		case seedName.MatchString(e.Name()):
			// A link on a stick could name any file of this machine.
			if !e.Type().IsRegular() {
				return nil, e.Name() + " is not a regular file: put the seed itself there"
			}
			names = append(names, e.Name())
		case hiddenName.MatchString(e.Name()):
			hidden = e.Name()
		}
	}
	switch {
	case len(names) > 1:
		return nil, fmt.Sprintf("holds %s: keep the one that is meant", strings.Join(names, " and "))
	case len(names) == 0 && hidden != "":
		return nil, fmt.Sprintf("%s is not read: rename it to seed.yaml (Windows hides the ending .txt)", hidden)
	case len(names) == 0:
		return nil, "holds no seed.yaml"
	}
	data, err := readFile(files, names[0])
	if err != nil {
		return nil, fmt.Sprintf("not readable: %v", err)
	}
	seed, err := Parse(names[0], data)
	switch {
	case err != nil && IsPlanted(data):
		return nil, "planted already: the secrets of this seed are sealed on its node"
	case err != nil:
		return nil, fmt.Sprintf("%s is not valid:\n%v", names[0], err)
	}
	if err := fits(seed); err != nil {
		return nil, fmt.Sprintf("%s does not fit this machine:\n%v", names[0], err)
	}
	return &Found{File: names[0], Data: data, Seed: seed}, ""
}

// readFile reads no more than tells Parse that the file is too large.
func readFile(files fs.FS, name string) ([]byte, error) {
	file, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, strict.MaxSize+1))
}
