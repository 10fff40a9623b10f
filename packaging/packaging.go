// Package packaging makes the project's own .debs, with their units, maintainer
// scripts, manual pages and completions. The image installs the very same
// packages as any host.
package packaging

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // the .deb format
	"github.com/goreleaser/nfpm/v2/files"
)

//go:embed copyright firstboot dnscp
var sources embed.FS

// Options is what packages are made from.
type Options struct {
	Version          string    // a Debian version: deb-version(7)
	Date             time.Time // of every file
	Output           string    // a directory
	Firstboot, DNSCP string    // the programs that go into them
}

// Make makes banyan-firstboot, which turns a host into a node, and banyan-dnscp, the
// connection point of any cluster under Patroni, and returns the names of their files.
func Make(o Options) ([]string, error) {
	var debs []string
	for _, own := range []struct {
		product
		binary string
	}{{firstboot, o.Firstboot}, {dnscp, o.DNSCP}} {
		deb, err := own.pack(o, own.binary)
		if err != nil {
			return nil, err
		}
		debs = append(debs, deb)
	}
	return debs, nil
}

// product is what a package has of its own. Its sources are in the directory of
// its program's name; units, maintainer scripts, manual page and lintian's
// overrides are found there by their names.
type product struct {
	program, bin string // the program, and the directory that it goes to
	description  string // the first line is the synopsis
	relations    nfpm.Overridables
	files        map[string]string // where other sources go
	directories  []string          // that are empty
}

// maintainer has an address since Debian wants one; example.org is nobody's.
const maintainer = "The Banyan authors <banyan@example.org>"

func (p product) name() string { return "banyan-" + p.program }

// pack makes the package of a program.
func (p product) pack(o Options, binary string) (name string, err error) {
	// nfpm reads what it packs from files.
	dir, err := os.MkdirTemp("", "banyan-packaging-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.CopyFS(dir, sources); err != nil {
		return "", err
	}
	made, err := p.generate(o)
	if err != nil {
		return "", err
	}
	for name, content := range made {
		if err := os.WriteFile(filepath.Join(dir, p.program, name), content, 0o600); err != nil {
			return "", err
		}
	}
	contents, err := p.contents(o, binary, dir)
	if err != nil {
		return "", err
	}

	info := &nfpm.Info{
		Name: p.name(), Arch: "amd64", Platform: "linux", Version: o.Version, VersionSchema: "none", Section: "admin", Priority: "optional",
		Maintainer: maintainer, MTime: o.Date, Description: p.description, Overridables: p.relations,
	}
	info.Contents = contents
	script := func(name string) string { return filepath.Join(dir, p.program, name) }
	info.Scripts = nfpm.Scripts{PostInstall: script("postinst"), PreRemove: script("prerm"), PostRemove: script("postrm")}
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

// contents lists what the package holds; dir has the sources, and what was generated.
func (p product) contents(o Options, binary, dir string) (files.Contents, error) {
	const share = "/usr/share/"
	owned := func(mode os.FileMode) *files.ContentFileInfo {
		return &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: o.Date}
	}
	list := files.Contents{{Source: binary, Destination: path.Join(p.bin, p.program), FileInfo: owned(0o755)}}
	add := func(source, destination string) {
		list = append(list, &files.Content{Source: filepath.Join(dir, source), Destination: destination, FileInfo: owned(0o644)})
	}
	add("copyright", share+"doc/"+p.name()+"/copyright")
	for source, destination := range map[string]string{
		p.program + ".8.gz": share + "man/man8/" + p.program + ".8.gz",
		"changelog.gz":      share + "doc/" + p.name() + "/changelog.gz",
		"overrides":         share + "lintian/overrides/" + p.name(),
		"bash":              share + "bash-completion/completions/" + p.program,
		"zsh":               share + "zsh/vendor-completions/_" + p.program,
		"fish":              share + "fish/vendor_completions.d/" + p.program + ".fish",
	} {
		add(p.program+"/"+source, destination)
	}
	for source, destination := range p.files {
		add(p.program+"/"+source, destination)
	}
	units, err := p.units()
	if err != nil {
		return nil, err
	}
	for _, unit := range units {
		add(p.program+"/"+unit, "/usr/lib/systemd/system/"+unit)
	}
	for _, directory := range p.directories {
		list = append(list, &files.Content{Type: files.TypeDir, Destination: directory, FileInfo: owned(0o755)})
	}
	return list, nil
}

// units lists the names of the package's units.
func (p product) units() ([]string, error) {
	entries, err := fs.ReadDir(sources, p.program)
	var units []string
	for _, e := range entries {
		if slices.Contains([]string{".service", ".socket", ".timer"}, path.Ext(e.Name())) {
			units = append(units, e.Name())
		}
	}
	return units, err
}
