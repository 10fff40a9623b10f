//go:build boot

package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/diskfs/go-diskfs/partition/gpt"

	"banyan/internal/grubenv"
	"banyan/tests/fixture"
)

// diskSize is that of every machine's disk: larger than the image, as a
// server's is, so that state has somewhere to grow.
const diskSize = 12 << 30

// disk is a machine's disk: a raw file that only takes the room of what was
// written.
type disk struct {
	path   string
	starts int   // how many machines were started with it
	twinOf *disk // another on which the same node was born, nil for most
}

// newDisk writes the image under test to a new disk.
func newDisk(t testing.TB) *disk {
	t.Helper()
	return writeDisk(t, "BANYAN_IMAGE", os.Getenv("BANYAN_IMAGE"))
}

// writeDisk writes an image that the environment names to a new disk.
func writeDisk(t testing.TB, variable, image string) *disk {
	t.Helper()
	if !filepath.IsAbs(image) {
		t.Fatalf("%s is %q: set it to the absolute path of the image to test, such as $PWD/dist/banyan-debian-13-VERSION.img", variable, image)
	}
	d := &disk{path: filepath.Join(t.TempDir(), "disk.img")}
	run(t, "cp", "--sparse=always", "--reflink=auto", image, d.path)
	info, err := os.Stat(d.path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= diskSize {
		t.Fatalf("the image has %d bytes: enlarge diskSize, there is nothing for it to grow into", info.Size())
	}
	if err := os.Truncate(d.path, diskSize); err != nil {
		t.Fatal(err)
	}
	return d
}

// copyTo copies the disk of a machine that is off.
func (d *disk) copyTo(t testing.TB, path string) *disk {
	t.Helper()
	run(t, "cp", "--sparse=always", "--reflink=auto", d.path, path)
	return &disk{path: path}
}

// partitionStart is where on the disk, in bytes, a partition starts.
func (d *disk) partitionStart(t testing.TB, name string) int64 {
	t.Helper()
	return d.partition(t, name).GetStart()
}

func (d *disk) partition(t testing.TB, name string) *gpt.Partition {
	t.Helper()
	p, err := fixture.Partition(d.path, name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// drive is a FAT partition as mtools are told of it.
func (d *disk) drive(t testing.TB, name string) string {
	t.Helper()
	return fmt.Sprintf("%s@@%d", d.path, d.partitionStart(t, name))
}

// dropSeed puts seed.yaml on the BANYAN partition of a machine that is off.
func (d *disk) dropSeed(t testing.TB, seed string) {
	t.Helper()
	copySeed(t, d.drive(t, "BANYAN"), seed)
}

// readSeed returns the seed.yaml on the BANYAN partition of a machine that is off.
func (d *disk) readSeed(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "seed.yaml")
	run(t, "mcopy", "-i", d.drive(t, "BANYAN"), "::seed.yaml", name)
	return string(read(t, name))
}

// readBanyan returns every byte of the BANYAN partition of a machine that is off,
// those that belong to no file among them.
func (d *disk) readBanyan(t testing.TB) string {
	t.Helper()
	p := d.partition(t, "BANYAN")
	f, err := os.Open(d.path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // nothing was written
	content := make([]byte, p.GetSize())
	if _, err := f.ReadAt(content, p.GetStart()); err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// fillSlotB puts what slot a holds into slot b too, as an upgrade will, and makes
// it the default, with an extra kernel argument.
func (d *disk) fillSlotB(t testing.TB, argument string) {
	t.Helper()
	const block = 1 << 20
	a, b := d.partition(t, "root-a"), d.partition(t, "root-b")
	run(t, "dd", "if="+d.path, "of="+d.path, "conv=notrunc,sparse", "status=none", fmt.Sprintf("bs=%d", block),
		fmt.Sprintf("skip=%d", a.GetStart()/block), fmt.Sprintf("seek=%d", b.GetStart()/block), fmt.Sprintf("count=%d", a.GetSize()/block))

	esp, dir := d.drive(t, "esp"), t.TempDir()
	run(t, "mcopy", "-i", esp, "-s", "::banyan", dir)
	name := func(name string) string { return filepath.Join(dir, "banyan", name) }
	if err := os.Rename(name("a"), name("b")); err != nil {
		t.Fatal(err)
	}
	for file, v := range map[string]grubenv.Variable{
		"grubenv": {Name: "slot", Value: "b"}, "b/grubenv": {Name: "arguments", Value: argument},
	} {
		if err := grubenv.Update(name(file), v); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "mcopy", "-i", esp, "-s", name("b"), "::banyan")
	run(t, "mcopy", "-i", esp, "-o", name("grubenv"), "::banyan")
}

// setArguments gives the kernel of slot a arguments, as firstboot slot does.
func (d *disk) setArguments(t testing.TB, arguments string) {
	t.Helper()
	esp, name := d.drive(t, "esp"), filepath.Join(t.TempDir(), "grubenv")
	run(t, "mcopy", "-i", esp, "::banyan/a/grubenv", name)
	if err := grubenv.Update(name, grubenv.Variable{Name: "arguments", Value: arguments}); err != nil {
		t.Fatal(err)
	}
	run(t, "mcopy", "-i", esp, "-o", name, "::banyan/a")
}

// grubenv reads an environment block on the ESP of a machine that is off.
func (d *disk) grubenv(t testing.TB, path string) grubenv.Block {
	t.Helper()
	name := filepath.Join(t.TempDir(), "grubenv")
	run(t, "mcopy", "-i", d.drive(t, "esp"), "::banyan/"+path, name)
	block, err := grubenv.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	return block
}

// newStick makes a USB stick that holds seed.yaml and no partition table, and
// returns its file.
func newStick(t testing.TB, seed string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "stick.img")
	run(t, "mkfs.vfat", "-n", "BANYAN-SEED", "-C", name, "16384")
	copySeed(t, name, seed)
	return name
}

// writeFiles makes a directory with these files.
func writeFiles(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for file, content := range files {
		file = filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// copySeed puts seed.yaml on the FAT file system that mtools call drive.
func copySeed(t testing.TB, drive, seed string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "seed.yaml")
	if err := os.WriteFile(name, []byte(seed), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "mcopy", "-i", drive, name, "::")
}
