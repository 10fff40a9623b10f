package inspect

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"banyan/internal/verify"
)

// The lines are those of chronyc 4.6.1; the last is of its manual, chronyc(1), in CSV.
func TestTracking(t *testing.T) {
	for line, want := range map[string]verify.Clock{
		"00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,1.000000000,0.0,Not synchronised\n":                {Source: "00000000"},
		"7F7F0101,,8,1795701312.512524102,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,0.000000000,0.000000000,0.0,Normal\n":                 {Synced: true, Source: "7F7F0101"},
		"CB00710F,203.0.113.15,3,1485507849.0,-0.000006523,-0.000006747,0.000035822,-3.225,-0.000,0.129,0.013639022,0.001100737,64.2,Insert second\n": {Synced: true, Source: "203.0.113.15", Offset: -6523 * time.Nanosecond},
	} {
		if got := tracking(line); got != want {
			t.Errorf("%s: got %+v, want %+v", line, got, want)
		}
	}
	for line, want := range map[string]string{
		"506 Cannot talk to daemon":        "and not the 14 fields",
		"a,b,1,0,x,0,0,0,0,0,0,0,0,Normal": "system time",
	} {
		if got := tracking(line); got.Err == nil || !strings.Contains(got.Err.Error(), want) {
			t.Errorf("%s: error %v, want %s", line, got.Err, want)
		}
	}
}

// The mappings are those of PostgreSQL 17.
func TestHugePages(t *testing.T) {
	const (
		ordinary = "7fa8b625d000-7faa3c977000 rw-s 00000000 00:01 4031                       /dev/zero (deleted)\n"
		huge     = "7f5e7a800000-7f5e84e00000 rw-s 00000000 00:10 90125                      /anon_hugepage (deleted)\n"
		program  = "55d0c8a00000-55d0c8aef000 r--p 00000000 fe:00 1311                       /usr/lib/postgresql/17/bin/postgres\n"
	)
	for maps, want := range map[string]int64{program + ordinary: 0, program + huge: 166 << 20} {
		proc, data := t.TempDir(), t.TempDir()
		write(t, filepath.Join(proc, "meminfo"), "MemTotal:       24594468 kB\nHugePages_Total:      90\nHugePages_Free:        5\nHugepagesize:       2048 kB\n")
		write(t, filepath.Join(proc, "1461", "maps"), maps)
		write(t, filepath.Join(data, "postmaster.pid"), "1461\n/var/lib/postgresql/17/main\n")
		if got := hugePages(proc, data); got != (verify.HugePages{Shared: want, Total: 90, Free: 5}) {
			t.Errorf("%s: got %+v", maps, got)
		}
		if got := hugePages(proc, filepath.Join(data, "none")); got.Err == nil || got.Total != 90 {
			t.Errorf("without a postmaster: %+v", got)
		}
	}
}

func TestWAL(t *testing.T) {
	dir := t.TempDir()
	data, volume := filepath.Join(dir, "main"), filepath.Join(dir, "volume")
	own := filepath.Join(dir, "wal", "17-main") // through a link
	inside := filepath.Join(data, "pg_wal")
	if got, want := wal(data, own), (verify.WAL{Dir: own, Data: data}); got != want {
		t.Errorf("without data: got %+v, want %+v", got, want)
	}
	write(t, filepath.Join(inside, "000000010000000000000001"), "")
	if got, want := wal(data, ""), (verify.WAL{Data: data, Actual: inside}); got != want {
		t.Errorf("in the data directory: got %+v, want %+v", got, want)
	}
	if got, want := wal(data, own), (verify.WAL{Dir: own, Data: data, Actual: inside}); got != want {
		t.Errorf("not moved: got %+v, want %+v", got, want)
	}
	if err := errors.Join(
		os.MkdirAll(filepath.Join(volume, "17-main"), 0o700), os.Symlink(volume, filepath.Dir(own)),
		os.RemoveAll(inside), os.Symlink(own, inside),
	); err != nil {
		t.Fatal(err)
	}
	if got, want := wal(data, own), (verify.WAL{Dir: own, Data: data, Actual: own}); got != want {
		t.Errorf("moved: got %+v, want %+v", got, want)
	}
	if err := os.RemoveAll(volume); err != nil {
		t.Fatal(err)
	}
	if got := wal(data, own); got.Err == nil {
		t.Errorf("a link to nowhere: got %+v", got)
	}
}

func TestFileSystems(t *testing.T) {
	dir := t.TempDir()
	all := fileSystems([]string{dir, filepath.Join(dir, "none"), filepath.Join(dir, ".."), "/proc/self"})
	if len(all) != 2 || all[0].Path != dir || all[1].Path != "/proc/self" {
		t.Fatalf("two file systems, each once: %+v", all)
	}
	if fs := all[0]; fs.Err != nil || fs.Size <= 0 || fs.Free <= 0 || fs.Free > fs.Size || fs.FreeInodes > fs.Inodes {
		t.Errorf("%+v", fs)
	}
}

func TestContainer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "container")
	if got := container(file); got != "" {
		t.Errorf("a machine: %q", got)
	}
	write(t, file, "systemd-nspawn\n")
	if got := container(file); got != "systemd-nspawn" {
		t.Errorf("got %q", got)
	}
}

// Any device that is open will do: this process holds one that hardly another does.
func TestHolder(t *testing.T) {
	device, err := os.Open("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(device.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	proc := t.TempDir()
	self := strconv.Itoa(os.Getpid())
	if err := os.Symlink(filepath.Join("/proc", self), filepath.Join(proc, self)); err != nil {
		t.Fatal(err)
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := holder(proc, 1, stat.Rdev); err != nil || got != strings.TrimSpace(string(comm)) {
		t.Errorf("it is open: held by %q, error %v", got, err)
	}
	if err := device.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := holder(proc, 1, stat.Rdev); err != nil || got != "" {
		t.Errorf("it is closed: held by %q, error %v", got, err)
	}
}

func TestClassOf(t *testing.T) {
	class := t.TempDir()
	for name, dev := range map[string]string{"watchdog0": "248:0", "watchdog1": "248:1"} {
		write(t, filepath.Join(class, name, "dev"), dev+"\n")
	}
	for number, want := range map[uint64]string{unix.Mkdev(248, 0): "watchdog0", unix.Mkdev(248, 1): "watchdog1", firstWatchdog: "watchdog0", unix.Mkdev(1, 3): "."} {
		if got, err := classOf(class, number); err != nil || filepath.Base(got) != want {
			t.Errorf("%d: %s, error %v, want %s", number, got, err, want)
		}
	}
}

func TestWatchdogThatIsNotThere(t *testing.T) {
	if got := watchdog("/dev/banyan-no-such-watchdog"); got.There || got.Err != nil {
		t.Errorf("got %+v", got)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
