package rootfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Manifest says what an image holds. It lies beside it as IMAGE.json.
type Manifest struct {
	Image    string            `json:"image"`
	Version  string            `json:"version"`
	Profile  string            `json:"profile"`
	Suite    string            `json:"suite"`
	Date     string            `json:"date"`               // RFC 3339
	SeedKey  string            `json:"seed_key,omitempty"` // the id of the key that seeds have to be signed with
	SHA256   map[string]string `json:"sha256"`             // of the image and of what went into it
	Packages []Package         `json:"packages"`
}

// Package is a package that the image holds.
type Package struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	SHA256       string `json:"sha256"` // of its .deb
}

// packageOf reads the name that apt gives a package's file: NAME_VERSION_ARCHITECTURE.deb.
func packageOf(file string) (Package, error) {
	parts := strings.Split(strings.TrimSuffix(file, ".deb"), "_")
	if len(parts) != 3 || !strings.HasSuffix(file, ".deb") {
		return Package{}, fmt.Errorf("%q is no name of a package's file", file)
	}
	version, err := url.PathUnescape(parts[1]) // a file's name has no colon
	return Package{Name: parts[0], Version: version, Architecture: parts[2]}, err
}

func (p Package) file() string {
	return p.Name + "_" + strings.ReplaceAll(p.Version, ":", "%3a") + "_" + p.Architecture + ".deb"
}

// listPackages lists the packages of the archive and this project's own.
func (b *builder) listPackages(ctx context.Context) ([]Package, error) {
	packages := slices.Clone(b.base.Packages)
	for _, deb := range b.ownDebs {
		p, err := packageOf(filepath.Base(deb))
		if err != nil {
			return nil, err
		}
		if p.SHA256, err = checksum(ctx, deb); err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
	slices.SortFunc(packages, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return packages, nil
}

// writeManifest writes the manifest and SHA256SUMS of an image that is whole.
func (b *builder) writeManifest(ctx context.Context) error {
	packages, err := b.listPackages(ctx)
	if err != nil {
		return err
	}
	seedKey, err := b.seedKeyID()
	if err != nil {
		return err
	}
	m := Manifest{Image: b.name, Version: b.Version, Profile: b.Profile.Name, Suite: b.Profile.Suite, SeedKey: seedKey,
		Date: b.epoch.UTC().Format(time.RFC3339), Packages: packages}
	m.SHA256, err = checksums(ctx, map[string]string{
		b.name: b.partial, "root.squashfs": b.file("root.squashfs"),
		"vmlinuz": b.file("esp/banyan/a/vmlinuz"), "initrd.img": b.file("esp/banyan/a/initrd.img"),
	})
	if err != nil {
		return err
	}
	content, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	content = append(content, '\n')
	sum := sha256.Sum256(content)
	sums, err := mergeSums(b.Output, map[string]string{b.name: m.SHA256[b.name], b.name + ".json": hex.EncodeToString(sum[:])})
	if err != nil {
		return err
	}
	return errors.Join(
		writeFile(b.partial+".json", string(content), 0o644),
		writeFile(b.partial+".sums", sums, 0o644))
}

// publication is what a build publishes: names below the output directory, by
// the paths that they have until all is whole. The image is last: where it is,
// all is.
func (b *builder) publication() []struct{ partial, name string } {
	return []struct{ partial, name string }{
		{b.partial + ".json", b.name + ".json"}, {b.partial + ".sums", sumsName}, {b.partial, b.name},
	}
}

// publish gives what is whole its name.
func (b *builder) publish() error {
	if err := syncAll(b.Output); err != nil {
		return err
	}
	for _, p := range b.publication() {
		if err := os.Rename(p.partial, filepath.Join(b.Output, p.name)); err != nil {
			return err
		}
	}
	return nil
}

// removePartial removes what was not published.
func (b *builder) removePartial() error {
	var errs []error
	for _, p := range b.publication() {
		errs = append(errs, removeIfThere(p.partial))
	}
	return errors.Join(errs...)
}

const sumsName = "SHA256SUMS"

// mergeSums is SHA256SUMS with these sums, by file name, and those of the other
// images that are still in the directory.
func mergeSums(dir string, sums map[string]string) (string, error) {
	old, err := os.ReadFile(filepath.Join(dir, sumsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	all := maps.Clone(sums)
	for line := range strings.Lines(string(old)) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if _, isNew := sums[name]; !ok || isNew {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			all[name] = sum
		}
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&text, "%s  %s\n", all[name], name)
	}
	return text.String(), nil
}
