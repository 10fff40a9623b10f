package rootfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"banyan/internal/command"
	"banyan/internal/durable"
)

// apt asks the profile's archives through an apt of its own: its lists and
// packages are in the cache, and of the machine's apt it has the way to the
// network (proxies, see apt-transport-http(1)) and nothing else.
type apt struct {
	profile *Profile
	keyring string
	dir     string // of the profile's lists
	debs    string // a directory, common to all profiles
}

// lists is apt's own directory: it removes from it what is no list.
func (a apt) lists() string { return filepath.Join(a.dir, "lists") }

func (a apt) sourceList() string { return filepath.Join(a.dir, "sources.list") }

// status is an empty database of dpkg: apt resolves for a tree that holds nothing yet. It is a file of our own, since apt locks
// it.
func (a apt) status() string { return filepath.Join(a.dir, "status") }

// noDebs is an empty directory in the place of debs.
func (a apt) noDebs() string { return filepath.Join(a.dir, "no-debs") }

// run runs apt-get on the archives, with debs as the directory of what it has downloaded.
func (a apt) run(ctx context.Context, debs string, args ...string) (string, error) {
	options := []string{
		"Dir::State=" + a.dir, "Dir::State::Lists=" + a.lists(), "Dir::State::status=" + a.status(),
		"Dir::Etc::SourceList=" + a.sourceList(), "Dir::Etc::SourceParts=/dev/null",
		"Dir::Etc::Preferences=/dev/null", "Dir::Etc::PreferencesParts=/dev/null",
		"Dir::Cache::Archives=" + debs, "Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache=",
		"APT::Architecture=" + a.profile.Architecture, "APT::Architectures=" + a.profile.Architecture,
		"APT::Install-Recommends=false", "APT::Install-Suggests=false", "APT::Default-Release=",
		"APT::Sandbox::User=root",         // the cache may be where _apt cannot go
		"APT::Update::Error-Mode=any",     // by default what cannot be fetched is only warned of
		"APT::Keep-Downloaded-Packages=1", // that is what they are downloaded for
		"Acquire::Languages=none", "Acquire::ForceHash=SHA256", "Acquire::Retries=2",
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false", // of what appstream asks for, where it is installed
		"Acquire::Check-Valid-Until=" + fmt.Sprint(!a.profile.Expired),
	}
	all := []string{"--quiet=2"}
	for _, o := range options {
		all = append(all, "--option", o)
	}
	said, err := command.Command{Name: "apt-get", Args: append(all, args...), Env: []string{"LC_ALL=C"}}.Run(ctx)
	if err != nil && ctx.Err() == nil {
		err = explain(err)
	}
	return said, err
}

// update fetches what is new in the archives' lists, and verifies them.
//
// apt does not put its lists on the disk and does not look at them again while the
// Release file is the same. So they are fetched anew where a power cut, or
// anything else, kept the last update from its end.
func (a apt) update(ctx context.Context, archives []Archive) error {
	begun := filepath.Join(a.dir, "begun")
	if _, err := os.Stat(begun); err == nil {
		if err := os.RemoveAll(a.lists()); err != nil {
			return err
		}
	}
	for _, dir := range []string{a.lists(), a.debs, a.noDebs()} {
		if err := os.MkdirAll(filepath.Join(dir, "partial"), 0o755); err != nil {
			return err
		}
	}
	if err := writeFile(a.sourceList(), strings.Join(a.profile.sources(archives, a.keyring), "\n")+"\n", 0o644); err != nil {
		return err
	}
	if err := writeFile(a.status(), "", 0o644); err != nil {
		return err
	}
	if err := markUsed(a.dir); err != nil {
		return err
	}
	if err := durable.WriteFile(begun, nil, 0o644); err != nil {
		return err
	}
	if _, err := a.run(ctx, a.debs, "update"); err != nil {
		return err
	}
	if err := syncAll(a.dir); err != nil {
		return err
	}
	return durable.Remove(begun)
}

const (
	notItsKey = "%s is signed with none of the keyring's keys (%s): name the archive's keyring with --keyring"
	noPackage = "the archives have no package %s: correct the profile's packages"
)

