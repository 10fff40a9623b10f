package rootfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"banyan/internal/command"
)

// base is the distribution's packages, unpacked and configured: what the image
// is made of before anything of ours is in it. It is kept in the cache.
type base struct {
	dir      string
	Packages []Package `json:"packages"` // that it holds
}

func (b *base) root() string { return filepath.Join(b.dir, "root") }

// baseRecord is the name of a base's JSON, beside its root.
const baseRecord = "base.json"

// readBase reads the base in dir; fs.ErrNotExist says that there is none.
func readBase(dir string) (*base, error) {
	content, err := os.ReadFile(filepath.Join(dir, baseRecord))
	if err != nil {
		return nil, err
	}
	b := &base{dir: dir}
	if err := json.Unmarshal(content, b); err != nil {
		return nil, fmt.Errorf("%s: %w", baseRecord, err)
	}
	return b, nil
}

// recipe is how mmdebstrap makes a base out of a profile: with what the archives
// hold, all that the tree depends on.
type recipe struct {
	Revision      int               // of unpackBase: raised when that makes another tree of the same recipe
	Args          []string          // of mmdebstrap, without paths
	Env           []string          // of it
	Users, Groups string            // lines of passwd(5) and group(5) for the pinned ones, before a package makes its own
	Files         map[string]string // by path in the tree: configuration that packages find
	Homes         []User            // whose homes adduser would have made, were they not there already
	Date          time.Time         // that the tree carries
}

func (p *Profile) recipe(date time.Time) recipe {
	r := recipe{
		Revision: 2,
		Args: []string{
			"--mode=root", "--variant=minbase", "--format=directory", "--quiet", "--architectures=" + p.Architecture,
			"--include=" + strings.Join(p.packageNames(), ","),
			"--skip=update,chroot/mount/sys", // the lists are there already, and the packages need no /sys
			"--dpkgopt=force-confold",
			"--dpkgopt=force-unsafe-io", // what a power cut spoils is made again
			"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
			"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/info/*",
			`--aptopt=Acquire::Languages "none"`,
			fmt.Sprintf(`--aptopt=Acquire::Check-Valid-Until "%t"`, !p.Expired),
		},
		// Bytecode that Python caches in maintainer scripts differs from run to run.
		Env:   []string{"LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1", "PYTHONHASHSEED=0"},
		Users: p.passwd(), Groups: p.group(),
		Files: map[string]string{
			// No package may make a cluster: the seed decides where PostgreSQL's data is and Patroni makes it.
			"etc/postgresql-common/createcluster.conf": "create_main_cluster = false\nstart_conf = 'manual'\n",
			"etc/locale.gen": strings.Join(p.Locales, " UTF-8\n") + " UTF-8\n",
			// The initramfs is made once, at the end.
			"etc/initramfs-tools/update-initramfs.conf": "update_initramfs=no\nbackup_initramfs=no\n",
		},
		Date: date,
	}
	for _, name := range slices.Sorted(maps.Keys(p.Users)) {
		if u := p.Users[name]; u.MakeHome {
			r.Homes = append(r.Homes, u)
		}
	}
	return r
}

// key names the base that r makes of what the archives hold now.
func (r recipe) key(fingerprint string) (string, error) {
	content, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(content, fingerprint...))
	return hex.EncodeToString(sum[:8]), nil
}

// unpackBase makes the base, which gets its name when it is whole and on the disk.
func (b *builder) unpackBase(ctx context.Context) (made *base, err error) {
	began := time.Now()
	made = &base{dir: b.basePath + unfinished, Packages: b.packages}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(b.basePath+unfinished))
		}
	}()
	if err := os.MkdirAll(made.root(), 0o755); err != nil {
		return nil, err
	}
	hooks := b.file("hooks")
	if err := b.writeHooks(hooks); err != nil {
		return nil, err
	}
	args := slices.Concat([]string{
		// Whatever ends mmdebstrap, its mounts and its children end with it: the tree can be removed.
		"--mount", "--uts", "--pid", "--mount-proc", "--fork", "--kill-child", "--",
		// ssl-cert makes a certificate of the machine's name, which is not to be this one's.
		"sh", "-c", `hostname localhost && exec "$@"`, "sh", "mmdebstrap",
	}, b.recipe.Args, []string{
		"--setup-hook=" + filepath.Join(hooks, "setup"),
		"--essential-hook=" + filepath.Join(hooks, "essential"),
		"--keyring=" + b.Keyring, b.Profile.Suite, made.root(),
	}, b.Profile.sources(b.archives, b.Keyring))
	_, err = command.Command{
		Name: "unshare", Args: args,
		Env: slices.Concat(b.recipe.Env, []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", b.recipe.Date.Unix()),
			"TMPDIR=" + b.work}), // what mmdebstrap leaves when it is killed goes with the rest
	}.Run(ctx)
	if err != nil {
		return nil, err
	}
	if err := made.checkPackages(ctx); err != nil {
		return nil, err
	}
	// The first program in a tree makes places for the machine's device nodes; from then on the base stays as it is.
	if _, err := inChroot(ctx, made.root(), nil, "true"); err != nil {
		return nil, err
	}
	if err := setDates(made.root(), dates{after: began, to: b.recipe.Date}); err != nil {
		return nil, err
	}
	return made, made.keep(b.basePath)
}

