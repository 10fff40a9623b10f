package rootfs

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"banyan/internal/command"
)

// makeBase unpacks and configures the distribution's packages into root.
func (p *Profile) makeBase(ctx context.Context, root, work string) error {
	before := filepath.Join(work, "before")
	if err := p.writeBefore(before); err != nil {
		return err
	}
	args := []string{
		// Whatever ends mmdebstrap, its mounts and its children end with it: the tree can be removed.
		"--mount", "--pid", "--mount-proc", "--fork", "--kill-child", "--",
		"mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--quiet",
		"--architectures=" + p.Architecture,
		"--include=" + strings.Join(p.include(), ","),
		// What stands in the tree before the packages come is theirs to find, not to replace.
		`--essential-hook="` + filepath.Join(before, "hook") + `" "$1"`,
		// The checksums of what was installed, from the archive's signed lists while they are there.
		`--customize-hook=dpkg-query --admindir="$1/var/lib/dpkg" --show --showformat='${Package}:${Architecture}=${Version}\n' |` +
			` APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" xargs apt-cache show >"` + filepath.Join(work, packageRecords) + `"`,
		"--dpkgopt=force-confold",
		"--dpkgopt=force-unsafe-io", // a tree that a power cut spoils is built again
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/info/*",
		`--aptopt=Acquire::Languages "none"`,
		"--keyring=" + p.Keyring,
		p.Suite, root,
	}
	archives, err := p.nearestArchives(ctx)
	if err != nil {
		return err
	}
	_, err = command.Command{
		Name: "unshare", Args: append(args, p.sources(archives)...),
		Env: []string{"TMPDIR=" + work}, // what mmdebstrap leaves when it is killed goes with the rest
	}.Run(ctx)
	return err
}

// writeBefore writes what has to stand in the tree before packages are configured.
func (p *Profile) writeBefore(dir string) error {
	var hook strings.Builder
	hook.WriteString("#!/bin/sh -e\ncd \"$(dirname \"$0\")\"\ncp -r tree/. \"$1\"\ncat passwd >>\"$1/etc/passwd\"\ncat group >>\"$1/etc/group\"\n")
	for _, name := range slices.Sorted(maps.Keys(p.Users)) {
		if u := p.Users[name]; u.MakeHome {
			fmt.Fprintf(&hook, "install -d -o %d -g %d \"$1%s\"\n", u.UID, u.GID, u.Home)
		}
	}
	if err := writeFile(filepath.Join(dir, "hook"), hook.String(), 0o755); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"passwd": p.passwd(),
		"group":  p.group(),
		// No package may make a cluster: the seed decides where PostgreSQL's data is and Patroni makes it.
		"tree/etc/postgresql-common/createcluster.conf": "create_main_cluster = false\nstart_conf = 'manual'\n",
		"tree/etc/locale.gen":                           strings.Join(p.Locales, " UTF-8\n") + " UTF-8\n",
		// The initramfs is made once, at the end.
		"tree/etc/initramfs-tools/update-initramfs.conf": "update_initramfs=no\nbackup_initramfs=no\n",
	} {
		if err := writeFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
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

// sources is the archives as lines of sources.list(5).
func (p *Profile) sources(archives []Archive) []string {
	var lines []string
	for _, a := range archives {
		for _, suite := range a.Suites {
			lines = append(lines, fmt.Sprintf("deb [signed-by=%s] %s %s %s", p.Keyring, a.URI, suite, strings.Join(p.Components, " ")))
		}
	}
	return lines
}

// nearestArchives is the profile's archives, each at the mirror that this
// machine's own apt uses where it uses one: an archive "debian-security" is
// taken from the URI that ends so.
func (p *Profile) nearestArchives(ctx context.Context) ([]Archive, error) {
	out, err := command.Run(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian")
	if err != nil {
		return nil, fmt.Errorf("ask apt for its mirrors: %w", err)
	}
	near := map[string]string{}
	for uri := range strings.FieldsSeq(out) {
		near[path.Base(uri)] = strings.TrimSuffix(uri, "/")
	}
	archives := slices.Clone(p.Archives)
	for i, a := range archives {
		if uri, ok := near[path.Base(a.URI)]; ok {
			archives[i].URI = uri
		}
	}
	return archives, nil
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
