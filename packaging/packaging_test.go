package packaging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"banyan/internal/command"
)

// Debian's own tool reads what dpkg will.
func TestFirstboot(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "firstboot")
	if err := os.WriteFile(binary, []byte("a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	options := Options{Version: "0.1.0~git1", Binary: binary, Date: time.Unix(1_700_000_000, 0), Output: dir}
	deb, err := Firstboot(options)
	if err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(deb)
	if err != nil {
		t.Fatal(err)
	}

	fields, err := command.Run(t.Context(), "dpkg-deb", "--field", deb, "Package", "Version", "Architecture", "Depends")
	if err != nil {
		t.Fatal(err)
	}
	if want := "Package: banyan-firstboot\nVersion: 0.1.0~git1\nArchitecture: amd64\n" +
		"Depends: systemd, systemd-resolved | systemd (<< 251), dbus, init-system-helpers (>= 1.52), passwd, sudo, " +
		"locales, tzdata, fdisk, e2fsprogs, udev, libpam-systemd, iproute2, nftables, chrony, ca-certificates, openssh-server, netbase\n"; fields != want {
		t.Errorf("fields:\n%s", fields)
	}
	contents, err := command.Run(t.Context(), "dpkg-deb", "--contents", deb)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"-rwxr-xr-x root/root", "./usr/sbin/firstboot", "./usr/lib/systemd/system/banyan-plant.service",
		"./usr/lib/systemd/system/banyan-firstboot.service", "./usr/lib/systemd/system/banyan-firewall.service", "./usr/lib/systemd/system/banyan-etcd-snapshot.service", "./usr/lib/systemd/system/banyan-etcd-snapshot.timer",
		"./usr/lib/systemd/system/nftables.service.d/banyan-firewall.conf", "-rw-r--r-- root/root", "./usr/lib/banyan/raft.py", "./usr/share/man/man8/firstboot.8.gz",
		"./usr/share/doc/banyan-firstboot/changelog.gz", "./usr/share/doc/banyan-firstboot/copyright",
		"./usr/share/bash-completion/completions/firstboot", "./usr/share/zsh/vendor-completions/_firstboot",
		"./usr/share/fish/vendor_completions.d/firstboot.fish",
	} {
		if !strings.Contains(contents, want) {
			t.Errorf("no %q in:\n%s", want, contents)
		}
	}

	if _, err := Firstboot(options); err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(deb)
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(second) {
		t.Error("one input gave two packages")
	}
}

func TestChangelog(t *testing.T) {
	east := time.FixedZone("", 3*60*60) // of whoever builds: it must not matter
	got := Options{Version: "0.1.0~git1", Date: time.Unix(1_700_000_000, 0).In(east)}.changelog()
	if want := `banyan-firstboot (0.1.0~git1) unstable; urgency=medium

  * What changed is in the history of Banyan's git repository.

 -- The Banyan authors <banyan@example.org>  Tue, 14 Nov 2023 22:13:20 +0000
`; got != want {
		t.Errorf("got:\n%s", got)
	}
}

func TestFirstbootWithoutItsProgram(t *testing.T) {
	_, err := Firstboot(Options{Version: "1", Binary: "/nonexistent/firstboot", Output: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/firstboot") {
		t.Errorf("got %v", err)
	}
}