// writeHooks writes the scripts that give mmdebstrap what is in the cache
// already, and the tree what the recipe wants there before packages are
// configured.
func (b *builder) writeHooks(dir string) error {
	var setup, essential strings.Builder
	setup.WriteString("#!/bin/sh -e\ncd \"$1\"\nmkdir -p var/lib/apt/lists var/cache/apt/archives\n")
	fmt.Fprintf(&setup, "cp %s/*Release* %[1]s/*Packages* var/lib/apt/lists/\n", shellQuote(b.apt.lists()))
	for _, p := range b.packages {
		fmt.Fprintf(&setup, "ln %s var/cache/apt/archives/\n", shellQuote(filepath.Join(b.apt.debs, p.file())))
	}
	essential.WriteString("#!/bin/sh -e\ncd \"$(dirname \"$0\")\"\ncp -r tree/. \"$1\"\ncat passwd >>\"$1/etc/passwd\"\ncat group >>\"$1/etc/group\"\n")
	for _, u := range b.recipe.Homes {
		fmt.Fprintf(&essential, "install -d -o %d -g %d \"$1%s\"\n", u.UID, u.GID, u.Home)
	}
	for name, content := range map[string]string{"setup": setup.String(), "essential": essential.String()} {
		if err := writeFile(filepath.Join(dir, name), content, 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{"passwd": b.recipe.Users, "group": b.recipe.Groups}
	for name, content := range b.recipe.Files {
		files[filepath.Join("tree", name)] = content
	}
	for name, content := range files {
		if err := writeFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// checkPackages makes sure that the tree holds the packages whose checksums are
// known, and no other.
func (b *base) checkPackages(ctx context.Context) error {
	out, err := command.Run(ctx, "dpkg-query", "--admindir="+filepath.Join(b.root(), "var/lib/dpkg"), "--show",
		"--showformat=${Package} ${Version} ${Architecture}\n")
	if err != nil {
		return err
	}
	installed := strings.Split(strings.TrimSpace(out), "\n")
	var known []string
	for _, p := range b.Packages {
		known = append(known, p.Name+" "+p.Version+" "+p.Architecture)
	}
	missing, unexpected := without(known, installed), without(installed, known)
	if len(missing)+len(unexpected) > 0 {
		return fmt.Errorf("the tree holds other packages than the archives were asked for: missing are %q, unexpected %q", missing, unexpected)
	}
	return nil
}

// without is the elements of a that b lacks.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// keep gives a base that was made its name, once it outlasts a power cut.
func (b *base) keep(dir string) error {
	content, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(b.dir, baseRecord), string(content), 0o644); err != nil {
		return err
	}
	if err := syncAll(b.dir); err != nil {
		return err
	}
	if err := os.Rename(b.dir, dir); err != nil {
		return err
	}
	b.dir = dir
	return nil
}

// passwd is the pinned users as lines of passwd(5), none with a password.
func (p *Profile) passwd() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.Users)) {
		u := p.Users[name]
		home, shell := u.Home, u.Shell
		if home == "" {
			home = "/"
		}
		if shell == "" {
			shell = "/usr/sbin/nologin"
		}
		fmt.Fprintf(&b, "%s:*:%d:%d:%s:%s:%s\n", name, u.UID, u.GID, u.Comment, home, shell)
	}
	return b.String()
}

// group is the pinned groups, the users' own among them, as lines of group(5).
func (p *Profile) group() string {
	groups := maps.Clone(p.Groups)
	for name, u := range p.Users {
		if u.GID != nogroup {
			groups[name] = Group{GID: u.GID}
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		fmt.Fprintf(&b, "%s:x:%d:%s\n", name, groups[name].GID, strings.Join(groups[name].Members, ","))
	}
	return b.String()
}
