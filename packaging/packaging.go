// Package packaging makes the project's own .debs, with their units, maintainer
// scripts, manual pages and completions. The image installs the very same
// packages as any host.
package packaging

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // the .deb format
	"github.com/goreleaser/nfpm/v2/files"
)

//go:embed firstboot
var sources embed.FS

// Options is what a package is made from.
type Options struct {
	Version string    // a Debian version: deb-version(7)
	Binary  string    // the program that goes into it
	Date    time.Time // of every file
	Output  string    // a directory
}

// maintainer has an address since Debian wants one; example.org is nobody's.
const maintainer = "The Banyan authors <banyan@example.org>"

// Firstboot makes banyan-firstboot, which turns a host into a node, and returns
// its file name.
func Firstboot(o Options) (name string, err error) {
	const units, share = "/usr/lib/systemd/system/", "/usr/share/"
	// nfpm reads what it packs from files.
	dir, err := os.MkdirTemp("", "banyan-packaging-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.CopyFS(dir, sources); err != nil {
		return "", err
	}
	source := func(name string) string { return filepath.Join(dir, "firstboot", name) }
	made, err := o.generate()
	if err != nil {
		return "", err
	}
	for name, content := range made {
		if err := os.WriteFile(source(name), content, 0o600); err != nil {
			return "", err
		}
	}
	file := func(source, destination string, mode os.FileMode) *files.Content {
		return &files.Content{Source: source, Destination: destination,
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: o.Date}}
	}

	info := &nfpm.Info{
		Name: "banyan-firstboot", Arch: "amd64", Platform: "linux", Version: o.Version, VersionSchema: "none", Section: "admin", Priority: "optional",
		Maintainer: maintainer, MTime: o.Date,
		Description: "make this machine a PostgreSQL cluster member from its seed\n" +
			"Reads one seed file, computes the machine's configuration from it, makes the\n" +
			"machine agree and joins it to a highly available cluster of PostgreSQL under\n" +
			"Patroni. Nothing reaches in from outside.",
		Overridables: nfpm.Overridables{
			Depends: []string{"systemd", "systemd-resolved | systemd (<< 251)", "dbus", "init-system-helpers (>= 1.52)", "passwd", "sudo",
				"locales", "tzdata", "fdisk", "e2fsprogs", "udev", "libpam-systemd", "iproute2", "nftables", "chrony", "ca-certificates", "openssh-server",
				"netbase", // without its /etc/protocols nft knows no ipv6-icmp, and loads no firewall
			},
			Recommends: []string{"patroni", "postgresql", "etcd-server", "etcd-client", "xfsprogs"},
			Contents: files.Contents{
				file(o.Binary, "/usr/sbin/firstboot", 0o755),
				file(source("banyan-plant.service"), units+"banyan-plant.service", 0o644),
				file(source("banyan-firstboot.service"), units+"banyan-firstboot.service", 0o644),
				file(source("banyan-peer.socket"), units+"banyan-peer.socket", 0o644),
				file(source("banyan-peer.service"), units+"banyan-peer.service", 0o644),
				file(source("banyan-etcd-snapshot.service"), units+"banyan-etcd-snapshot.service", 0o644),
				file(source("banyan-etcd-snapshot.timer"), units+"banyan-etcd-snapshot.timer", 0o644),
				file(source("banyan-firewall.service"), units+"banyan-firewall.service", 0o644),
				file(source("raft.py"), "/usr/lib/banyan/raft.py", 0o644),
				file(source("nftables.conf"), units+"nftables.service.d/banyan-firewall.conf", 0o644),
				file(source("firstboot.8.gz"), share+"man/man8/firstboot.8.gz", 0o644),
				file(source("changelog.gz"), share+"doc/banyan-firstboot/changelog.gz", 0o644),
				file(source("copyright"), share+"doc/banyan-firstboot/copyright", 0o644),
				file(source("overrides"), share+"lintian/overrides/banyan-firstboot", 0o644),
				file(source("bash"), share+"bash-completion/completions/firstboot", 0o644),
				file(source("zsh"), share+"zsh/vendor-completions/_firstboot", 0o644),
				file(source("fish"), share+"fish/vendor_completions.d/firstboot.fish", 0o644),
			},
			Scripts: nfpm.Scripts{PostInstall: source("postinst"), PreRemove: source("prerm"), PostRemove: source("postrm")},
		},
	}
	info = nfpm.WithDefaults(info)
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		return "", fmt.Errorf("describe package %s: %w", info.Name, err)
	}
	packager, err := nfpm.Get("deb")
	if err != nil {
		return "", err
	}
	var deb bytes.Buffer
	if err := packager.Package(info, &deb); err != nil {
		return "", fmt.Errorf("make package %s: %w", info.Name, err)
	}
	name = filepath.Join(o.Output, packager.ConventionalFileName(info))
	return name, os.WriteFile(name, deb.Bytes(), 0o644)
}
