package rootfs

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"banyan/internal/command"
)

//go:embed all:overlay
var overlay embed.FS

// inChroot runs a program of the tree in it, in mount and process namespaces of
// its own: whatever happens, nothing stays mounted and nothing keeps running.
func inChroot(ctx context.Context, root, name string, args ...string) (string, error) {
	out, err := command.Command{
		Name: "unshare",
		Args: append([]string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--root=" + root, "--", name}, args...),
		Env:  []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"},
	}.Run(ctx)
	if err != nil {
		return "", fmt.Errorf("%s in the tree: %w", name, err)
	}
	return out, nil
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
		if _, err := inChroot(ctx, root, "dpkg", "--install", inside); err != nil {
			return err
		}
		if err := os.Remove(root + inside); err != nil {
			return err
		}
	}
	return nil
}

// layOverlay writes the files that make a Debian tree a Banyan image.
func layOverlay(root string) error {
	const tree = "overlay/tree"
	return fs.WalkDir(overlay, tree, func(name string, d fs.DirEntry, err error) error {
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
		return writeFile(filepath.Join(root, strings.TrimPrefix(name, tree)), string(content), mode)
	})
}

// setUnits decides what a node runs before it knows its seed. The components
// are started by what the seed makes of the node, never by having been installed.
func setUnits(ctx context.Context, root string) error {
	enabled := []string{"systemd-networkd.service", "systemd-networkd-wait-online.service", "systemd-resolved.service", "ssh.service",
		"banyan-hostkeys.service"}
	disabled := []string{"etcd.service", "patroni.service", "haproxy.service", "postgresql.service",
		// The image is replaced, never upgraded in place.
		"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "grub-common.service"}
	masked := []string{"systemd-firstboot.service"}
	for verb, units := range map[string][]string{"enable": enabled, "disable": disabled, "mask": masked} {
		if _, err := inChroot(ctx, root, "systemctl", append([]string{"--quiet", verb}, units...)...); err != nil {
			return err
		}
	}
	return nil
}

// makeInitramfs makes the kernel's and the initramfs's files, boot/vmlinuz and
// boot/initrd.img, out of the one kernel that the tree holds.
func makeInitramfs(ctx context.Context, root string) error {
	kernels, err := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	if err != nil {
		return err
	}
	if len(kernels) != 1 {
		return fmt.Errorf("the tree holds %d kernels, not one: %v", len(kernels), kernels)
	}
	release := strings.TrimPrefix(filepath.Base(kernels[0]), "vmlinuz-")
	if _, err := inChroot(ctx, root, "mkinitramfs", "-o", "/boot/initrd.img", release); err != nil {
		return err
	}
	return os.Rename(kernels[0], filepath.Join(root, "boot/vmlinuz"))
}

// seal takes out of the tree what no two machines may share and what building
// left behind, and moves aside what is only the pattern for state.
func (p *Profile) seal(ctx context.Context, root string, epoch time.Time) error {
	for _, pattern := range []string{
		"etc/ssh/ssh_host_*", "var/lib/dbus/machine-id", "var/lib/systemd/random-seed",
		"var/lib/apt/lists/*", "var/cache/apt/*", "var/cache/debconf/*-old", "var/cache/ldconfig/*", "var/lib/dpkg/*-old",
		"var/log/*.log", "var/log/apt/*", "var/log/[bw]tmp", "var/log/lastlog", "var/log/runit", "var/log/README", "var/backups/*",
		"etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/.pwd.lock", "etc/subuid-", "etc/subgid-",
		"etc/ssl/private/*", "etc/ssl/certs/ssl-cert-snakeoil.pem", "etc/.resolv.conf.systemd-resolved.bak",
		"etc/dpkg/dpkg.cfg.d/99mmdebstrap", "etc/apt/apt.conf.d/99mmdebstrap", "etc/hostname",
		"boot/System.map-*", "boot/config-*", "boot/initrd.img-*", "vmlinuz*", "initrd.img*", "tmp/*", "var/tmp/*", "run/*", "root/.*history",
	} {
		if err := removeAll(root, pattern); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		"etc/machine-id": "", // written from state in the initramfs
		"etc/fstab":      "# State is mounted by the initramfs.\n",
		"etc/apt/sources.list": "# Where this image's packages come from. The image is replaced as a whole, never upgraded in place.\n" +
			strings.Join(p.sources(p.Archives), "\n") + "\n",
		"usr/lib/clock-epoch": "", // systemd's clock is never older than this file: systemd(1)
	} {
		if err := writeFile(filepath.Join(root, name), content, 0o644); err != nil {
			return err
		}
	}
	if err := os.Chtimes(filepath.Join(root, "usr/lib/clock-epoch"), epoch, epoch); err != nil {
		return err
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
	if err := p.verify(ctx, root); err != nil {
		return err
	}
	return makeFactory(root)
}

// makeFactory moves what outlives the image to where `firstboot initramfs`
// finds the pattern of it, and leaves the mount points.
func makeFactory(root string) error {
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
		if err := os.Rename(from, filepath.Join(factory, name)); err != nil {
			return err
		}
		if err := os.Mkdir(from, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes what pattern matches in the tree.
func removeAll(root, pattern string) error {
	names, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}
