package node

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

const (
	sysctlFile  = "/etc/sysctl.d/zz-banyan.conf" // after 99-sysctl.conf, which a host may have
	modulesFile = "/etc/modules-load.d/banyan.conf"
	modulesUnit = "systemd-modules-load.service"
	thpDir      = "/sys/kernel/mm/transparent_hugepage/"
)

// sysctl is a parameter of the kernel, by its name in sysctl(8).
type sysctl struct{ name, value string }

// kernel is what the kernel is told: by files at each boot, and at once. The parameters
// do not build on one another.
func kernel(s seeds.Seed, self seeds.Node, m sizes, f facts.Facts) converge.Step {
	settings := memorySettings(self, m)
	var text []string
	for _, s := range settings {
		text = append(text, "w "+s.Path+" - - - - "+s.Value)
	}
	resources := []converge.Resource{
		file(modulesFile, banner+lines(modules(self))),
		// What nf_conntrack_max sets is there once its module is.
		converge.Unit{Name: modulesUnit, Enabled: true, Running: true, RestartOn: []string{modulesFile}},
		file("/etc/tmpfiles.d/banyan.conf", banner+lines(text)),
	}
	for _, s := range settings {
		resources = append(resources, s)
	}
	text = nil
	parameters := kernelParameters(s, self, m, f)
	for _, p := range parameters {
		// The dash keeps systemd from failing over one that this kernel lacks.
		text = append(text, "-"+p.name+" = "+p.value)
		setting := converge.Sysctl(p.name, p.value)
		if _, given := self.System.Sysctl[p.name]; given { // which nobody here knows the form of
			setting.Short = "that is what the kernel has made of it"
		}
		for _, other := range parameters { // as systemd-sysctl does
			named := converge.Sysctl(other.name, "").Path
			if fits, err := path.Match(setting.Path, named); err == nil && fits && other != p {
				setting.Except = append(setting.Except, named)
			}
		}
		resources = append(resources, setting)
	}
	resources = append(resources, file(sysctlFile, banner+lines(text)))
	if self.Runs(seeds.ServicePostgreSQL) {
		resources = append(resources, converge.KernelArguments{
			Own:       []string{"default_hugepagesz", "hugepagesz", "hugepages"},
			Arguments: m.kernelArguments(),
		})
	}
	return converge.Step{Name: "kernel", Loose: true, Resources: resources}
}

// memorySettings are those that are no parameters of sysctl: transparent huge pages, and
// how many huge pages of 2 MB there are, whichever size is the kernel's default.
func memorySettings(self seeds.Node, m sizes) []converge.Setting {
	thp := string(self.System.TransparentHugepage)
	settings := []converge.Setting{
		{Path: thpDir + "enabled", Value: thp},
		{Path: thpDir + "defrag", Value: thp},
	}
	if _, given := self.System.Sysctl["vm.nr_hugepages"]; given || m.memory == 0 || m.hugePage == seeds.HugePageSize1GB {
		return settings
	}
	return append(settings, converge.Setting{
		Path: "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", Value: strconv.FormatInt(m.hugePages(), 10),
		Short: "memory is in too many pieces by now; the next boot has them all",
	})
}

// kernelParameters are in the order of their names, which is also one in which
// they can be set.
func kernelParameters(s seeds.Seed, self seeds.Node, m sizes, f facts.Facts) []sysctl {
	values := map[string]string{}
	maps.Copy(values, networkParameters(s, self, f.NICs))
	maps.Copy(values, panicParameters)
	if self.Runs(seeds.ServicePostgreSQL) {
		maps.Copy(values, memoryParameters(m))
		// https://www.kernel.org/doc/html/latest/admin-guide/sysctl/kernel.html; the values are
		// pgsql_cluster's.
		maps.Copy(values, map[string]string{
			"kernel.numa_balancing":          "0",
			"kernel.sched_autogroup_enabled": "0",
		})
		if !abilities(f).hidesMigrationCost() {
			values["kernel.sched_migration_cost_ns"] = "5000000"
		}
	}
	for name, value := range self.System.Sysctl {
		values[name] = fmt.Sprint(value)
		delete(values, twins[name])
	}
	var all []sysctl
	for _, name := range slices.Sorted(maps.Keys(values)) {
		all = append(all, sysctl{name, values[name]})
	}
	return all
}

