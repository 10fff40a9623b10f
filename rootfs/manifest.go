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
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"banyan/internal/progress"
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
	for _, deb := range b.debs {
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

// writeManifest ends the build: what is whole gets its name.
func (b *builder) writeManifest(ctx context.Context) (progress.Made, error) {
	packages, err := b.listPackages(ctx)
	if err != nil {
		return progress.Made{}, err
	}
	m := Manifest{Image: b.name, Version: b.Version, Profile: b.Profile.Name, Suite: b.Profile.Suite,
		Date: b.epoch.UTC().Format(time.RFC3339), Packages: packages}
	m.SHA256, err = checksums(ctx, map[string]string{
		b.name: b.partial, "root.squashfs": b.file("root.squashfs"),
		"vmlinuz": b.file("esp/banyan/a/vmlinuz"), "initrd.img": b.file("esp/banyan/a/initrd.img"),
	})
	if err != nil {
		return progress.Made{}, err
	}
	content, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return progress.Made{}, err
	}
	content = append(content, '\n')
	sum := sha256.Sum256(content)
	sums, err := b.mergeSums(map[string]string{b.name: m.SHA256[b.name], b.name + ".json": hex.EncodeToString(sum[:])})
	if err != nil {
		return progress.Made{}, err
	}
	if err := writeFile(b.partial+manifestSuffix, string(content), 0o644); err != nil {
		return progress.Made{}, err
	}
	if err := writeFile(b.partial+sumsSuffix, sums, 0o644); err != nil {
		return progress.Made{}, err
	}
	for _, r := range []struct{ from, to string }{ // the image last: where it is, all is
		{b.partial + manifestSuffix, b.name + ".json"}, {b.partial + sumsSuffix, sumsName}, {b.partial, b.name},
	} {
		if err := os.Rename(r.from, filepath.Join(b.Output, r.to)); err != nil {
			return progress.Made{}, err
		}
	}
	return progress.Made{Bytes: int64(len(content))}, nil
}

const sumsName = "SHA256SUMS"

// mergeSums is SHA256SUMS with these sums, by file name, and those of the other
// images that are still in the output directory.
func (b *builder) mergeSums(sums map[string]string) (string, error) {
	old, err := os.ReadFile(filepath.Join(b.Output, sumsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for line := range strings.Lines(string(old)) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if _, isNew := sums[name]; !ok || isNew {
			continue
		}
		if _, err := os.Stat(filepath.Join(b.Output, name)); err == nil {
			sums[name] = sum
		}
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&text, "%s  %s\n", sums[name], name)
	}
	return text.String(), nil
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

// checksums is the SHA256 of files, side by side, under the names that they are given.
func checksums(ctx context.Context, files map[string]string) (map[string]string, error) {
	var (
		mu    sync.Mutex
		sums  = map[string]string{}
		group errgroup.Group
	)
	for name, file := range files {
		group.Go(func() error {
			sum, err := checksum(ctx, file)
			mu.Lock()
			defer mu.Unlock()
			sums[name] = sum
			return err
		})
	}
	return sums, group.Wait()
}

// checksum is the SHA256 of a file. Holes, of which an image is full, are not read.
func checksum(ctx context.Context, name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	h, buffer := sha256.New(), make([]byte, mebibyte)
	zeros := make([]byte, mebibyte)
	hole := func(n int64) {
		for ; n > 0; n -= mebibyte {
			h.Write(zeros[:min(n, mebibyte)])
		}
	}
	at := int64(0)
	for data, err := range dataOf(f) {
		if err != nil {
			return "", err
		}
		hole(data.start - at)
		for at = data.start; at < data.end; {
			if ctx.Err() != nil {
				return "", context.Cause(ctx)
			}
			n, err := f.ReadAt(buffer[:min(int64(len(buffer)), data.end-at)], at)
			if err != nil {
				return "", err
			}
			h.Write(buffer[:n])
			at += int64(n)
		}
	}
	hole(info.Size() - at)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// made says what files and trees take on the disk.
func made(names ...string) (progress.Made, error) {
	var m progress.Made
	for _, name := range names {
		bytes, err := treeSize(name)
		if err != nil {
			return m, err
		}
		m.Bytes += bytes
	}
	return m, nil
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
