package rootfs

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

//go:embed profiles/*.yaml
var profiles embed.FS

// Profile says what one image is made of. Nothing about a suite stands outside
// its profile.
type Profile struct {
	Name         string           `yaml:"name"`
	Suite        string           `yaml:"suite"`
	Architecture string           `yaml:"architecture"`
	Archives     []Archive        `yaml:"archives"`
	Components   []string         `yaml:"components"`
	Keyring      string           `yaml:"keyring"` // what the archives' Release files are verified with
	Kernel       string           `yaml:"kernel"`
	Firmware     []string         `yaml:"firmware"`
	Packages     [][]string       `yaml:"packages"` // in groups, for the reader
	Locales      []string         `yaml:"locales"`
	Users        map[string]User  `yaml:"users"`
	Groups       map[string]Group `yaml:"groups"`
	Partitions   Partitions       `yaml:"partitions"`
}

// Archive is one package archive.
type Archive struct {
	URI    string   `yaml:"uri"`
	Suites []string `yaml:"suites"`
}

// User is a system user whose ids are pinned; see passwd(5).
type User struct {
	UID     int    `yaml:"uid"`
	GID     int    `yaml:"gid"`
	Comment string `yaml:"comment"`
	Home    string `yaml:"home"`  // by default /
	Shell   string `yaml:"shell"` // by default /usr/sbin/nologin
	// MakeHome makes the home as the user's own, where the package leaves that to
	// the adduser that it runs for a user who is not there yet.
	MakeHome bool `yaml:"make_home"`
}

// Group is a system group whose id is pinned; a pinned user's own group is not
// listed again.
type Group struct {
	GID     int      `yaml:"gid"`
	Members []string `yaml:"members"`
}

// Partitions holds partition sizes in MiB.
type Partitions struct {
	ESP    int64 `yaml:"esp"`
	Banyan int64 `yaml:"banyan"`
	Root   int64 `yaml:"root"` // each of root-a and root-b
	State  int64 `yaml:"state"`
}

// LoadProfile reads the built-in profile of that name.
func LoadProfile(name string) (*Profile, error) {
	data, err := profiles.ReadFile("profiles/" + name + ".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no profile %q; there are: %s", name, strings.Join(ProfileNames(), ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", name, err)
	}
	p := &Profile{}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(p); err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	return p, nil
}

// ProfileNames lists the built-in profiles.
func ProfileNames() []string {
	files, err := fs.Glob(profiles, "profiles/*.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".yaml")
	}
	return files
}

// check finds what strict decoding cannot: something left out, or one id given twice.
func (p *Profile) check() error {
	var errs []error
	for what, missing := range map[string]bool{
		"name": p.Name == "", "suite": p.Suite == "", "architecture": p.Architecture == "", "archives": len(p.Archives) == 0,
		"components": len(p.Components) == 0, "keyring": p.Keyring == "", "kernel": p.Kernel == "", "packages": len(p.Packages) == 0,
		"locales": len(p.Locales) == 0,
	} {
		if missing {
			errs = append(errs, fmt.Errorf("%s is missing", what))
		}
	}
	for what, size := range map[string]int64{
		"esp": p.Partitions.ESP, "banyan": p.Partitions.Banyan, "root": p.Partitions.Root, "state": p.Partitions.State,
	} {
		if size <= 0 {
			errs = append(errs, fmt.Errorf("partitions.%s must be a size in MiB", what))
		}
	}
	uids, gids := map[int]string{}, map[int]string{}
	claim := func(ids map[int]string, kind string, id int, name string) {
		if other, taken := ids[id]; taken {
			errs = append(errs, fmt.Errorf("%s and %s have the same %s %d", other, name, kind, id))
		}
		ids[id] = name
	}
	for name, u := range p.Users {
		claim(uids, "uid", u.UID, name)
		if u.GID != nogroup {
			claim(gids, "gid", u.GID, name)
		}
	}
	for name, g := range p.Groups {
		claim(gids, "gid", g.GID, name)
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// nogroup is Debian's static group for users without one of their own.
const nogroup = 65534

// include is every package that the image names, in a stable order.
func (p *Profile) include() []string {
	names := append([]string{p.Kernel}, p.Firmware...)
	for _, group := range p.Packages {
		names = append(names, group...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
