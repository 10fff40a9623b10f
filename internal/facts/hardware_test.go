package facts

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Blocks) * s.Frsize
}

func TestCPUs(t *testing.T) {
	for content, want := range map[string]int{"0\n": 1, "0-127\n": 128, "0-3,6": 5, "1,3,5-6\n": 4} {
		if got, err := cpus(filepath.Join(machine(t, map[string]string{"online": content}), "online")); got != want || err != nil {
			t.Errorf("%q: %d, %v", content, got, err)
		}
	}
	for _, content := range []string{"", "\n", "3-0", "0,,2", "0-", "all"} {
		if got, err := cpus(filepath.Join(machine(t, map[string]string{"online": content}), "online")); err == nil || !strings.Contains(err.Error(), "no list of CPUs") {
			t.Errorf("%q: %d, %v", content, got, err)
		}
	}
}

func TestMemoryRefuses(t *testing.T) {
	for _, content := range []string{"", "MemFree: 1 kB\n", "MemTotal: 1 MB\n", "MemTotal: -- kB\n"} {
		path := filepath.Join(machine(t, map[string]string{"meminfo": content}), "meminfo")
		if got, err := memory(path); got != 0 || err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %d, %v", content, got, err)
		}
	}
}

func TestContainer(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"a machine":        {map[string]string{"proc/1/environ": "HOME=/\x00TERM=linux\x00"}, false},
		"an initramfs":     {map[string]string{"proc/1/environ": "BOOT_IMAGE=/vmlinuz\x00rootmnt=/root\x00", "run/systemd/": "", "run/host/": ""}, false},
		"its own systemd":  {map[string]string{"run/systemd/container": "lxc\n"}, true},
		"nspawn":           {map[string]string{"run/host/container-manager": "systemd-nspawn\n"}, true},
		"another PID 1":    {map[string]string{"proc/1/environ": "HOME=/\x00container=podman\x00"}, true},
		"explicitly not":   {map[string]string{"proc/1/environ": "container=\x00TERM=linux\x00"}, false},
		"another variable": {map[string]string{"proc/1/environ": "mycontainer=docker\x00container_uuid=1\x00"}, false},
	} {
		files := bare()
		maps.Copy(files, c.files)
		if f, err := Gather(machine(t, files)); f.Container != c.want || err != nil {
			t.Errorf("%s: %t, %v", name, f.Container, err)
		}
	}
}

// What counts is what stands at the directory, not what is below it.
func TestDataSizeOfAnotherFileSystem(t *testing.T) {
	files := bare()
	files["var/lib/"] = ""
	root := machine(t, files)
	if err := os.Symlink("/proc", filepath.Join(root, "var/lib/postgresql")); err != nil {
		t.Fatal(err)
	}
	f, err := Gather(root)
	if err != nil || f.DataSize != 0 || sizeOf(t, root) == 0 {
		t.Errorf("the size of /proc is 0, that of %s is %d: got %d, %v", root, sizeOf(t, root), f.DataSize, err)
	}
}
