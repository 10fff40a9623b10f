package media

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"banyan/internal/command"
	"banyan/seeds"
)

// attach makes a device of a file, until the test ends. It takes root.
func attach(t *testing.T, file string, args ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for loop devices")
	}
	device := run(t, "losetup", append(args, "--find", "--show", file)...)
	t.Cleanup(func() {
		// It may be detached already, and be another's by now.
		if at, err := command.Run(context.WithoutCancel(t.Context()), "losetup", "--noheadings", "--output", "NAME", "--associated", file); err != nil {
			t.Error(err)
		} else if !slices.Contains(strings.Fields(at), device) {
			return
		}
		if _, err := command.Run(context.WithoutCancel(t.Context()), "losetup", "--detach", device); err != nil {
			t.Error(err)
		}
	})
	return device
}

func TestWriteDevice(t *testing.T) {
	device := attach(t, image(t, "seed.yml"), "--partscan")
	r, err := WriteDevice(t.Context(), device, one(seeds.Example), true)
	if err != nil || r.Target != "the BANYAN partition of "+device || !reflect.DeepEqual(r.Replaced, []string{"seed.yml"}) {
		t.Errorf("%+v, %v", r, err)
	}
	v, err := onDisk(device)
	if err != nil {
		t.Fatal(err)
	}
	sameFiles(t, contents(t, v), map[string]string{"README.txt": "earlier", "seed.yaml": seeds.Example})
	if _, err := WriteDevice(t.Context(), device, []File{{"seeds/a.yaml", nil}, {"seeds/b.yaml", nil}}, false); err == nil || !strings.Contains(err.Error(), "gets one seed") {
		t.Errorf("several seeds on a disk: %v", err)
	}
}

// A stick is made, and gets seeds one after the other.
func TestWriteStick(t *testing.T) {
	device := attach(t, blank(t, 64))
	if _, err := WriteDevice(t.Context(), device, one("a"), false); err == nil || !strings.Contains(err.Error(), "is empty (64.0 MiB): --format makes it a volume BANYAN-SEED") {
		t.Errorf("an empty device: %v", err)
	}
	several := []File{{"seeds/a.yaml", []byte("a")}, {"seeds/b.yaml", []byte("b")}}
	for _, step := range []struct {
		files            []File
		replaced, others []string
		holds            map[string]string
	}{
		{one("1"), nil, nil, map[string]string{"seed.yaml": "1"}},
		{[]File{{"seed.yaml.age", []byte("2")}}, []string{"seed.yaml"}, nil, map[string]string{"seed.yaml.age": "2"}},
		{several, nil, []string{"seed.yaml.age"}, map[string]string{"seed.yaml.age": "2", "seeds/a.yaml": "a", "seeds/b.yaml": "b"}},
		{several[1:], []string{"seeds/b.yaml"}, []string{"seed.yaml.age", "seeds/a.yaml"}, map[string]string{"seed.yaml.age": "2", "seeds/a.yaml": "a", "seeds/b.yaml": "b"}},
	} {
		r, err := WriteDevice(t.Context(), device, step.files, true)
		if err != nil || r.Target != "the volume BANYAN-SEED of "+device || !reflect.DeepEqual(r.Replaced, step.replaced) || !reflect.DeepEqual(r.Others, step.others) {
			t.Errorf("%+v, %v", r, err)
		}
		sameFiles(t, contents(t, volume{disk: device}), step.holds)
	}
	if label := run(t, "blkid", "-p", "-o", "value", "-s", "LABEL", device); label != seeds.VolumeLabel {
		t.Errorf("it is labelled %s", label)
	}

	// Somebody emptied the directory of seeds.
	run(t, "mdel", "-i", device, "::/seeds/a.yaml", "::/seeds/b.yaml", "::/seed.yaml.age")
	if _, err := WriteDevice(t.Context(), device, several, false); err != nil {
		t.Error(err)
	}
	sameFiles(t, contents(t, volume{disk: device}), map[string]string{"seeds/a.yaml": "a", "seeds/b.yaml": "b"})
}

