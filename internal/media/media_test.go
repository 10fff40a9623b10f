package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"filippo.io/age"

	"banyan/internal/command"
	"banyan/internal/scratch"
	"banyan/seeds"
)

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := command.Run(t.Context(), name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func save(t *testing.T, name, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func blank(t *testing.T, mebibytes int64) string {
	t.Helper()
	name := save(t, filepath.Join(t.TempDir(), "disk.img"), "")
	if err := os.Truncate(name, mebibytes<<20); err != nil {
		t.Fatal(err)
	}
	return name
}

// image is a disk with an image on it, but for what this package does not look at.
// Files are put onto its BANYAN partition.
func image(t *testing.T, files ...string) string {
	t.Helper()
	name := blank(t, 84)
	_, err := command.Command{Name: "sfdisk", Args: []string{"--quiet", name}, Stdin: strings.NewReader(
		"label: gpt\nsize=4M, name=esp\nsize=64M, name=BANYAN\nsize=8M, name=state\n")}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := onDisk(name)
	if err != nil {
		t.Fatal(err)
	}
	part := blank(t, 64)
	run(t, "mkfs.vfat", "--invariant", "-F", "16", "-n", "BANYAN", part)
	for _, file := range append(files, "README.txt") {
		run(t, "mcopy", "-i", part, save(t, filepath.Join(t.TempDir(), file), "earlier"), "::/"+file)
	}
	run(t, "dd", "if="+part, "of="+name, "bs=1M", fmt.Sprintf("seek=%d", v.offset>>20), "conv=notrunc,sparse", "status=none")
	return name
}

// contents is the files of a volume by path, as a node reads them.
func contents(t *testing.T, v volume) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := v.open(func(fsys fs.FS) error {
		return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := fs.ReadFile(fsys, name)
			found[name] = string(content)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func sameFiles(t *testing.T, got, want map[string]string) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it holds %.1000q", got)
	}
}

func one(data string) []File { return []File{{"seed.yaml", []byte(data)}} }

func TestRead(t *testing.T) {
	dir := t.TempDir()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seeds.Encrypt([]byte("Hush, not a seed"), identity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	plain, encrypted := save(t, dir+"/pgsql-n1.yaml", seeds.Example), save(t, dir+"/52-54-00-12-34-56.yml.age", string(sealed))
	bad := save(t, dir+"/bad.yaml", "version: banyan/v0\nsecrets: {superuser_password: Hush-it}\n")
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{plain}, "seed.yaml"},
		{[]string{encrypted}, "seed.yaml.age"},
		{[]string{save(t, dir+"/a seed", seeds.Example)}, "seed.yaml"},
		{[]string{save(t, dir+"/sealed", string(sealed))}, "seed.yaml.age"},
		{[]string{plain, encrypted}, "seeds/pgsql-n1.yaml seeds/52-54-00-12-34-56.yml.age"},
	} {
		files, err := Read(c.names)
		var got []string
		for _, f := range files {
			got = append(got, f.Name)
		}
		if strings.Join(got, " ") != c.want || err != nil {
			t.Errorf("%q: got %q, %v", c.names, got, err)
		}
	}
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{bad}, "unknown version \"banyan/v0\""},
		{[]string{bad, save(t, dir+"/worse.yaml", "version: banyan/v2\n")}, "unknown version \"banyan/v2\""},
		{[]string{save(t, dir+"/large.yaml", "age-encryption.org/v1\n"+strings.Repeat("-", 1<<20))}, "larger than 1024 KiB"},
		{[]string{"/dev/zero"}, "/dev/zero is larger than 1024 KiB"},
		{[]string{dir + "/none.yaml"}, "no such file"},
		{[]string{plain, plain}, "another seed is seeds/pgsql-n1.yaml"},
		{[]string{plain, save(t, dir+"/sub/PGSQL-n1.yaml", seeds.Example)}, "another seed is seeds/PGSQL-n1.yaml"},
		{[]string{plain, save(t, dir+"/52:54:00:12:34:56.yaml", seeds.Example)}, "with hyphens, 52-54-00-12-34-56.yaml"},
		{[]string{plain, save(t, dir+"/n 2.yaml", seeds.Example)}, "has to end in .yaml and is made of"},
		{[]string{plain, save(t, dir+"/[n]2.yaml", seeds.Example)}, "has to end in .yaml and is made of"},
		{[]string{plain, save(t, dir+"/n2.txt", seeds.Example)}, "has to end in .yaml and is made of"},
	} {
		if _, err := Read(c.names); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "Hush") {
			t.Errorf("%q: got %v", c.names, err)
		}
	}
}

