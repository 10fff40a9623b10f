package rootfs

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Manifest says what an image holds. It lies beside it as IMAGE.json.
type Manifest struct {
	Image    string            `json:"image"`
	Version  string            `json:"version"`
	Profile  string            `json:"profile"`
	Suite    string            `json:"suite"`
	Date     string            `json:"date"`   // RFC 3339
	SHA256   map[string]string `json:"sha256"` // of the image and of what went into it
	Packages []Package         `json:"packages"`
}

// Package is a package that the image holds.
type Package struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	SHA256       string `json:"sha256"` // of its .deb
}

// packageRecords is the file, in the working directory, of what the archive
// says of each package that was taken from it.
const packageRecords = "records"

// readRecords reads what apt-cache(8) shows: fields as in deb-control(5), an
// empty line between two packages.
func readRecords(r io.Reader) ([]Package, error) {
	var packages []Package
	var p Package
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // some packages provide a great many others
	for more := true; more; {
		more = lines.Scan()
		switch key, value, _ := strings.Cut(lines.Text(), ": "); key {
		case "Package":
			p.Name = value
		case "Version":
			p.Version = value
		case "Architecture":
			p.Architecture = value
		case "SHA256":
			p.SHA256 = value
		case "":
			if p != (Package{}) {
				packages = append(packages, p)
			}
			p = Package{}
		}
	}
	for _, p := range packages {
		if p.Name == "" || p.Version == "" || p.Architecture == "" || p.SHA256 == "" {
			return nil, fmt.Errorf("the archive's record of a package is not whole: %+v", p)
		}
	}
	return packages, lines.Err()
}

// listPackages lists the packages of the archive and this project's own.
func (b *builder) listPackages() ([]Package, error) {
	f, err := os.Open(b.file(packageRecords))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	packages, err := readRecords(f)
	if err != nil {
		return nil, err
	}
	for _, deb := range b.debs {
		sum, err := checksum(deb)
		if err != nil {
			return nil, err
		}
		// NAME_VERSION_ARCHITECTURE.deb
		parts := strings.Split(strings.TrimSuffix(filepath.Base(deb), ".deb"), "_")
		packages = append(packages, Package{parts[0], parts[1], parts[2], sum})
	}
	slices.SortFunc(packages, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return packages, nil
}

// writeManifest ends the build: what is whole gets its name.
func (b *builder) writeManifest(ctx context.Context) (int64, error) {
	packages, err := b.listPackages()
	if err != nil {
		return 0, err
	}
	m := Manifest{Image: b.name, Version: b.Version, Profile: b.Profile.Name, Suite: b.Profile.Suite,
		Date: b.epoch.UTC().Format(time.RFC3339), SHA256: map[string]string{}, Packages: packages}
	for name, file := range map[string]string{
		b.name: b.partial, "root.squashfs": b.file("root.squashfs"),
		"vmlinuz": b.file("esp/banyan/a/vmlinuz"), "initrd.img": b.file("esp/banyan/a/initrd.img"),
	} {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		sum, err := checksum(file)
		if err != nil {
			return 0, err
		}
		m.SHA256[name] = sum
	}
	content, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return 0, err
	}
	content = append(content, '\n')
	sum := sha256.Sum256(content)
	sums := fmt.Sprintf("%s  %s\n%s  %s\n", m.SHA256[b.name], b.name, hex.EncodeToString(sum[:]), b.name+".json")
	if err := writeFile(b.partial+manifestSuffix, string(content), 0o644); err != nil {
		return 0, err
	}
	if err := writeFile(b.partial+sumsSuffix, sums, 0o644); err != nil {
		return 0, err
	}
	for _, r := range []struct{ from, to string }{ // the image last: where it is, all is
		{b.partial + manifestSuffix, b.name + ".json"}, {b.partial + sumsSuffix, "SHA256SUMS"}, {b.partial, b.name},
	} {
		if err := os.Rename(r.from, filepath.Join(b.Output, r.to)); err != nil {
			return 0, err
		}
	}
	return int64(len(content)), nil
}

// What the manifest and SHA256SUMS are called, behind the image's partial name,
// until all three are whole.
const (
	manifestSuffix = ".json"
	sumsSuffix     = ".sums"
)

// removePartial removes what is not whole.
func (b *builder) removePartial() error {
	return errors.Join(removeIfThere(b.partial), removeIfThere(b.partial+manifestSuffix), removeIfThere(b.partial+sumsSuffix))
}

func checksum(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sizes adds up what files take on the disk, in bytes.
func sizes(names ...string) (int64, error) {
	var total int64
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return 0, err
		}
		total += onDisk(info)
	}
	return total, nil
}

// treeSize is what a tree takes on the disk, in bytes.
func treeSize(root string) (int64, error) {
	var total int64
	err := filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += onDisk(info)
		}
		return err
	})
	return total, err
}

func onDisk(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks * 512
	}
	return info.Size()
}

func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