// A volume of whatever size is one that a node reads, and no two are alike.
func TestFormat(t *testing.T) {
	small := attach(t, blank(t, 15))
	if _, err := WriteDevice(t.Context(), small, one("x"), true); err == nil || !strings.Contains(err.Error(), "is too small (15.0 MiB): a volume takes 16.0 MiB at least") {
		t.Errorf("got %v", err)
	}
	ids := map[string]bool{}
	for _, mebibytes := range []int64{16, 64, 600, 600} {
		device := attach(t, blank(t, mebibytes))
		if _, err := WriteDevice(t.Context(), device, one("x"), true); err != nil {
			t.Errorf("%d MiB: %v", mebibytes, err)
			continue
		}
		run(t, "fsck.vfat", "-n", device)
		ids[run(t, "blkid", "-p", "-o", "value", "-s", "UUID", device)] = true
	}
	if len(ids) != 4 {
		t.Errorf("their ids are %v", ids)
	}
}

// putAt makes a partition of a file.
func putAt(t *testing.T, disk string, mebibyte int, content string) {
	t.Helper()
	run(t, "dd", "if="+content, "of="+disk, "bs=1M", fmt.Sprintf("seek=%d", mebibyte), "conv=notrunc,sparse", "status=none")
}

// A stick as it is sold has a partition.
func TestWriteStickWithAPartition(t *testing.T) {
	disk, part := blank(t, 64), blank(t, 40)
	sfdisk(t, disk, "label: dos\nstart=1M, size=40M, type=c\n")
	device := attach(t, disk, "--partscan")
	refused(t, device, "holds something else: a partition table (dos) of 64.0 MiB, an unknown partition of 40.0 MiB.")
	run(t, "mkfs.vfat", "-F", "16", "-n", "banyan-seed", part)
	putAt(t, device, 1, part)
	if _, err := WriteDevice(t.Context(), device, one("x"), true); err != nil {
		t.Fatal(err)
	}
	several := []File{{"seeds/a.yaml", []byte("a")}, {"seeds/b.yaml", []byte("b")}}
	if _, err := WriteDevice(t.Context(), device, several, true); err != nil {
		t.Error(err)
	}
	sameFiles(t, contents(t, volume{disk: disk, offset: 1 << 20}), map[string]string{"seed.yaml": "x", "seeds/a.yaml": "a", "seeds/b.yaml": "b"})
}

