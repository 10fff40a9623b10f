package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/internal/verify"
	"banyan/seeds"
)

func (n subject) machine(ctx context.Context) verify.Machine {
	found := verify.Machine{Clock: clock(ctx)}
	paths := []string{facts.StateDir}
	if n.seed.IsEtcdMember(n.self) {
		paths = append(paths, node.EtcdDataDir)
	}
	if n.self.Runs(seeds.ServicePostgreSQL) {
		version, err := node.PostgreSQLVersion(n.self, n.facts)
		if err != nil {
			found.HugePages.Err = err
		} else {
			data := node.DataDir(n.self, version)
			paths = append([]string{data}, paths...)
			found.WAL = wal(data, node.WALDir(n.self, version))
			if found.WAL.Dir != "" {
				paths = append(paths, found.WAL.Dir)
			}
			found.HugePages = hugePages("/proc", data)
		}
		found.Watchdog = watchdog(node.WatchdogPath(n.self.Patroni.Watchdog))
	}
	found.FileSystems = fileSystems(paths)
	return found
}

// clock asks chronyd.
func clock(ctx context.Context) verify.Clock {
	out, err := command.Run(ctx, "chronyc", "-c", "tracking")
	if err != nil {
		// It tells on its standard output what is wrong.
		return verify.Clock{Err: errors.Join(err, errors.New(strings.TrimSpace(out)))}
	}
	return tracking(out)
}

// tracking reads what `chronyc -c tracking` prints: chronyc(1).
func tracking(csv string) verify.Clock {
	// Reference ID, source, stratum, reference time, system time, ..., leap status.
	fields := strings.Split(strings.TrimSpace(csv), ",")
	if len(fields) != 14 {
		return verify.Clock{Err: fmt.Errorf("chronyc prints %q, and not the 14 fields of tracking", strings.TrimSpace(csv))}
	}
	seconds, err := strconv.ParseFloat(fields[4], 64)
	if err != nil {
		return verify.Clock{Err: fmt.Errorf("chronyc: system time: %w", err)}
	}
	return verify.Clock{
		Synced: fields[13] != "Not synchronised",
		Source: cmp.Or(fields[1], fields[0]), // what is no server has a number alone
		Offset: time.Duration(seconds * float64(time.Second)),
	}
}

// fileSystems are those that the paths lie on, each once, by the first that lies there.
// What is not there yet lies nowhere.
func fileSystems(paths []string) []verify.FileSystem {
	var all []verify.FileSystem
	seen := map[uint64]bool{}
	for _, path := range paths {
		found := verify.FileSystem{Path: path}
		var file unix.Stat_t
		var system unix.Statfs_t
		err := unix.Stat(path, &file)
		switch {
		case errors.Is(err, fs.ErrNotExist) || err == nil && seen[file.Dev]:
			continue
		case err == nil:
			seen[file.Dev] = true
			err = unix.Statfs(path, &system)
		}
		if err != nil {
			found.Err = err
		} else { // as df(1) counts
			used := int64(system.Blocks - system.Bfree)
			found.Free = int64(system.Bavail) * system.Bsize
			found.Size = used*system.Bsize + found.Free
			found.Inodes, found.FreeInodes = int64(system.Files), int64(system.Ffree)
		}
		all = append(all, found)
	}
	return all
}

// wal finds where pg_wal of a data directory leads to. The directory that it is to lead to
// may itself be reached through links.
func wal(data, dir string) verify.WAL {
	found := verify.WAL{Dir: dir, Data: data}
	path := filepath.Join(data, "pg_wal")
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return found
	}
	found.Actual, found.Err = filepath.EvalSymlinks(path)
	if wanted, err := filepath.EvalSymlinks(dir); err == nil && found.Actual == wanted {
		found.Actual = dir
	}
	return found
}