// complaints is what apt-get fails with, and what to say of it in one line. The
// first that is found counts.
var complaints = []struct {
	pattern *regexp.Regexp
	advice  string // its %s are the groups of the pattern
}{
	{regexp.MustCompile(`(?m)^W: GPG error: (\S+ \S+) .*?: (The following signatures .*|NO_PUBKEY.*)$`), notItsKey},
	{regexp.MustCompile(`(?m)^E: Failed to fetch (\S+) +(The following signatures .*|.*NO_PUBKEY.*)$`), notItsKey},
	// apt 3, of Debian 13, verifies by sqv.
	{regexp.MustCompile(`(?m)^W: OpenPGP signature verification failed: (\S+ \S+) .*?: (.*)$`), notItsKey},
	{regexp.MustCompile(`(?m)^E: Failed to fetch (\S+) +(.*\bsqv\b.*)$`), notItsKey},
	{regexp.MustCompile(`(?m)^E: Failed to fetch (\S+)  (.*?):?$`),
		"cannot fetch %s (%s): is the network up, or is there another mirror to name with --mirror?"},
	{regexp.MustCompile(`(?m)^E: The repository '(.*)' (?:is not signed|does not have a Release file|no longer has a Release file)`),
		"%s is no signed archive: name another mirror with --mirror"},
	{regexp.MustCompile(`(?m)^E: Unable to locate package (.*)$`), noPackage},
	{regexp.MustCompile(`(?m)^E: Package '(.*)' has no installation candidate`), noPackage},
	{regexp.MustCompile(`(?m)^ (\S+ : (?:Depends|Conflicts|PreDepends|Breaks): .*)$`),
		"%s: correct the profile's packages"},
}

// explain says in one line what apt-get failed with.
func explain(err error) error {
	for _, c := range complaints {
		if m := c.pattern.FindStringSubmatch(err.Error()); m != nil {
			var groups []any
			for _, group := range m[1:] {
				groups = append(groups, group)
			}
			return fmt.Errorf(c.advice, groups...)
		}
	}
	return err
}

// fingerprint is a checksum over what the archives' Release files say of the
// profile's packages, and the date of the first of them. The other dates say
// nothing: some Release files are written anew several times a day.
func (a apt) fingerprint() (sum string, date time.Time, err error) {
	files, err := filepath.Glob(filepath.Join(a.lists(), "*Release"))
	if err != nil {
		return "", time.Time{}, err
	}
	slices.Sort(files)
	h := sha256.New()
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			return "", time.Time{}, err
		}
		for _, line := range a.profile.indexes(string(content)) {
			fmt.Fprintln(h, line)
		}
		if strings.Contains(name, "_dists_"+a.profile.Archives[0].Suites[0]+"_") {
			if date, err = releaseDate(string(content)); err != nil {
				return "", time.Time{}, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if date.IsZero() {
		return "", time.Time{}, fmt.Errorf("no Release file of %s is among apt's lists in %s", a.profile.Archives[0].Suites[0], a.lists())
	}
	return hex.EncodeToString(h.Sum(nil)), date, nil
}

// indexes is the lines of a Release file that have the SHA256 of the lists of
// the profile's packages: https://wiki.debian.org/DebianRepository/Format.
func (p *Profile) indexes(release string) []string {
	wanted := regexp.MustCompile(`(?m)^ [0-9a-f]{64} +\d+ (?:` + strings.Join(p.Components, "|") + `)/binary-(?:all|` + p.Architecture + `)/Packages\b.*$`)
	return wanted.FindAllString(release, -1)
}

func releaseDate(release string) (time.Time, error) {
	m := regexp.MustCompile(`(?m)^Date: (.*)$`).FindStringSubmatch(release)
	if m == nil {
		return time.Time{}, errors.New("it has no date")
	}
	return time.Parse(time.RFC1123, m[1])
}

// installTargets is what mmdebstrap's variant minbase and the profile install, as apt's patterns.
func (p *Profile) installTargets() []string {
	return append([]string{"?essential", "?priority(required)", "apt"}, p.packageNames()...)
}

// fetch downloads what is not among the debs yet, or is not what the archive
// says, and returns all that the profile's tree is made of.
func (a apt) fetch(ctx context.Context) ([]Package, error) {
	install := append([]string{"install"}, a.profile.installTargets()...)
	// --print-uris leaves out what was downloaded: here that is nothing.
	out, err := a.run(ctx, a.noDebs(), append([]string{"--print-uris"}, install...)...)
	if err != nil {
		return nil, err
	}
	packages, err := readURIs(out)
	if err != nil {
		return nil, err
	}
	missing := false
	for _, p := range packages {
		deb := filepath.Join(a.debs, p.file())
		sum, err := checksum(ctx, deb)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = true
		case err != nil:
			return nil, err
		case sum != p.SHA256: // apt looks at the size alone
			missing = true
			err = os.Remove(deb)
		default:
			err = markUsed(deb)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if missing {
		if _, err := a.run(ctx, a.debs, append([]string{"--download-only"}, install...)...); err != nil {
			return nil, err
		}
		for _, p := range packages { // apt gives them the archive's dates
			if err := markUsed(filepath.Join(a.debs, p.file())); err != nil {
				return nil, err
			}
		}
	}
	return packages, nil
}

// readURIs reads what apt-get --print-uris says: 'URI' FILE SIZE SHA256:SUM.
func readURIs(out string) ([]Package, error) {
	var packages []Package
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) != 4 || !strings.HasPrefix(f[3], "SHA256:") {
			return nil, fmt.Errorf("apt-get --print-uris said %q, which has no SHA256", strings.TrimSpace(line))
		}
		p, err := packageOf(f[1])
		if err != nil {
			return nil, err
		}
		p.SHA256 = strings.TrimPrefix(f[3], "SHA256:")
		packages = append(packages, p)
	}
	return packages, nil
}

