// Package facts finds out what this machine is: the part of a node's
// configuration that neither the image nor the seed can know.
package facts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"banyan/seeds"
)

// StateDir is Banyan's own directory, which outlives image and boot.
const StateDir = "/var/lib/banyan"

// BornMarker is the file that forbids this node for ever to begin a cluster
// anew. It is written when it has become a member of one.
const BornMarker = StateDir + "/born"

// VersionFile is the file with the major version of PostgreSQL that this node was born
// with. Its data may be on a volume, which is not mounted where /etc is rendered.
const VersionFile = StateDir + "/postgresql"

// MachineFile is the file with what the machine was recognised by when the node was born.
// A disk that is in another machine by now was moved, or it is a copy.
const MachineFile = StateDir + "/machine"

// CopyMarker says that a replica's data directory was empty when Patroni was started, and
// that it has not followed yet: what is there may be half a copy.
const CopyMarker = StateDir + "/copy"

// LeftFile is there when somebody has taken this node out of its cluster.
const LeftFile = StateDir + "/left"

// SSHPortFile is where the seed's port of sshd is written.
const SSHPortFile = "/etc/ssh/sshd_config.d/10-banyan-port.conf"

// BootFile says which disk and slot this boot is from, as JSON; there is none on a
// host that is not an image's. It is written by internal/initramfs (Boot).
const BootFile = "/run/banyan/boot.json"

// Facts is what a desired state is computed from, beside the seed.
type Facts struct {
	Installed
	NICs           []NIC          // Ethernet interfaces, by name
	PostgreSQLData []int          // major versions whose cluster main has been initialised, or which the node was born with, ascending
	Homes          map[string]int // owner's uid of each /home/NAME, so that accounts keep theirs
	Born           bool           // this node has been a member of its cluster
	Moved          bool           // since then its disk has come to another machine
	Left           bool           // it was taken out of its cluster

	// What the system is sized from.
	Memory        int64           // bytes of RAM that the kernel has: MemTotal of proc_meminfo(5)
	CPUs          int             // logical CPUs that are online
	Disks         []Disk          // whole disks, by name
	Volumes       map[string]Disk // which disk each volume of storage was on when it was made, or found again
	DataSize      int64           // bytes of the file system that holds /var/lib/postgresql by now: before a volume is mounted there, of the one below
	ReadOnly      bool            // the root is read-only, as an image's; what is written lies below /var, /home and /root
	Kernel        Version         // the running one; zero where none tells
	GigabytePages int             // huge pages of 1 GB that the running kernel has reserved

	SSHPorts []uint16 // that sshd's own configuration names, beside that of SSHPortFile

	// What the machine is recognised by, beside its NICs: "" where it does not tell.
	Serial   string
	UUID     seeds.UUID
	Hostname string

	// What a seed may ask for, before it is planted: afterwards the accounts are
	// also its own.
	Accounts  map[string]int // uid of each user of passwd(5)
	Groups    []string       // names of group(5)
	Shells    []string       // programs that an account may have for its shell
	Timezones []string       // names of the installed time zone database
	Locales   []string       // generated ones with UTF-8, written as in ru_RU.UTF-8
}

// Installed is the versions of what a node is made with.
type Installed struct {
	PostgreSQL                                []int // major versions, ascending
	Systemd, Patroni, Etcd, HAProxy, NFTables Version
}

// NIC is an Ethernet interface.
type NIC struct {
	Name     string
	MAC      string // lower case, with colons; of a bond's member its own, not the bond's
	Physical bool   // a wired device stands behind it: no bridge, no veth, no radio
}

// Gather looks at the machine whose root directory is root, with its /proc and
// /sys mounted.
func Gather(root string) (Facts, error) {
	var f Facts
	var errs []error
	gather(&errs, &f.Installed, LookInstalled, root)
	gather(&errs, &f.NICs, nics, filepath.Join(root, "sys/class/net"))
	gather(&errs, &f.PostgreSQLData, postgresqlData, root)
	gather(&errs, &f.Homes, homes, filepath.Join(root, "home"))
	gather(&errs, &f.Born, exists, filepath.Join(root, BornMarker))
	gather(&errs, &f.Left, exists, filepath.Join(root, LeftFile))
	gather(&errs, &f.Memory, memory, filepath.Join(root, "proc/meminfo"))
	gather(&errs, &f.CPUs, cpus, filepath.Join(root, "sys/devices/system/cpu/online"))
	gather(&errs, &f.Disks, disks, root)
	gather(&errs, &f.Volumes, volumeRecords, root)
	gather(&errs, &f.DataSize, fileSystemSize, filepath.Join(root, "var/lib/postgresql"))
	gather(&errs, &f.ReadOnly, readOnly, root)
	gather(&errs, &f.Kernel, kernel, filepath.Join(root, "proc/sys/kernel/osrelease"))
	gather(&errs, &f.GigabytePages, gigabytePages, filepath.Join(root, "sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"))
	gather(&errs, &f.SSHPorts, sshPorts, root)
	gather(&errs, &f.Serial, dmi, filepath.Join(root, "sys/class/dmi/id/product_serial"))
	gather(&errs, &f.UUID, systemUUID, filepath.Join(root, "sys/class/dmi/id/product_uuid"))
	gather(&errs, &f.Moved, f.moved, filepath.Join(root, MachineFile))
	gather(&errs, &f.Hostname, hostname, filepath.Join(root, "proc/sys/kernel/hostname"))
	gather(&errs, &f.Accounts, accounts, filepath.Join(root, "etc/passwd"))
	gather(&errs, &f.Groups, groups, filepath.Join(root, "etc/group"))
	gather(&errs, &f.Shells, shells, root)
	gather(&errs, &f.Timezones, timezones, filepath.Join(root, "usr/share/zoneinfo"))
	gather(&errs, &f.Locales, locales, filepath.Join(root, "etc/locale.gen"))
	return f, errors.Join(errs...)
}

