// Package facts finds out what this machine is: the part of a node's
// configuration that neither the image nor the seed can know.
package facts

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// BornMarker is the file that forbids this node for ever to begin a cluster
// anew. It is written when it has become a member of one.
const BornMarker = "/var/lib/banyan/born"

// Facts is what a desired state is computed from, beside the seed.
type Facts struct {
	Memory     uint64         // bytes
	Cores      int            // CPUs that are online
	NICs       []NIC          // Ethernet interfaces, by name
	PostgreSQL []int          // installed major versions, ascending
	Homes      map[string]int // owner's uid of each /home/NAME, so that accounts keep theirs
	Born       bool           // this node has been a member of its cluster
}

// NIC is an Ethernet interface.
type NIC struct {
	Name     string
	MAC      string // lower case, with colons
	Physical bool   // a wired device stands behind it: no bridge, no veth, no radio
}

// Gather looks at the machine whose root directory is root, with its /proc and
// /sys mounted.
func Gather(root string) (Facts, error) {
	var f Facts
	var errs [6]error
	f.Memory, errs[0] = memory(filepath.Join(root, "proc/meminfo"))
	f.Cores, errs[1] = cores(filepath.Join(root, "sys/devices/system/cpu/online"))
	f.NICs, errs[2] = nics(filepath.Join(root, "sys/class/net"))
	f.PostgreSQL, errs[3] = postgresql(filepath.Join(root, "usr/lib/postgresql"))
	f.Homes, errs[4] = homes(filepath.Join(root, "home"))
	f.Born, errs[5] = exists(filepath.Join(root, BornMarker))
	return f, errors.Join(errs[:]...)
}

// memory reads MemTotal of proc_meminfo(5), which counts in units of 1024 bytes.
func memory(meminfo string) (uint64, error) {
	f, err := os.Open(meminfo)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for scan := bufio.NewScanner(f); scan.Scan(); {
		if value, ok := strings.CutPrefix(scan.Text(), "MemTotal:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 54)
			if err != nil {
				return 0, fmt.Errorf("%s: MemTotal: %w", meminfo, err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("%s: no MemTotal", meminfo)
}

// cores counts a list such as "0-3,8", the kernel's
// Documentation/admin-guide/cputopology.rst.
func cores(online string) (int, error) {
	content, err := os.ReadFile(online)
	if err != nil {
		return 0, err
	}
	n := 0
	for r := range strings.SplitSeq(strings.TrimSpace(string(content)), ",") {
		first, last, ok := strings.Cut(r, "-")
		if !ok {
			last = first
		}
		a, err := strconv.Atoi(first)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", online, err)
		}
		b, err := strconv.Atoi(last)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", online, err)
		}
		n += b - a + 1
	}
	return n, nil
}

// nics lists the interfaces whose hardware type is ARPHRD_ETHER, as in the
// kernel's Documentation/ABI/testing/sysfs-class-net.
func nics(class string) ([]NIC, error) {
	const arphrdEther = "1"
	entries, err := os.ReadDir(class)
	if err != nil {
		return nil, err
	}
	var found []NIC
	for _, e := range entries {
		dir := filepath.Join(class, e.Name())
		kind, err := os.ReadFile(filepath.Join(dir, "type"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue // such as the file bonding_masters, or an interface that just went
		}
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(string(kind)) != arphrdEther {
			continue
		}
		mac, err := os.ReadFile(filepath.Join(dir, "address"))
		if err != nil {
			return nil, err
		}
		device, err := exists(filepath.Join(dir, "device"))
		if err != nil {
			return nil, err
		}
		radio, err := exists(filepath.Join(dir, "phy80211"))
		if err != nil {
			return nil, err
		}
		found = append(found, NIC{Name: e.Name(), MAC: strings.TrimSpace(string(mac)), Physical: device && !radio})
	}
	return found, nil
}

// postgresql lists the major versions whose server is installed as Debian's
// packages install it. Older schemes such as 9.6 are not looked for.
func postgresql(lib string) ([]int, error) {
	servers, err := filepath.Glob(filepath.Join(lib, "*/bin/postgres"))
	if err != nil {
		return nil, err
	}
	var versions []int
	for _, s := range servers {
		if v, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(s)))); err == nil {
			versions = append(versions, v)
		}
	}
	slices.Sort(versions)
	return versions, nil
}

// homes tells who owns each home directory. What root owns is nobody's home.
func homes(home string) (map[string]int, error) {
	entries, err := os.ReadDir(home)
	if err != nil {
		return nil, err
	}
	owners := map[string]int{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && info.IsDir() && stat.Uid != 0 {
			owners[e.Name()] = int(stat.Uid)
		}
	}
	return owners, nil
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
