package disk

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"banyan/internal/command"
)

// TestMain is the program that Files runs, too.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == ExportCommand {
		if err := Export(os.Stdout, os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintf(os.Stderr, "firstboot: %v\n", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := command.Run(t.Context(), name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tree is the files of a volume; a name that ends in .lnk is a link.
func tree(t *testing.T, links bool) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if links {
		if err := os.Symlink("/etc/shadow", filepath.Join(dir, "cz3.yaml")); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var files = map[string]string{
	"seed.yaml":                    "version: banyan/v1\n" + strings.Repeat("# a line\n", 10_000), // more than one cluster
	"seeds/52-54-00-00-00-01.yaml": "first\n",
	"seeds/cz2.yaml":               strings.Repeat("second\n", 250), // more than one read, less than one cluster
	"seeds/empty.yaml":             "",
	"seeds/deeper/cz2.yaml":        "too deep\n",
	"other/cz2.yaml":               "elsewhere\n",
	"age.key":                      "key\n",
	"a long name of a photograph, taken in the rain.jpeg": "not read",
}

// image makes an image of a file system that holds tree.
type image struct {
	filesystem string
	links      bool // whether it can hold them
	size       int64
	make       func(t *testing.T, image, tree string)
}

func fat(args ...string) func(t *testing.T, image, tree string) {
	return func(t *testing.T, image, tree string) {
		t.Helper()
		run(t, "mkfs.vfat", append(args, "-n", "BANYAN-SEED", image)...)
		entries, err := os.ReadDir(tree)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			run(t, "mcopy", "-s", "-i", image, filepath.Join(tree, e.Name()), "::")
		}
	}
}

func iso(args ...string) func(t *testing.T, image, tree string) {
	return func(t *testing.T, image, tree string) {
		t.Helper()
		run(t, "xorrisofs", append(args, "-quiet", "-V", "BANYAN-SEED", "-o", image, tree)...)
	}
}

var images = map[string]image{
	"FAT12":      {"vfat", false, 4 << 20, fat("-F", "12")},
	"FAT16":      {"vfat", false, 64 << 20, fat("-F", "16")},
	"FAT32":      {"vfat", false, 300 << 20, fat("-F", "32")},
	"Rock Ridge": {"iso9660", true, 0, iso("-R")},
	"Joliet":     {"iso9660", false, 0, iso("-J", "-joliet-long", "--norock")},
	"both":       {"iso9660", true, 0, iso("-J", "-joliet-long", "-R")},
	"ext4": {"ext4", true, 32 << 20, func(t *testing.T, image, tree string) {
		t.Helper()
		run(t, "mke2fs", "-q", "-t", "ext4", "-d", tree, image)
	}},
	"ext4, small": {"ext4", true, 8 << 20, func(t *testing.T, image, tree string) {
		t.Helper()
		run(t, "mke2fs", "-q", "-t", "ext4", "-b", "1024", "-d", tree, image)
	}},
}

func makeImage(t *testing.T, i image) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	if i.size > 0 {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, i.size); err != nil {
			t.Fatal(err)
		}
	}
	i.make(t, name, tree(t, i.links))
	return name
}

func TestFiles(t *testing.T) {
	for name, i := range images {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkFiles(t, Volume{Device: makeImage(t, i), Filesystem: i.filesystem}, i.links)
		})
	}
}

