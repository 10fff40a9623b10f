package rootfs

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"banyan/internal/facts"
	"banyan/internal/strict"
)

//go:embed profiles
var profiles embed.FS

// Profile says what one image is made of. Nothing about a suite stands outside
// its profile.
type Profile struct {
	Name string // of its file, without the suffix
	Settings
}

// Settings is what a profile's file says, and what it inherits: keys are merged,
// lists replaced.
type Settings struct {
	Inherits     string              `yaml:"inherits"` // a built-in profile, or the path of a file
	Description  string              `yaml:"description"`
	Suite        string              `yaml:"suite"`
	Architecture string              `yaml:"architecture"`
	Archives     []Archive           `yaml:"archives"`
	Components   []string            `yaml:"components"`
	Keyring      string              `yaml:"keyring"`  // what the archives' Release files are verified with
	Expired      bool                `yaml:"expired"`  // the archives are past their end of life: Valid-Until says nothing
	Packages     map[string][]string `yaml:"packages"` // in groups, so that a profile may replace one
	Versions     Versions            `yaml:"versions"` // of what they install, so that a seed can be checked without the image
	Locales      []string            `yaml:"locales"`
	Users        map[string]User     `yaml:"users"`
	Groups       map[string]Group    `yaml:"groups"`
	Units        map[string]string   `yaml:"units"` // what is done with each: enable, disable or mask
	Partitions   Partitions          `yaml:"partitions"`
}

// Versions is what seeds and the node's configuration depend on. Each version is as long
// as it matters, such as 4.0; a build whose packages say otherwise fails.
type Versions struct {
	PostgreSQL []int  `yaml:"postgresql"` // major versions, ascending
	Patroni    string `yaml:"patroni"`
	Etcd       string `yaml:"etcd"`
	HAProxy    string `yaml:"haproxy"`
	Systemd    string `yaml:"systemd"`
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

// verbs is what can be done with a unit. One that lies where systemd does not
// look, such as below /usr/share, is enabled by its path.
var verbs = []string{"enable", "disable", "mask"}

// Partitions holds partition sizes in MiB.
type Partitions struct {
	ESP    int64 `yaml:"esp"`
	Banyan int64 `yaml:"banyan"`
	Root   int64 `yaml:"root"` // each of root-a and root-b
	State  int64 `yaml:"state"`
}

// LoadProfile reads the built-in profile of that name or, where name ends in
// .yaml, the profile in that file. What is wrong with a file is told by
// [strict.Problems].
func LoadProfile(name string) (*Profile, error) {
	p := &Profile{Name: strings.TrimSuffix(filepath.Base(name), profileSuffix)}
	if err := p.load(name, nil); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	return p, nil
}

const profileSuffix = ".yaml"

// load reads what name inherits and then itself. heirs are those who inherit it.
func (p *Profile) load(name string, heirs []string) error {
	if slices.Contains(heirs, name) {
		return fmt.Errorf("profile %s inherits itself: %s", name, strings.Join(append(heirs, name), " inherits "))
	}
	content, err := readProfile(name)
	if err != nil {
		return err
	}
	var parent struct{ Inherits string }
	// What is wrong with the file is said, with its place, by the strict reader below.
	if err := yaml.Unmarshal(content, &parent); err == nil && parent.Inherits != "" {
		from := parent.Inherits
		if isFile(from) && !filepath.IsAbs(from) {
			from = filepath.Join(filepath.Dir(name), from)
		}
		if err := p.load(from, append(heirs, name)); err != nil {
			return err
		}
	}
	return strict.Kind{Noun: "profile"}.DecodeOnto(name, content, &p.Settings).Err()
}

// isFile tells the path of a file from the name of a built-in profile.
func isFile(name string) bool { return strings.HasSuffix(name, profileSuffix) }

func readProfile(name string) ([]byte, error) {
	if isFile(name) {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the profile: %w", err)
		}
		return content, nil
	}
	content, err := profiles.ReadFile("profiles/" + name + profileSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no profile %q; there are %s, or name a file that ends in %s", name, strings.Join(ProfileNames(), ", "), profileSuffix)
	}
	return content, err
}

// YAML is the profile with all that it inherits, as a file would say it.
func (p *Profile) YAML() ([]byte, error) {
	content, err := yaml.Marshal(p.Settings)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", p.Name, err)
	}
	return content, nil
}

// ProfileNames lists the built-in profiles that an image can be made of.
func ProfileNames() []string {
	files, err := fs.Glob(profiles, "profiles/*"+profileSuffix)
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), profileSuffix)
	}
	return files
}

// check finds what reading it strictly cannot: something left out, or one id given twice.
func (p *Profile) check() error {
	var wrong []string
	for what, missing := range map[string]bool{
		"suite": p.Suite == "", "architecture": p.Architecture == "", "archives": len(p.Archives) == 0,
		"components": len(p.Components) == 0, "keyring": p.Keyring == "", "packages": len(p.Packages) == 0,
		"locales": len(p.Locales) == 0, "versions.postgresql": len(p.Versions.PostgreSQL) == 0,
	} {
		if missing {
			wrong = append(wrong, what+" is missing")
		}
	}
	for _, part := range []struct {
		name        string
		size, least int64
	}{
		{"esp", p.Partitions.ESP, 64}, // FAT32 has at least 65525 clusters
		{"banyan", p.Partitions.Banyan, 16},
		{"root", p.Partitions.Root, 1},
		{"state", p.Partitions.State, 256}, // its journal takes half of that
	} {
		if part.size < part.least {
			wrong = append(wrong, fmt.Sprintf("partitions.%s must be %d MiB at least", part.name, part.least))
		}
	}
	for unit, verb := range p.Units {
		if !slices.Contains(verbs, verb) {
			wrong = append(wrong, fmt.Sprintf("units.%s is %q: write one of %s", unit, verb, strings.Join(verbs, ", ")))
		}
	}
	for name, version := range p.Versions.named() {
		if facts.ParseVersion(version) == (facts.Version{}) {
			wrong = append(wrong, fmt.Sprintf("versions.%s is %q: write what dpkg says of it, as far as its second number", name, version))
		}
	}
	uids, gids := map[int]string{}, map[int]string{}
	claim := func(ids map[int]string, kind string, id int, name string) {
		if other, taken := ids[id]; taken {
			wrong = append(wrong, fmt.Sprintf("%s and %s have the same %s %d", other, name, kind, id))
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
	for name, u := range p.Users {
		if u.MakeHome && u.Home == "" {
			wrong = append(wrong, fmt.Sprintf("users.%s has make_home and no home", name))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return errors.New(strings.Join(wrong, "; "))
}

// nogroup is Debian's static group for users without one of their own.
const nogroup = 65534

// packageNames is every package that the profile names, in a stable order.
func (p *Profile) packageNames() []string {
	names := slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Values(p.Packages))...)))
	return slices.Compact(names)
}