func TestWriteImage(t *testing.T) {
	for _, c := range []struct {
		before   []string
		name     string
		replaced []string
	}{
		{nil, "seed.yaml", nil},
		{[]string{"seed.yaml"}, "seed.yaml", []string{"seed.yaml"}},
		{[]string{"SEED.YAML"}, "seed.yaml", []string{"SEED.YAML"}},
		{[]string{"Seed.yml", "seed.yaml.txt"}, "seed.yaml", []string{"Seed.yml", "seed.yaml.txt"}},
		{[]string{"seed.yaml"}, "seed.yaml.age", []string{"seed.yaml"}},
		{[]string{"seed.yaml.age"}, "seed.yaml", []string{"seed.yaml.age"}},
	} {
		name := image(t, c.before...)
		size, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := WriteImage(t.Context(), name, []File{{c.name, []byte(seeds.Example)}})
		if err != nil || !reflect.DeepEqual(r.Replaced, c.replaced) || len(r.Others) > 0 {
			t.Errorf("%q: %+v, %v", c.before, r, err)
			continue
		}
		v, err := onDisk(name)
		if err != nil {
			t.Fatal(err)
		}
		sameFiles(t, contents(t, v), map[string]string{"README.txt": "earlier", c.name: seeds.Example})
		if now, err := os.Stat(name); err != nil || now.Size() != size.Size() {
			t.Errorf("its size is %v, %v", now, err)
		}
		run(t, "sfdisk", "--verify", name)
	}
}

