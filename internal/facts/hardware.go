package facts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// memory is the MemTotal of proc_meminfo(5), in bytes.
func memory(meminfo string) (int64, error) {
	content, err := os.ReadFile(meminfo)
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(content)) {
		if f := strings.Fields(l); len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			kibibytes, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: MemTotal: %w", meminfo, err)
			}
			return kibibytes << 10, nil
		}
	}
	return 0, fmt.Errorf("%s has no MemTotal in kB: see whether /proc is the kernel's", meminfo)
}

// cpus counts a list of CPUs such as 0-3,6: the kernel's
// Documentation/admin-guide/cputopology.rst.
func cpus(online string) (int, error) {
	content, err := os.ReadFile(online)
	if err != nil {
		return 0, err
	}
	n := 0
	for part := range strings.SplitSeq(strings.TrimSpace(string(content)), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err := errors.Join(err, err2); err != nil || to < from {
			return 0, fmt.Errorf("%s: %q is no list of CPUs such as 0-3,6: see whether /sys is the kernel's", online, content)
		}
		n += int(to-from) + 1
	}
	return n, nil
}

// fileSystemSize is the size in bytes of the file system that holds path, or will
// hold it. The kernel's own, such as sysfs, have none.
func fileSystemSize(path string) (int64, error) {
	for {
		var s syscall.Statfs_t
		err := syscall.Statfs(path, &s)
		if errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path) {
			path = filepath.Dir(path)
			continue
		}
		if err != nil {
			return 0, &fs.PathError{Op: "statfs", Path: path, Err: err}
		}
		return int64(s.Blocks) * s.Frsize, nil
	}
}

// readOnly tells whether the file system of path is mounted to be read only: statvfs(3).
func readOnly(path string) (bool, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return false, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	const stRDONLY = 1
	return s.Flags&stRDONLY != 0, nil
}

// kernel is the version of the running kernel.
func kernel(osrelease string) (Version, error) {
	release, err := attribute(osrelease)
	return ParseVersion(release), err
}

// gigabytePages is how many there are; none on a CPU that has no pages of that size.
func gigabytePages(nrHugepages string) (int, error) {
	number, err := attribute(nrHugepages)
	if err != nil || number == "" {
		return 0, err
	}
	return strconv.Atoi(number)
}

// attribute reads a file of one value, as sysfs has them. It is "" where there is
// none, or the device just went.
func attribute(path string) (string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return "", nil
	}
	return strings.TrimSpace(string(content)), err
}