// LookInstalled looks at the programs of the machine, or of the image's tree, whose
// root directory is root.
func LookInstalled(root string) (Installed, error) {
	var errs []error
	var i Installed
	gather(&errs, &i.PostgreSQL, postgresql, filepath.Join(root, "usr/lib/postgresql"))
	var packages map[string]Version
	gather(&errs, &packages, installed, filepath.Join(root, "var/lib/dpkg/status"))
	i.Systemd, i.Patroni, i.Etcd, i.HAProxy = packages["systemd"], packages["patroni"], packages["etcd-server"], packages["haproxy"]
	i.NFTables = packages["nftables"]
	return i, errors.Join(errs...)
}

// Identity is what the machine is recognised by, on a line; "" where it does not tell.
func (f Facts) Identity() string {
	if f.UUID == "" && f.Serial == "" {
		return ""
	}
	return fmt.Sprintf("uuid %s serial %s", f.UUID, f.Serial)
}

// moved compares the machine with the one that was written down, where both are known.
func (f Facts) moved(file string) (bool, error) {
	before, err := attribute(file)
	return before != "" && f.Identity() != "" && before != f.Identity(), err
}

// Joins tells whether the node's services start by themselves: it was born, and nothing
// is to be found out first.
func (f Facts) Joins() bool { return f.Born && !f.Moved && !f.Left }

// gather reads one fact and keeps the error, if any, for the end.
func gather[T any](errs *[]error, to *T, read func(string) (T, error), path string) {
	fact, err := read(path)
	*to = fact
	*errs = append(*errs, err)
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
		mac, err := address(dir)
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
		found = append(found, NIC{Name: e.Name(), MAC: mac, Physical: device && !radio})
	}
	return found, nil
}

// address is the MAC address of the interface that has dir in /sys. A bond gives its
// own to its members, whose is kept beside it: the kernel's bond_sysfs_slave.c.
func address(dir string) (string, error) {
	own, err := os.ReadFile(filepath.Join(dir, "bonding_slave/perm_hwaddr"))
	if errors.Is(err, fs.ErrNotExist) {
		own, err = os.ReadFile(filepath.Join(dir, "address"))
	}
	return strings.TrimSpace(string(own)), err
}

// BinDir is where Debian has the programs of a major version of PostgreSQL.
func BinDir(version int) string { return fmt.Sprintf("/usr/lib/postgresql/%d/bin", version) }

// postgresql lists the major versions whose server is installed as Debian's
// packages install it. Older schemes such as 9.6 are not looked for.
func postgresql(lib string) ([]int, error) {
	return versions(filepath.Join(lib, "*/bin/postgres"))
}

// postgresqlData lists the major versions for which Debian's cluster main holds
// data, as every data directory has a PG_VERSION from its beginning, and the one that
// the node was born with.
func postgresqlData(root string) ([]int, error) {
	found, err := versions(filepath.Join(root, "var/lib/postgresql/*/main/PG_VERSION"))
	if err != nil {
		return nil, err
	}
	kept, err := attribute(filepath.Join(root, VersionFile))
	if err != nil || kept == "" {
		return found, err
	}
	version, err := strconv.Atoi(kept)
	if err != nil {
		return found, fmt.Errorf("%s: %w", VersionFile, err)
	}
	if !slices.Contains(found, version) {
		found = append(found, version)
		slices.Sort(found)
	}
	return found, nil
}

// versions lists the numbers that stand for the asterisk in a path of the form
// "*/DIRECTORY/FILE".
func versions(pattern string) ([]int, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var found []int
	for _, f := range files {
		if v, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(f)))); err == nil {
			found = append(found, v)
		}
	}
	slices.Sort(found)
	return found, nil
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