// twins are parameters of which the kernel keeps the one that was set last, and ours by
// that of the seed: https://www.kernel.org/doc/html/latest/admin-guide/sysctl/vm.html
var twins = map[string]string{
	"vm.dirty_background_bytes": "vm.dirty_background_ratio",
	"vm.overcommit_kbytes":      "vm.overcommit_ratio",
}

// networkParameters are for members and balancers alike; the values are pgsql_cluster's:
// https://www.kernel.org/doc/html/latest/networking/ip-sysctl.html
func networkParameters(s seeds.Seed, self seeds.Node, nics []facts.NIC) map[string]string {
	values := map[string]string{
		"net.core.netdev_max_backlog":    "10000",
		"net.core.somaxconn":             "65535",
		"net.ipv4.ip_forward":            "1",
		"net.ipv4.ip_local_port_range":   "10000 65535",
		"net.ipv4.ip_nonlocal_bind":      "1",
		"net.ipv4.tcp_max_syn_backlog":   "8192",
		"net.ipv4.tcp_tw_reuse":          "1",
		"net.netfilter.nf_conntrack_max": "1048576",
	}
	if reserved := listeners(s, self); len(reserved) > 0 {
		values["net.ipv4.ip_local_reserved_ports"] = strings.Join(reserved, ",")
	}
	// A packet has to come in where its answer would go out (RFC 3704). With several
	// networks an answer may go another way: then it only has to have one.
	strict := "1"
	if n := self.Network; len(n.Interfaces) > 0 || len(n.VLANs) > 0 || !n.Manage || len(physical(nics)) > 1 {
		strict = "2"
	}
	for _, at := range []string{"all", "default", "*"} { // of all and the interface's own, the greater one counts
		values["net.ipv4.conf."+at+".rp_filter"] = strict
		values["net.ipv4.conf."+at+".accept_redirects"] = "0" // are a router's, which ip_forward would make of it
		values["net.ipv4.conf."+at+".send_redirects"] = "0"
	}
	return values
}

// listeners are the ports that a service listens on and an outgoing connection could have
// taken before it starts, since they are in ip_local_port_range.
func listeners(s seeds.Seed, self seeds.Node) []string {
	var ports []seeds.PortRange
	for _, p := range s.Ports(self) {
		ports = append(ports, seeds.PortRange{First: p.Number, Last: p.Number})
	}
	for _, allow := range self.Firewall.Allow {
		ports = append(ports, allow.Port)
	}
	ports = slices.DeleteFunc(ports, func(p seeds.PortRange) bool { return p.Last < 10000 || p.Last-p.First > 1000 })
	slices.SortFunc(ports, func(a, b seeds.PortRange) int { return int(a.First) - int(b.First) })
	var merged []seeds.PortRange // as the kernel writes them
	for _, p := range ports {
		if last := len(merged) - 1; last >= 0 && int(p.First) <= int(merged[last].Last)+1 {
			merged[last].Last = max(merged[last].Last, p.Last)
		} else {
			merged = append(merged, p)
		}
	}
	var all []string
	for _, p := range merged {
		all = append(all, p.String())
	}
	return all
}

// panicParameters end a kernel that is no longer sound: another member takes over, and
// this one comes back. A core dump of a program that changed its user is nobody's.
var panicParameters = map[string]string{
	"kernel.panic":         "10", // seconds until it restarts
	"kernel.panic_on_oops": "1",
	"fs.suid_dumpable":     "0",
}

// memoryParameters are PostgreSQL's: https://www.kernel.org/doc/html/latest/admin-guide/sysctl/vm.html
func memoryParameters(m sizes) map[string]string {
	values := map[string]string{
		"vm.dirty_background_ratio": "10", // dirty_background_bytes is 0 by that, and cannot be set to it
		"vm.min_free_kbytes":        "102400",
		"vm.overcommit_memory":      "2",
		"vm.swappiness":             "1",
		"vm.zone_reclaim_mode":      "0",
	}
	if m.memory > 0 { // of a machine that is known
		// 100 MB are too much of a small machine.
		values["vm.min_free_kbytes"] = strconv.FormatInt(min(102400, m.memory/1024/20), 10)
		values["vm.overcommit_ratio"] = strconv.Itoa(m.overcommitRatio())
	}
	return values
}

