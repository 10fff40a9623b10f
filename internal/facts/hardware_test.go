package facts

import (
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
