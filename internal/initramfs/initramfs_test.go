package initramfs

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"banyan/internal/command"
	"banyan/internal/facts"
)

// tree writes files, whose directories come with them, below a new directory.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range files {
		write(t, filepath.Join(root, name), name)
	}
	return root
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestFillANewState(t *testing.T) {
	pattern := tree(t, "lib/etcd/file", "log/apt/x")
	dir := filepath.Join(t.TempDir(), "var")
	// What a power cut left of the last try.
	write(t, filepath.Join(filepath.Dir(dir), ".banyan-var", "half"), "")
	if err := fill(pattern, dir); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, filepath.Join(dir, "lib/etcd/file")); got != "lib/etcd/file" {
		t.Errorf("got %q", got)
	}
	info, err := os.Stat(filepath.Join(dir, "log/apt/x"))
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode: %v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "half")); !os.IsNotExist(err) {
		t.Errorf("the half of the last try is there: %v", err)
	}
}

// Nothing can be made in the mount point of a volume, and nothing belongs there.
func TestFillLeavesTheMountPointOfAVolume(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for an immutable directory")
	}
	pattern, dir := tree(t, "lib/postgresql/17/file", "lib/new/file"), tree(t, "lib/old/own")
	closed := filepath.Join(dir, "lib/postgresql")
	if err := os.Mkdir(closed, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := command.Run(t.Context(), "chattr", "+i", closed); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := command.Run(context.WithoutCancel(t.Context()), "chattr", "-i", closed); err != nil {
			t.Error(err)
		}
	})
	if err := fill(pattern, dir); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(closed); err != nil || len(entries) > 0 {
		t.Errorf("it holds %v (%v)", entries, err)
	}
	if got := mustRead(t, filepath.Join(dir, "lib/new/file")); got != "lib/new/file" {
		t.Errorf("beside it there is %q", got)
	}
}

// A new image brings new directories; what a person or a program made of the
// old ones stays.
func TestFillAnOldState(t *testing.T) {
	pattern := tree(t, "lib/old/removed", "lib/old/changed", "lib/new/file")
	dir := tree(t, "lib/old/own")
	write(t, filepath.Join(dir, "lib/old/changed"), "by hand")
	if err := fill(pattern, dir); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, filepath.Join(dir, "lib/new/file")); got != "lib/new/file" {
		t.Errorf("the new directory has %q", got)
	}
	if got := mustRead(t, filepath.Join(dir, "lib/old/changed")); got != "by hand" {
		t.Errorf("a changed file became %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "lib/old/removed")); !os.IsNotExist(err) {
		t.Errorf("a removed file came back: %v", err)
	}
}

func TestFillLeavesWhatIsNoDirectory(t *testing.T) {
	pattern := tree(t, "log/apt/x", "cache/man/y")
	dir := tree(t, "cache")
	if err := os.Symlink("/nowhere/yet", filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	if err := fill(pattern, dir); err != nil {
		t.Error(err)
	}
	if target, err := os.Readlink(filepath.Join(dir, "log")); err != nil || target != "/nowhere/yet" {
		t.Errorf("the link became %q, %v", target, err)
	}
}

func TestMachineIDOutlivesTheBoot(t *testing.T) {
	dir := t.TempDir()
	kept, etc := filepath.Join(dir, "banyan/machine-id"), filepath.Join(dir, "machine-id")
	if err := giveMachineID(kept, etc); err != nil {
		t.Fatal(err)
	}
	first := mustRead(t, etc)
	if !regexp.MustCompile(`^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}\n$`).MatchString(first) {
		t.Errorf("%q is not an id of machine-id(5)", first)
	}
	if err := os.Remove(etc); err != nil { // the next boot's /etc is the image's again
		t.Fatal(err)
	}
	if err := giveMachineID(kept, etc); err != nil {
		t.Fatal(err)
	}
	if second := mustRead(t, etc); second != first {
		t.Errorf("%q became %q", first, second)
	}
}

// The facts know the disk by what is written here.
func TestFactsKnowTheBootedDisk(t *testing.T) {
	boot, err := json.Marshal(Boot{Disk: "/dev/sdb", Slot: "a"})
	if err != nil {
		t.Fatal(err)
	}
	root := tree(t, "proc/self/mountinfo", "sys/block/sda/device/x", "sys/block/sdb/device/x")
	for name, content := range map[string]string{
		facts.BootFile: string(boot), "proc/self/mountinfo": "",
		"sys/block/sda/dev": "8:0", "sys/block/sda/size": "8", "sys/block/sdb/dev": "8:16", "sys/block/sdb/size": "8",
	} {
		write(t, filepath.Join(root, name), content)
	}
	f, _ := facts.Gather(root) // which lacks what the disks do not depend on
	if len(f.Disks) != 2 || f.Disks[0].Boot || !f.Disks[1].Boot {
		t.Errorf("booted from /dev/sdb: %+v", f.Disks)
	}
}