func TestWriteImageRefuses(t *testing.T) {
	dir := t.TempDir()
	qcow2 := dir + "/disk.qcow2"
	run(t, "qemu-img", "create", "-q", "-f", "qcow2", qcow2, "8M")
	fifo := dir + "/fifo"
	run(t, "mkfifo", fifo)
	zst := dir + "/disk.img.zst"
	run(t, "zstd", "-q", "-o", zst, save(t, dir+"/disk.img", "x"))
	full := image(t)
	v, err := onDisk(full)
	if err != nil {
		t.Fatal(err)
	}
	filler := blank(t, 63)
	run(t, "mcopy", "-i", fmt.Sprintf("%s@@%d", full, v.offset), filler, "::/filler")
	twice := blank(t, 8)
	if _, err := (command.Command{Name: "sfdisk", Args: []string{"--quiet", twice}, Stdin: strings.NewReader(
		"label: gpt\nsize=1M, name=BANYAN\nsize=1M, name=BANYAN\n")}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		image string
		files []File
		want  string
	}{
		"qcow2":          {qcow2, one("x"), "qemu-img convert -O raw " + qcow2},
		"zst":            {zst, one("x"), "zstd -d " + zst},
		"no table":       {blank(t, 8), one("x"), "no partition named BANYAN"},
		"empty":          {save(t, dir+"/empty", ""), one("x"), "is no disk image"},
		"two partitions": {twice, one("x"), "several partitions"},
		"not there":      {dir + "/none.img", one("x"), "no such file"},
		"a directory":    {dir, one("x"), "is no disk image"},
		"a pipe":         {fifo, one("x"), "is no disk image"},
		"a device":       {"/dev/null", one("x"), "is no disk image"},
		"several seeds":  {image(t), []File{{"seeds/a.yaml", nil}, {"seeds/b.yaml", nil}}, "gets one seed"},
		"a full volume":  {full, one(strings.Repeat("x", 1<<20)), "no space is left on the volume"},
	} {
		if _, err := WriteImage(t.Context(), c.image, c.files); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A seed that there is no room for leaves the one that was there.
func TestAFullVolumeKeepsItsSeed(t *testing.T) {
	name := image(t, "seed.yaml", unfinished)
	v, err := onDisk(name)
	if err != nil {
		t.Fatal(err)
	}
	filler := blank(t, 63)
	run(t, "mcopy", "-i", fmt.Sprintf("%s@@%d", name, v.offset), filler, "::/filler")
	run(t, "mattrib", "-i", fmt.Sprintf("%s@@%d", name, v.offset), "+r", "::/seed.yaml")
	if _, err := WriteImage(t.Context(), name, one(strings.Repeat("x", 1<<20))); err == nil || !strings.Contains(err.Error(), "no space is left") {
		t.Errorf("got %v", err)
	}
	want := map[string]string{"README.txt": "earlier", "seed.yaml": "earlier", "filler": string(make([]byte, 63<<20))}
	sameFiles(t, contents(t, v), want)

	// It is read-only, and replaced without a question.
	if _, err := WriteImage(t.Context(), name, one("x")); err != nil {
		t.Error(err)
	}
	want["seed.yaml"] = "x"
	sameFiles(t, contents(t, v), want)
}

func TestWriteFile(t *testing.T) {
	several := []File{{"seeds/52-54-00-12-34-56.yaml", []byte(seeds.Example)}, {"seeds/pgsql-n2.example.org.yaml.age", []byte("y")}}
	for _, suffix := range []string{".img", ".iso"} {
		for _, files := range [][]File{one(seeds.Example), {{"seed.yaml.age", bytes.Repeat([]byte("x"), 1<<20)}}, several} {
			t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
			output := filepath.Join(t.TempDir(), "a@@1"+suffix)
			r, err := WriteFile(t.Context(), output, files)
			if err != nil || r.Target != output || len(r.Files) != len(files) {
				t.Errorf("%s: %+v, %v", suffix, r, err)
				continue
			}
			want := map[string]string{}
			for _, f := range files {
				want[f.Name] = string(f.Data)
			}
			filesystem := map[string]string{".img": "vfat", ".iso": "iso9660"}[suffix]
			sameFiles(t, contents(t, volume{disk: output, filesystem: filesystem}), want)
			if info, err := os.Stat(output); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %v, %v", suffix, info.Mode(), err)
			}
			if label := run(t, "blkid", "-p", "-o", "value", "-s", "LABEL", output); label != seeds.VolumeLabel {
				t.Errorf("%s is labelled %s", suffix, label)
			}
			if left, err := os.ReadDir(filepath.Dir(output)); err != nil || len(left) != 1 {
				t.Errorf("this is left: %v, %v", left, err)
			}

			// Once more in its place, later: the same bytes.
			first := run(t, "sha256sum", output)
			if _, err := WriteFile(t.Context(), output, files); err != nil {
				t.Error(err)
			}
			if again := run(t, "sha256sum", output); again != first {
				t.Errorf("%s: two images of one input differ", suffix)
			}
		}
	}
}

// What somebody left who was killed is removed, and what another works on is not.
func TestWriteFileCleansUp(t *testing.T) {
	dir := t.TempDir()
	left := save(t, dir+"/.banyan-seed-1/seed.iso.d/seed.yaml", "x")
	used := save(t, dir+"/.banyan-seed-2/seed.img", "x")
	lock, err := scratch.Lock(filepath.Dir(used))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := WriteFile(t.Context(), dir+"/seed.img", one("x")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if _, err := os.Stat(used); err != nil {
		t.Error(err)
	}
}

// What a power cut left in the directory of several seeds is removed too.
func TestWriteSeveralCleansUp(t *testing.T) {
	several := []File{{"seeds/a.yaml", []byte("a")}, {"seeds/B-long-name.yaml", []byte("b")}}
	disk := filepath.Join(t.TempDir(), "seed.img")
	if err := makeFAT(t.Context(), disk, several); err != nil {
		t.Fatal(err)
	}
	run(t, "mcopy", "-i", disk, save(t, filepath.Join(t.TempDir(), unfinished), "half"), "::/seeds/"+unfinished)
	r, err := volume{disk: disk}.write(t.Context(), several)
	if err != nil || len(r.Replaced) != 2 || len(r.Others) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	sameFiles(t, contents(t, volume{disk: disk}), map[string]string{"seeds/a.yaml": "a", "seeds/B-long-name.yaml": "b"})
}

// An interruption leaves the earlier seed, and says what it may have left.
func TestInterrupted(t *testing.T) {
	name := image(t, "seed.yaml")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := WriteImage(ctx, name, one("x")); !errors.Is(err, ErrUnfinished) {
		t.Errorf("got %v", err)
	}
	v, err := onDisk(name)
	if err != nil {
		t.Fatal(err)
	}
	sameFiles(t, contents(t, v), map[string]string{"README.txt": "earlier", "seed.yaml": "earlier"})
}

func TestWriteFileRefuses(t *testing.T) {
	dir := t.TempDir()
	disk := image(t)
	before := run(t, "sha256sum", disk)
	link := dir + "/link.img"
	if err := os.Symlink(disk, link); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ output, want string }{
		"a disk image":  {disk, "is there, and no volume BANYAN-SEED"},
		"a link":        {link, "is there, and no volume BANYAN-SEED"},
		"another file":  {save(t, dir+"/a.iso", "text"), "is there, and no volume BANYAN-SEED"},
		"no suffix":     {dir + "/seed", "ends in .img"},
		"no directory":  {dir + "/none/seed.img", "no such file"},
		"not a seed":    {save(t, dir+"/seed.yaml", "x"), "ends in .img"},
		"not the image": {dir + "/seed.qcow2", "ends in .img"},
	} {
		if _, err := WriteFile(t.Context(), c.output, one("x")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := run(t, "sha256sum", disk); after != before {
		t.Error("a disk image was changed")
	}
	// What cannot be made leaves nothing.
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := WriteFile(t.Context(), dir+"/bad.iso", one("x")); err == nil {
		t.Error("a CD was made at an unknown time")
	}
	if left, err := filepath.Glob(dir + "/*bad*"); err != nil || len(left) > 0 {
		t.Errorf("this is left: %v, %v", left, err)
	}
	if left, err := filepath.Glob(dir + "/.banyan*"); err != nil || len(left) > 0 {
		t.Errorf("this is left: %v, %v", left, err)
	}
}

// A volume that a node does not read gets no seed, and so no secrets.
func TestWriteRefusesWhatNoNodeReads(t *testing.T) {
	disk := blank(t, 16)
	run(t, "mkfs.vfat", "-f", "1", "-F", "16", disk)
	before := run(t, "sha256sum", disk)
	_, err := volume{disk: disk}.write(t.Context(), one("x"))
	if err == nil || !strings.Contains(err.Error(), "1 file allocation tables") {
		t.Errorf("%v", err)
	}
	if run(t, "sha256sum", disk) != before {
		t.Error("the volume was written to")
	}
}
