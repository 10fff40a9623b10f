package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"banyan/internal/command"
)

// fakeSysfs is two disks: a stick and the disk that was installed from it.
func fakeSysfs(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"sda/size":                 "16777216\n",
		"sda/queue/uevent":         "",
		"sda/sda3/uevent":          "MAJOR=8\nDEVNAME=sda3\nDEVTYPE=partition\nPARTN=3\nPARTNAME=BANYAN\n",
		"sda/sda3/start":           "1052672\n",
		"sda/sda3/size":            "131072\n",
		"nvme0n1/nvme0n1p3/uevent": "DEVNAME=nvme0n1p3\nDEVTYPE=partition\nPARTN=3\nPARTNAME=BANYAN\n",
		"nvme0n1/nvme0n1p3/start":  "2048\n",
		"nvme0n1/nvme0n1p3/size":   "4096\n",
	} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFindStaysOnTheDisk(t *testing.T) {
	sysfs := fakeSysfs(t)
	for _, want := range []Partition{
		{Disk: "/dev/sda", Device: "/dev/sda3", Number: 3, Start: 1052672 * 512, Size: 64 << 20},
		{Disk: "/dev/nvme0n1", Device: "/dev/nvme0n1p3", Number: 3, Start: 1 << 20, Size: 2 << 20},
	} {
		got, err := find(sysfs, want.Disk, "BANYAN")
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v", want.Disk, got, err)
		}
	}
	if _, err := find(sysfs, "/dev/sda", "state"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a partition that is not there: %v", err)
	}
}

func TestNewIDs(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	ids := func() string {
		out, err := command.Run(t.Context(), "sfdisk", "--dump", image)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(regexp.MustCompile(`(?m)^label-id: .*|uuid=[^,]*`).FindAllString(out, -1), " ")
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 16<<20); err != nil {
		t.Fatal(err)
	}
	if err := sfdisk(t.Context(), "label: gpt\nsize=1M, name=bios\nsize=4M, name=esp\n", image); err != nil {
		t.Fatal(err)
	}
	before := strings.Fields(ids())
	if err := NewIDs(t.Context(), Partition{Disk: image, Number: 2}); err != nil {
		t.Fatal(err)
	}
	after := strings.Fields(ids())
	if len(before) != 4 || len(after) != 4 { // "label-id:" and three GUIDs
		t.Fatalf("%q became %q", before, after)
	}
	for i, changes := range []bool{false, true, false, true} {
		if (before[i] != after[i]) != changes {
			t.Errorf("%s became %s", before[i], after[i])
		}
	}
}

func TestVolumes(t *testing.T) {
	const lsblk = `{"blockdevices": [
		{"path": "/dev/sda", "label": null, "fstype": null},
		{"path": "/dev/sda3", "label": "BANYAN", "fstype": "vfat"},
		{"path": "/dev/sr0", "label": "cidata", "fstype": "iso9660"},
		{"path": "/dev/sdb1", "label": "BANYAN-SEED", "fstype": "vfat"}]}`
	got, err := volumes([]byte(lsblk))
	if err != nil {
		t.Fatal(err)
	}
	want := []Volume{
		{Device: "/dev/sda3", Label: "BANYAN", Filesystem: "vfat"},
		{Device: "/dev/sr0", Label: "cidata", Filesystem: "iso9660"},
		{Device: "/dev/sdb1", Label: "BANYAN-SEED", Filesystem: "vfat"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}