// hugePages looks at the memory of the postmaster that has this data directory: what its
// processes share, an anonymous mapping, is one of huge pages or not.
func hugePages(proc, data string) (found verify.HugePages) {
	read := func(path string) string {
		content, err := os.ReadFile(path)
		found.Err = errors.Join(found.Err, err)
		return string(content)
	}
	found.Total, found.Free = hugePagesOf(read(filepath.Join(proc, "meminfo")))
	// https://www.postgresql.org/docs/current/storage-file-layout.html: its process ID comes first
	pid, _, _ := strings.Cut(read(filepath.Join(data, "postmaster.pid")), "\n")
	if found.Err == nil {
		found.Shared = hugeMappings(read(filepath.Join(proc, pid, "maps")))
	}
	return found
}

// hugePagesOf reads proc_meminfo(5).
func hugePagesOf(meminfo string) (total, free int64) {
	for line := range strings.Lines(meminfo) {
		key, value, _ := strings.Cut(line, ":")
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		switch {
		case err != nil: // it has a unit, and so is another line
		case key == "HugePages_Total":
			total = n
		case key == "HugePages_Free":
			free = n
		}
	}
	return total, free
}

// hugeMappings sums up the anonymous mappings of huge pages in proc_pid_maps(5). The kernel
// names them in hugetlb_file_setup, fs/hugetlbfs/inode.c.
func hugeMappings(maps string) (bytes int64) {
	for line := range strings.Lines(maps) {
		if !strings.HasSuffix(strings.TrimSpace(line), "/anon_hugepage (deleted)") {
			continue
		}
		span, _, _ := strings.Cut(line, " ")
		from, to, _ := strings.Cut(span, "-")
		begin, err := strconv.ParseInt(from, 16, 64)
		end, err2 := strconv.ParseInt(to, 16, 64)
		if err == nil && err2 == nil {
			bytes += end - begin
		}
	}
	return bytes
}

// watchdog looks for the device, and for the process that has it open.
func watchdog(device string) verify.Watchdog {
	found := verify.Watchdog{Device: device}
	var stat unix.Stat_t
	err := unix.Stat(device, &stat)
	if errors.Is(err, fs.ErrNotExist) {
		return found
	}
	if err != nil {
		found.Err = err
		return found
	}
	found.There = true
	numbers := []uint64{stat.Rdev}
	class, err := classOf("/sys/class/watchdog", stat.Rdev)
	if err == nil && class != "" {
		if filepath.Base(class) == "watchdog0" || stat.Rdev == firstWatchdog {
			numbers = append(numbers, firstWatchdog)
		}
		found.State, err = attribute(filepath.Join(class, "state"))
	}
	if err == nil {
		found.Holder, err = holder("/proc", numbers...)
	}
	found.Err = err
	return found
}

// firstWatchdog is /dev/watchdog, another name of /dev/watchdog0: WATCHDOG_MINOR of the
// kernel's linux/miscdevice.h.
var firstWatchdog = unix.Mkdev(10, 130)

// classOf is the directory in /sys of the device with that number, or "".
func classOf(class string, number uint64) (string, error) {
	devices, err := filepath.Glob(filepath.Join(class, "*"))
	if err != nil {
		return "", err
	}
	want := fmt.Sprintf("%d:%d", unix.Major(number), unix.Minor(number))
	for _, dir := range devices {
		dev, err := attribute(filepath.Join(dir, "dev"))
		if err != nil {
			return "", err
		}
		if dev == want || number == firstWatchdog && filepath.Base(dir) == "watchdog0" {
			return dir, nil
		}
	}
	return "", nil
}

// attribute is a file of /sys in one line, or "" where there is none.
func attribute(path string) (string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(content)), err
}

// holder is the program that has a device with one of these numbers open, or "". A process
// that ends meanwhile has nothing open.
func holder(proc string, numbers ...uint64) (string, error) {
	open, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*"))
	if err != nil {
		return "", err
	}
	for _, file := range open {
		to, err := os.Readlink(file)
		if err != nil || !strings.HasPrefix(to, "/dev/") {
			continue
		}
		var stat unix.Stat_t
		if unix.Stat(file, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFCHR {
			continue
		}
		if slices.Contains(numbers, stat.Rdev) {
			return attribute(filepath.Join(filepath.Dir(filepath.Dir(file)), "comm"))
		}
	}
	return "", nil
}