// checkFiles compares what Files reads with files.
func checkFiles(t *testing.T, v Volume, links bool) {
	t.Helper()
	got, err := Files(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	err = fs.WalkDir(got, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		names = append(names, name)
		want, there := files[name]
		if !there {
			if name != "cz3.yaml" || e.Type() != fs.ModeSymlink {
				t.Errorf("%s is %v", name, e.Type())
			}
			return nil
		}
		if !e.Type().IsRegular() {
			t.Errorf("%s is %v", name, e.Type())
		}
		if strings.HasSuffix(name, ".jpeg") {
			want = ""
		}
		if content, err := fs.ReadFile(got, name); err != nil || string(content) != want {
			t.Errorf("%s has %d bytes, want %d: %v", name, len(content), len(want), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a long name of a photograph, taken in the rain.jpeg", "age.key", "seed.yaml", "seeds/52-54-00-00-00-01.yaml", "seeds/cz2.yaml", "seeds/empty.yaml"}
	if links {
		want = append(want, "cz3.yaml")
	}
	slices.Sort(want)
	slices.Sort(names)
	if !slices.Equal(names, want) {
		t.Errorf("got  %q\nwant %q", names, want)
	}
}

// Names of ISO 9660 alone are in capitals and have a version; those of its first level
// leave no room for an ending of four letters.
func TestFilesPlainISO(t *testing.T) {
	dir, name := t.TempDir(), filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(filepath.Join(dir, "seed.yaml"), []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "xorrisofs", "-quiet", "--norock", "-iso-level", "3", "-o", name, dir)
	got, err := Files(t.Context(), Volume{Device: name, Filesystem: "iso9660"})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := fs.ReadDir(got, ".")
	if err != nil || len(entries) != 1 || !strings.EqualFold(entries[0].Name(), "seed.yaml") {
		t.Fatalf("got %v, %v", entries, err)
	}
	if content, err := fs.ReadFile(got, entries[0].Name()); err != nil || string(content) != "first" {
		t.Errorf("got %q, %v", content, err)
	}
}

// A stick may be damaged, or have been made to do damage. Whatever is on it, there is
// an error or a file system, soon, and nothing else happens to the node.
func TestFilesOfADamagedVolume(t *testing.T) {
	fill := func(from, to int64, with ...byte) func(*testing.T, *os.File) {
		return func(t *testing.T, f *os.File) {
			t.Helper()
			if _, err := f.WriteAt(bytes.Repeat(with, int(to-from)/len(with)), from); err != nil {
				t.Fatal(err)
			}
		}
	}
	const sectors = 2048 // of ISO 9660
	for name, c := range map[string]struct {
		image  string
		damage func(*testing.T, *os.File)
		want   string // in the error
	}{
		"a file without end":        {"FAT16", fill(2048+8, 2048+80, 4, 0), "takes more memory than one can"}, // each cluster leads to the fourth
		"three tables":              {"FAT16", fill(16, 17, 3), "it has 3 file allocation tables"},
		"a root elsewhere":          {"FAT32", fill(44, 45, 7), "begins at cluster 7"},
		"an enormous table":         {"FAT32", fill(36, 40, 0xff), "damaged"},
		"sectors of no size":        {"FAT16", fill(11, 14, 0), "damaged"},
		"no root in the descriptor": {"Rock Ridge", fill(16*sectors+156, 16*sectors+190, 0), "damaged"},
		"no primary descriptor":     {"Rock Ridge", fill(16*sectors, 16*sectors+1, 255), "damaged"},
		"an enormous path table":    {"Rock Ridge", fill(16*sectors+132, 16*sectors+136, 0xff), "damaged"},
		"no superblock":             {"ext4", fill(1024, 2048, 0), "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			i := images[c.image]
			device := makeImage(t, i)
			f, err := os.OpenFile(device, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			c.damage(t, f)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			_, err = Files(t.Context(), Volume{Device: device, Filesystem: i.filesystem})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "goroutine") {
				t.Errorf("got the error %v, want one with %q", err, c.want)
			}
		})
	}
}

// Whatever a file system becomes by chance, reading it ends.
func TestFilesOfChance(t *testing.T) {
	for name, i := range images {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			device := makeImage(t, i)
			f, err := os.OpenFile(device, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			random := rand.New(rand.NewPCG(1, 2))
			for range 10 {
				for range 20 {
					if _, err := f.WriteAt([]byte{byte(random.Uint32())}, random.Int64N(128<<10)); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := Files(t.Context(), Volume{Device: device, Filesystem: i.filesystem}); err != nil && strings.Contains(err.Error(), "goroutine") {
					t.Errorf("it says %v", err)
				}
			}
		})
	}
}

func TestFilesRefuses(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("banyan "), 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	for filesystem, want := range map[string]string{
		"vfat": "the vfat file system is damaged", "iso9660": "the iso9660 file system is damaged", "ext4": "the ext4 file system is damaged",
		"ntfs": "ntfs is not read: make it FAT, ext4 or ISO 9660",
	} {
		_, err := Files(t.Context(), Volume{Device: garbage, Filesystem: filesystem})
		if err == nil || !strings.HasPrefix(err.Error(), want) && !strings.Contains(err.Error(), "file allocation tables") {
			t.Errorf("%s: %v", filesystem, err)
		}
	}
	if _, err := Files(t.Context(), Volume{Device: garbage + "x", Filesystem: "vfat"}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no device: %v", err)
	}
}

// The kernel's devices are read as files are.
func TestFilesOfLoopDevices(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may make a loop device")
	}
	for name, i := range images {
		device := strings.TrimSpace(run(t, "losetup", "--find", "--show", "--read-only", makeImage(t, i)))
		t.Cleanup(func() {
			if _, err := command.Run(context.WithoutCancel(t.Context()), "losetup", "--detach", device); err != nil {
				t.Error(err)
			}
		})
		t.Run(name, func(t *testing.T) { checkFiles(t, Volume{Device: device, Filesystem: i.filesystem}, i.links) })
	}
}