func sfdisk(t *testing.T, disk, script string) {
	t.Helper()
	if _, err := (command.Command{Name: "sfdisk", Args: []string{"--quiet", disk}, Stdin: strings.NewReader(script)}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// refused makes sure that a device is refused, even to be formatted, and stays as
// it is.
func refused(t *testing.T, device, want string) {
	t.Helper()
	before := run(t, "sha256sum", device)
	if _, err := WriteDevice(t.Context(), device, one("x"), true); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("want %s: got %v", want, err)
	}
	if after := run(t, "sha256sum", device); after != before {
		t.Errorf("%s was written to", device)
	}
}

func TestWriteDeviceRefuses(t *testing.T) {
	dir := t.TempDir()
	backup := blank(t, 16)
	run(t, "mkfs.ext4", "-q", "-L", "backup", backup)
	ext4 := attach(t, backup)
	refused(t, ext4, ext4+" (16.0 MiB) holds something else: ext4 backup of 16.0 MiB. It stays as it is")
	mounted := filepath.Join(dir, "mnt")
	if err := os.Mkdir(mounted, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "mount", ext4, mounted)
	defer func() {
		if _, err := command.Run(context.WithoutCancel(t.Context()), "umount", mounted); err != nil {
			t.Error(err)
		}
	}()
	refused(t, ext4, "is mounted at "+mounted+": umount")

	disk := blank(t, 64)
	sfdisk(t, disk, "label: gpt\nsize=16M, name=data\nsize=16M, name=spare\n")
	putAt(t, disk, 1, backup)
	const held = "holds something else: a partition table (gpt) of 64.0 MiB, ext4 backup of 16.0 MiB, an unknown partition spare of 16.0 MiB."
	refused(t, attach(t, disk, "--partscan"), held)
	// A table alone, whose partitions the kernel does not know.
	refused(t, attach(t, disk), held)
	swap := attach(t, blank(t, 16))
	run(t, "mkswap", swap)
	refused(t, swap, "swap")
	fat := attach(t, blank(t, 64))
	run(t, "mkfs.vfat", "-F", "16", "-I", "-n", "PHOTOS", fat)
	refused(t, fat, "vfat PHOTOS")
	refused(t, attach(t, image(t), "--read-only"), "is read-only")

	none := attach(t, blank(t, 1))
	run(t, "losetup", "--detach", none)
	if _, err := WriteDevice(t.Context(), none, one("x"), true); err == nil || !strings.Contains(err.Error(), "there is no medium in "+none) {
		t.Errorf("nothing attached: %v", err)
	}
	for name, want := range map[string]string{dir: "is no disk", "/dev/null": "is no disk", save(t, dir+"/file", ""): "is no disk", dir + "/none": "no such file"} {
		if _, err := WriteDevice(t.Context(), name, one("x"), true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What no test can make: the machine's own disk, and disks that others are made of.
func TestFree(t *testing.T) {
	for name, c := range map[string]struct {
		block block
		want  string
	}{
		"a disk":         {block{Type: "disk", Size: 1}, ""},
		"a stick":        {block{Type: "disk", Size: 1, Children: []block{{Type: "part", Mountpoints: []string{""}}}}, ""},
		"the root":       {block{Path: "/dev/sda", Type: "disk", Size: 1, Children: []block{{Path: "/dev/sda2", Type: "part", Mountpoints: []string{"/run/netns", "/"}}}}, "/dev/sda is this machine's own disk"},
		"the ESP":        {block{Type: "disk", Size: 1, Children: []block{{Path: "/dev/sda1", Type: "part", Mountpoints: []string{"/boot/efi"}}}}, "this machine's own disk"},
		"swap":           {block{Type: "disk", Size: 1, Mountpoints: []string{"[SWAP]"}}, "is mounted at [SWAP]"},
		"LVM on a disk":  {block{Path: "/dev/sdb", Type: "disk", Size: 1, Children: []block{{Path: "/dev/mapper/vg-root", Type: "lvm"}}}, "/dev/sdb is in use by /dev/mapper/vg-root, of the type lvm"},
		"root on LVM":    {block{Type: "disk", Size: 1, Children: []block{{Type: "part", Mountpoints: []string{"/srv"}}, {Type: "part", Children: []block{{Type: "lvm", Mountpoints: []string{"/"}}}}}}, "this machine's own disk"},
		"LUKS":           {block{Type: "disk", Size: 1, Children: []block{{Path: "/dev/sdb1", Type: "part", Children: []block{{Path: "/dev/mapper/x", Type: "crypt"}}}}}, " is in use by /dev/mapper/x, of the type crypt"},
		"a CD drive":     {block{Path: "/dev/sr0", Type: "rom"}, "/dev/sr0 is no disk but of the type rom"},
		"a card reader":  {block{Path: "/dev/sdc", Type: "disk"}, "there is no medium in /dev/sdc"},
		"a volume":       {block{Path: "/dev/mapper/vg-a", Type: "lvm", Size: 1}, "no disk but of the type lvm"},
		"several mounts": {block{Type: "disk", Size: 1, Mountpoints: []string{"", "/mnt"}}, "is mounted at /mnt"},
	} {
		if err := c.block.free(); err == nil && c.want != "" || err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
