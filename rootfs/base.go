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

	"golang.org/x/sys/unix"

	"banyan/internal/command"
)

// base is the distribution's packages, unpacked and configured: what the image
// is made of before anything of ours is in it. It is kept in the cache.
type base struct {
	dir string

	// Began is when its making did: what is as young in the tree is of no package.
	Began time.Time `json:"began"`
	// Packages is what the tree holds.
	Packages []Package `json:"packages"`
}

func (b *base) root() string { return filepath.Join(b.dir, "root") }

// What there is of a base beside its root.
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
	now := time.Now()
	return b, os.Chtimes(dir, now, now) // used last
}

// recipe is how mmdebstrap makes a base out of a profile. Whatever the tree
// depends on is in it.
type recipe struct {
	Args   []string          // of mmdebstrap, without paths
	Env    []string          // of it
	Before map[string]string // what stands in the tree before the packages come, which is theirs to find, not to replace
	Homes  []User            // to be made for users whom the package finds
	Date   time.Time         // that the tree carries
}

func (p *Profile) recipe(date time.Time) recipe {
	r := recipe{
		Args: []string{
			"--mode=root", "--variant=minbase", "--format=directory", "--quiet", "--architectures=" + p.Architecture,
			"--include=" + strings.Join(p.include(), ","),
			"--skip=update,chroot/mount/sys", // the lists are there already, and the packages need no /sys
			"--dpkgopt=force-confold",
			"--dpkgopt=force-unsafe-io", // what a power cut spoils is made again
			"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
			"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/info/*",
			`--aptopt=Acquire::Languages "none"`,
			fmt.Sprintf(`--aptopt=Acquire::Check-Valid-Until "%t"`, !p.Expired),
		},
		// Whatever the caller's locale; and what Python keeps of a module that a maintainer script imports is another each time.
		Env: []string{"LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1", "PYTHONHASHSEED=0"},
		Before: map[string]string{
			"passwd": p.passwd(),
			"group":  p.group(),
			// No package may make a cluster: the seed decides where PostgreSQL's data is and Patroni makes it.
			"tree/etc/postgresql-common/createcluster.conf": "create_main_cluster = false\nstart_conf = 'manual'\n",
			"tree/etc/locale.gen":                           strings.Join(p.Locales, " UTF-8\n") + " UTF-8\n",
			// The initramfs is made once, at the end.
			"tree/etc/initramfs-tools/update-initramfs.conf": "update_initramfs=no\nbackup_initramfs=no\n",
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
func (r recipe) key(release string) (string, error) {
	content, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(content, release...))
	return hex.EncodeToString(sum[:8]), nil
}

// makeBase makes the base in dir, which has its name when it is whole and on the disk.
func (a apt) makeBase(ctx context.Context, r recipe, archives []Archive, packages []Package, dir, work string) (b *base, err error) {
	b = &base{dir: dir + unfinished, Began: time.Now(), Packages: packages}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir+unfinished))
		}
	}()
	if err := os.MkdirAll(b.root(), 0o755); err != nil {
		return nil, err
	}
	hooks := filepath.Join(work, "hooks")
	if err := a.writeHooks(hooks, r, packages); err != nil {
		return nil, err
	}
	args := slices.Concat([]string{
		// Whatever ends mmdebstrap, its mounts and its children end with it: the tree can be removed.
		"--mount", "--pid", "--mount-proc", "--fork", "--kill-child", "--", "mmdebstrap",
	}, r.Args, []string{
		"--setup-hook=" + filepath.Join(hooks, "setup"),
		"--essential-hook=" + filepath.Join(hooks, "essential"),
		"--keyring=" + a.keyring, a.profile.Suite, b.root(),
	}, a.profile.sources(archives, a.keyring))
	_, err = command.Command{
		Name: "unshare", Args: args,
		Env: append(r.Env, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.Date.Unix()),
			"TMPDIR="+work), // what mmdebstrap leaves when it is killed goes with the rest
	}.Run(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.checkPackages(ctx); err != nil {
		return nil, err
	}
	return b, b.keep(dir)
}

// writeHooks writes the scripts that give mmdebstrap what is in the cache
// already, and the tree what has to stand in it before packages are configured.
func (a apt) writeHooks(dir string, r recipe, packages []Package) error {
	var setup, essential strings.Builder
	setup.WriteString("#!/bin/sh -e\ncd \"$1\"\nmkdir -p var/lib/apt/lists var/cache/apt/archives\n")
	fmt.Fprintf(&setup, "cp %s/*Release %[1]s/*Packages* var/lib/apt/lists/\n", shellQuote(a.lists()))
	for _, p := range packages {
		fmt.Fprintf(&setup, "ln %s var/cache/apt/archives/\n", shellQuote(filepath.Join(a.debs, p.file())))
	}
	essential.WriteString("#!/bin/sh -e\ncd \"$(dirname \"$0\")\"\ncp -r tree/. \"$1\"\ncat passwd >>\"$1/etc/passwd\"\ncat group >>\"$1/etc/group\"\n")
	for _, u := range r.Homes {
		fmt.Fprintf(&essential, "install -d -o %d -g %d \"$1%s\"\n", u.UID, u.GID, u.Home)
	}
	for name, content := range map[string]string{"setup": setup.String(), "essential": essential.String()} {
		if err := writeFile(filepath.Join(dir, name), content, 0o755); err != nil {
			return err
		}
	}
	for name, content := range r.Before {
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
	var known []string
	for _, p := range b.Packages {
		known = append(known, p.Name+" "+p.Version+" "+p.Architecture)
	}
	slices.Sort(known)
	installed := slices.Sorted(strings.Lines(out))
	for i, line := range installed {
		installed[i] = strings.TrimSpace(line)
	}
	if !slices.Equal(known, installed) {
		return fmt.Errorf("apt was asked for %d packages and the tree holds %d: %s", len(known), len(installed), difference(known, installed))
	}
	return nil
}

// difference is the first element of one sorted list that the other lacks.
func difference(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return min(a[i], b[i])
		}
	}
	return slices.Concat(a[min(len(a), len(b)):], b[min(len(a), len(b)):])[0]
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
	at, err := os.Open(b.dir)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Syncfs(int(at.Fd())), at.Close()); err != nil {
		return fmt.Errorf("put %s on the disk: %w", b.dir, err)
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

func writeFile(name, content string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		return err
	}
	return os.Chmod(name, mode) // whatever the umask
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
