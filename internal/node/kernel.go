package node

import (
	"cmp"
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

	// The ports that outgoing connections take.
	firstLocalPort, lastLocalPort = 10000, 65535
	// defaultNrOpen is how many files the kernel lets a process of root's have open, unless fs.nr_open
	// says otherwise: https://www.kernel.org/doc/html/latest/admin-guide/sysctl/fs.html
	defaultNrOpen = 1024 * 1024
	// mostReserved is how many ports of a range in firewall.allow are kept from them: what
	// is larger would leave them too few.
	mostReserved = 1001
)

// sysctl is a parameter of the kernel, by its name in sysctl(8).
type sysctl struct{ name, value string }

// kernel is what the kernel is told: by files at each boot, and at once. The parameters
// do not build on one another.
func kernel(s seeds.Seed, self seeds.Node, m sharedMemory, f facts.Facts) converge.Step {
	settings := memorySettings(self, m)
	var text []string
	for _, setting := range settings {
		text = append(text, "w "+setting.Path+" - - - - "+setting.Value)
	}
	resources := []converge.Resource{
		file(modulesFile, banner+lines(modules(self))),
		// What nf_conntrack_max sets is there once its module is.
		converge.Unit{Name: modulesUnit, Enabled: true, Running: true, RestartOn: []string{modulesFile}},
		file("/etc/tmpfiles.d/banyan.conf", banner+lines(text)),
	}
	for _, setting := range settings {
		// Pages of 1 GB that are still reserved leave no room for others until the next boot.
		if setting.Path != pagesOf2MB || f.GigabytePages == 0 {
			resources = append(resources, setting)
		}
	}
	resources = append(resources, sysctls(kernelParameters(s, self, m, f), self.System.Sysctl)...)
	if self.Runs(seeds.ServicePostgreSQL) {
		resources = append(resources, converge.KernelArguments{
			Own:       []string{"default_hugepagesz", "hugepagesz", "hugepages"},
			Arguments: m.kernelArguments(),
		})
	}
	return converge.Step{Name: "kernel", Loose: true, Resources: resources}
}

// sysctls sets parameters now, and by a file at each boot.
func sysctls(parameters []sysctl, given map[string]any) []converge.Resource {
	var resources []converge.Resource
	var text []string
	for _, p := range parameters {
		// The dash keeps systemd from failing over one that this kernel lacks.
		text = append(text, "-"+p.name+" = "+p.value)
		setting := converge.Sysctl(p.name, p.value)
		if _, ok := given[p.name]; ok { // which nobody here knows the form of
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
	return append(resources, file(sysctlFile, banner+lines(text)))
}

const pagesOf2MB = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

// memorySettings are those that are no parameters of sysctl: transparent huge pages, and
// how many huge pages of 2 MB there are, whichever size is the kernel's default.
func memorySettings(self seeds.Node, m sharedMemory) []converge.Setting {
	thp := string(self.System.TransparentHugepage)
	settings := []converge.Setting{
		{Path: thpDir + "enabled", Value: thp},
		{Path: thpDir + "defrag", Value: thp},
	}
	if _, given := self.System.Sysctl["vm.nr_hugepages"]; given || m.memory == 0 || m.hugePage == seeds.HugePageSize1GB {
		return settings
	}
	return append(settings, converge.Setting{
		Path: pagesOf2MB, Value: strconv.FormatInt(m.hugePages(), 10),
		Short: "memory is in too many pieces by now; the next boot has them all",
	})
}

// kernelParameters are in the order of their names, which is also one in which
// they can be set.
func kernelParameters(s seeds.Seed, self seeds.Node, m sharedMemory, f facts.Facts) []sysctl {
	values := map[string]string{}
	maps.Copy(values, networkParameters(s, self, f.NICs))
	maps.Copy(values, panicParameters)
	if files := haproxyFiles(self); files > defaultNrOpen {
		values["fs.nr_open"] = strconv.Itoa(files)
	}
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
	for name := range self.System.Sysctl {
		delete(values, twins[name])
	}
	for name, value := range self.System.Sysctl {
		values[name] = fmt.Sprint(value)
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
		"net.ipv4.ip_local_port_range":   fmt.Sprintf("%d %d", firstLocalPort, lastLocalPort),
		"net.ipv4.ip_nonlocal_bind":      "1",
		"net.ipv4.tcp_max_syn_backlog":   "8192",
		"net.ipv4.tcp_tw_reuse":          "1",
		"net.netfilter.nf_conntrack_max": "1048576",
	}
	if self.Address.Addr().Is6() { // whose VIPs are as well
		values["net.ipv6.ip_nonlocal_bind"] = "1"
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
	ports = slices.DeleteFunc(ports, func(p seeds.PortRange) bool { return p.Last < firstLocalPort || p.Last-p.First >= mostReserved })
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
func memoryParameters(m sharedMemory) map[string]string {
	values := map[string]string{
		"vm.dirty_background_ratio": "10", // the kernel takes no 0 for dirty_background_bytes; setting the ratio makes it 0
		// 100 MB are too much of a small machine; how large it is may not be known.
		"vm.min_free_kbytes":   strconv.FormatInt(cmp.Or(min(102400, m.memory/1024/20), 102400), 10),
		"vm.overcommit_memory": "2",
		"vm.swappiness":        "1",
		"vm.zone_reclaim_mode": "0",
	}
	if m.memory > 0 { // of a machine that is known
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
