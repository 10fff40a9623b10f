package rootfs

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/seeds"
)

//go:embed all:overlay
var overlay embed.FS

// mountRoot shows the base at the root, which may be changed and leaves the base
// as it is: https://docs.kernel.org/filesystems/overlayfs.html. Copying a GiB
// would take longer than all that is done there. It is a copy where the working
// directory cannot hold an upper layer, as in a container.
func (b *builder) mountRoot(ctx context.Context) error {
	upper, work := b.file("root.upper"), b.file("root.work")
	for _, dir := range []string{b.root, upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`).Replace
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", escape(b.base.root()), escape(upper), escape(work))
	// With userxattr it is the same overlay in a user namespace.
	if err := unix.Mount("overlay", b.root, "overlay", 0, options+",userxattr"); err != nil {
		_, err := command.Run(ctx, "cp", "-a", "--reflink=auto", b.base.root()+"/.", b.root)
		return err
	}
	b.mounted = true
	return nil
}

// unmountRoot ends what mountRoot has begun.
func (b *builder) unmountRoot() error {
	if !b.mounted {
		return nil
	}
	b.mounted = false
	return unix.Unmount(b.root, unix.MNT_DETACH)
}

// installPackages installs .deb files as any host would, with no service started.
func installPackages(ctx context.Context, root string, debs []string) (err error) {
	const policy = "usr/sbin/policy-rc.d"
	if err := writeFile(filepath.Join(root, policy), "#!/bin/sh\nexit 101\n", 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(filepath.Join(root, policy))) }()

	for _, deb := range debs {
		content, err := os.ReadFile(deb)
		if err != nil {
			return err
		}
		inside := "/tmp/" + filepath.Base(deb)
		if err := writeFile(root+inside, string(content), 0o644); err != nil {
			return err
		}
		if _, err := inChroot(ctx, root, nil, "dpkg", "--install", inside); err != nil {
			return err
		}
		if err := os.Remove(root + inside); err != nil {
			return err
		}
	}
	return nil
}

// overlayTree is what makes a Debian tree a Banyan image.
const overlayTree = "overlay/tree"

// layOverlay writes the files below dir of the overlay over those below root.
func layOverlay(dir, root string) error {
	return fs.WalkDir(overlay, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := overlay.ReadFile(name)
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(string(content), "#!") {
			mode = 0o755
		}
		return writeFile(filepath.Join(root, strings.TrimPrefix(name, dir)), string(content), mode)
	})
}

// seedKeyID is the id of the key that seeds have to be signed with, or "".
func (o Options) seedKeyID() (string, error) {
	if o.SeedKey == "" {
		return "", nil
	}
	key, err := seeds.ParsePublicKey("the key of seeds", []byte(o.SeedKey))
	return seeds.KeyID(key.ID()), err
}

// laySeedKey makes root take no seed but those that the key has signed.
func (o Options) laySeedKey(root string) error {
	if o.SeedKey == "" {
		return nil
	}
	return writeFile(filepath.Join(root, seeds.KeyFile), o.SeedKey, 0o644)
}

// setUnits decides what a node runs before it knows its seed. The components
// are started by what the seed makes of the node, never by having been installed.
func (p *Profile) setUnits(ctx context.Context, root string) error {
	for _, verb := range verbs {
		units := slices.DeleteFunc(slices.Sorted(maps.Keys(p.Units)), func(u string) bool { return p.Units[u] != verb })
		if len(units) == 0 {
			continue
		}
		if _, err := inChroot(ctx, root, nil, "systemctl", append([]string{"--quiet", verb}, units...)...); err != nil {
			return err
		}
	}
	return nil
}

// clean takes out of the tree what no two machines may share and what building
// left behind.
func (p *Profile) clean(root string) error {
	for _, pattern := range []string{
		"etc/ssh/ssh_host_*", "var/lib/dbus/machine-id", "var/lib/systemd/random-seed",
		"var/lib/apt/lists/*", "var/cache/apt/*", "var/cache/debconf/*-old", "var/cache/ldconfig/*", "var/lib/dpkg/*-old",
		"var/log/*.log", "var/log/apt/*", "var/log/[bw]tmp", "var/log/lastlog", "var/log/faillog", "var/log/runit", "var/log/README", "var/backups/*",
		"etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/.pwd.lock", "etc/subuid-", "etc/subgid-",
		"etc/ssl/private/*", "etc/ssl/certs/ssl-cert-snakeoil.pem", "etc/.resolv.conf.systemd-resolved.bak",
		"etc/dpkg/dpkg.cfg.d/99mmdebstrap", "etc/apt/apt.conf.d/99mmdebstrap", "etc/hostname",
		"boot/*", "vmlinuz*", "initrd.img*", "tmp/*", "var/tmp/*", "run/*", "dev/*", "root/.*history",
	} {
		if err := removeAll(root, pattern); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		"etc/machine-id": "", // written from state in the initramfs
		"etc/fstab":      "# State is mounted by the initramfs.\n",
		"etc/apt/sources.list": "# Where this image's packages come from. The image is replaced as a whole, never upgraded in place.\n" +
			strings.Join(p.sources(p.Archives, p.Keyring), "\n") + "\n",
		"usr/lib/clock-epoch": "", // systemd's clock is never older than this file: systemd(1)
	} {
		if err := writeFile(filepath.Join(root, name), content, 0o644); err != nil {
			return err
		}
	}
	if err := renameio.Symlink("../run/systemd/resolve/stub-resolv.conf", filepath.Join(root, "etc/resolv.conf")); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, "var/log/journal"), 0o755); err != nil { // journald keeps a journal where this is
		return err
	}
	// systemd's services that update /etc and /var after an upgrade of /usr have nothing to do: systemd-update-done.service(8).
	for _, stamp := range []string{"etc/.updated", "var/.updated"} {
		if err := writeFile(filepath.Join(root, stamp), "", 0o644); err != nil {
			return err
		}
	}
	return nil
}

// dates says which files get another date, and which one.
type dates struct{ after, to time.Time }

// setDates gives one date to all that was changed later than another: those are
// the files that are of no package.
func setDates(root string, d dates) error {
	stamp := unix.NsecToTimespec(d.to.UnixNano())
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.ModTime().Before(d.after) {
			return err
		}
		return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{stamp, stamp}, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// makeFactory moves what outlives the image to where `firstboot initramfs`
// finds the pattern of it, and leaves the mount points.
func makeFactory(ctx context.Context, root string) error {
	factory := filepath.Join(root, "usr/share/factory")
	if err := os.MkdirAll(factory, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"var", "home", "root"} {
		from := filepath.Join(root, name)
		info, err := os.Stat(from)
		if err != nil {
			return err
		}
		if _, err := command.Run(ctx, "mv", from, factory); err != nil { // an overlay renames no directory of its lower layer
			return err
		}
		if err := os.Mkdir(from, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}