// modules are loaded at boot, for what does not load by itself.
func modules(self seeds.Node) []string {
	all := []string{"nf_conntrack"}
	if w := self.Patroni.Watchdog; self.Runs(seeds.ServicePostgreSQL) && w.Mode != seeds.WatchdogOff && w.Driver != "" {
		all = append(all, w.Driver)
	}
	return all
}

// pageSize is the size of a huge page in bytes.
var pageSize = map[seeds.HugePageSize]int64{seeds.HugePageSize2MB: 2 * mb, seeds.HugePageSize1GB: gb}

// sizes is what the memory of a node is divided by.
type sizes struct {
	memory        int64 // bytes of RAM; 0 where the machine is not known
	sharedBuffers int64 // bytes
	walBuffers    int64 // bytes; negative where PostgreSQL chooses, up to 16 MB
	locks         int64 // of all transactions: max_connections and max_prepared_transactions times max_locks_per_transaction
	hugePage      seeds.HugePageSize
}

// hugePages is how many huge pages shared memory takes: 5 % more than shared_buffers, as
// pgsql_cluster has it, and what does not grow with it: 512 bytes for a lock, and 32 MB for
// the rest. With one page too few PostgreSQL takes none at all. PostgreSQL 17 says by
// shared_memory_size what it takes: 169 MB for 128, 1105 MB for 1 GB, 4272 MB for 4 GB,
// with 200 connections; 270 MB for 128 with 1000.
func (m sizes) hugePages() int64 {
	size := pageSize[m.hugePage]
	if size == 0 || m.memory == 0 {
		return 0
	}
	shared := m.sharedBuffers + m.sharedBuffers/20 + 512*m.locks + max(0, m.walBuffers) + 32*mb
	pages := (shared + size - 1) / size
	if pages*size > m.memory/4*3 {
		return 0 // a machine that has lost memory still has to boot; PostgreSQL does without
	}
	return pages
}

// kernelArguments reserve huge pages of 1 GB, which later cannot be found any more.
func (m sizes) kernelArguments() []string {
	if m.hugePage != seeds.HugePageSize1GB || m.memory == 0 {
		return nil
	}
	pages := m.hugePages()
	if pages == 0 {
		return nil
	}
	return []string{"default_hugepagesz=1G", "hugepagesz=1G", fmt.Sprintf("hugepages=%d", pages)}
}

// overcommitRatio is how much of the memory that is no huge page may be promised to
// programs, in percent, swap being promised besides: all but 5 % of RAM, at least 256
// MB, for the kernel and its caches. The kernel's own default of 50 % starves a node
// whose shared_buffers are in huge pages:
// https://www.kernel.org/doc/html/latest/mm/overcommit-accounting.html
func (m sizes) overcommitRatio() int {
	left := m.memory - m.hugePages()*pageSize[m.hugePage]
	if left <= 0 {
		return 50
	}
	kept := max(256*mb, m.memory/20)
	return int(min(95, max(50, 100*(left-kept)/left)))
}

// swap is the swap file, which belongs to this machine and not to its image.
func swap(size seeds.Size) []converge.Resource {
	const path, unit = "/var/swapfile", "var-swapfile.swap"
	swapFile := converge.SwapFile{Path: path, Size: int64(size)}
	if size == 0 {
		return []converge.Resource{
			swapFile,
			converge.Unit{Name: unit},
			converge.Absent{Path: "/etc/systemd/system/" + unit},
		}
	}
	return []converge.Resource{
		file("/etc/systemd/system/"+unit, banner+strings.TrimLeft(`
[Unit]
Description=Swap file
# At the first boot it is yet to be made.
ConditionPathExists=`+path+`

[Swap]
What=`+path+`

[Install]
WantedBy=swap.target
`, "\n")),
		swapFile,
		converge.Unit{Name: unit, Enabled: true, Running: true, RestartOn: []string{path}},
	}
}