// sources is the archives as lines of sources.list(5).
func (p *Profile) sources(archives []Archive, keyring string) []string {
	var lines []string
	for _, a := range archives {
		for _, suite := range a.Suites {
			lines = append(lines, fmt.Sprintf("deb [signed-by=%s] %s %s %s", keyring, a.URI, suite, strings.Join(p.Components, " ")))
		}
	}
	return lines
}

// MachineSources is the profile's archives as lines of sources.list(5), where this
// machine's own apt has mirrors of them at those.
func (p *Profile) MachineSources(ctx context.Context) ([]string, error) {
	near, err := machineMirrors(ctx)
	if err != nil {
		return nil, err
	}
	return p.sources(p.archivesAt(near), p.Keyring), nil
}

// machineMirrors is where this machine's own apt has archives, by the last
// element of their URIs.
func machineMirrors(ctx context.Context) (map[string]string, error) {
	out, err := command.Run(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian")
	if err != nil {
		return nil, fmt.Errorf("ask apt for its mirrors: %w", err)
	}
	mirrors := map[string]string{}
	for uri := range strings.FieldsSeq(out) {
		mirrors[path.Base(uri)] = strings.TrimSuffix(uri, "/")
	}
	return mirrors, nil
}

// parseMirrors reads mirrors, each a URI that ends as the archive's or
// ARCHIVE=URI, by archive.
func (p *Profile) parseMirrors(mirrors []string) (map[string]string, error) {
	var known []string
	for _, a := range p.Archives {
		known = append(known, path.Base(a.URI))
	}
	parsed := map[string]string{}
	for _, mirror := range mirrors {
		name, uri, named := strings.Cut(mirror, "=")
		if !named || strings.Contains(name, "/") {
			name, uri = path.Base(mirror), mirror
		}
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("the mirror %s is of none of the archives %s: write it as ARCHIVE=URI", mirror, strings.Join(known, ", "))
		}
		if scheme, _, ok := strings.Cut(uri, ":/"); !ok || scheme == "" {
			return nil, fmt.Errorf("the mirror %s is no URI, such as http://mirror.example/debian or file:/srv/debian", mirror)
		}
		parsed[name] = strings.TrimSuffix(uri, "/")
	}
	return parsed, nil
}

// archivesAt is the profile's archives at the last of the mirrors that has each.
func (p *Profile) archivesAt(mirrors ...map[string]string) []Archive {
	archives := slices.Clone(p.Archives)
	for i, a := range archives {
		for _, m := range mirrors {
			if uri, ok := m[path.Base(a.URI)]; ok {
				archives[i].URI = uri
			}
		}
		// apt leaves the packages of a file: archive where they are, which is not in the tree.
		if rest, ok := strings.CutPrefix(archives[i].URI, "file:"); ok {
			archives[i].URI = "copy:" + rest
		}
	}
	return archives
}
