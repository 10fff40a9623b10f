package converge

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// settings makes files of settings below a made-up root.
func settings(t *testing.T, files map[string]string) Machine {
	t.Helper()
	m := liveMachine(t)
	for name, content := range files {
		write(t, m.path(name), content)
	}
	return m
}

func TestSettingIDs(t *testing.T) {
	for want, s := range map[string]Setting{
		"sysctl vm.swappiness":                    Sysctl("vm.swappiness", "1"),
		"sysctl net.ipv4.conf.eth0/100.rp_filter": Sysctl("net.ipv4.conf.eth0/100.rp_filter", "1"),
		"/sys/block/sda/queue/scheduler":          {Path: "/sys/block/sda/queue/scheduler"},
	} {
		if s.ID() != want {
			t.Errorf("%s, want %s", s.ID(), want)
		}
	}
	if got := Sysctl("net.ipv4.conf.eth0/100.rp_filter", "1").Path; got != "/proc/sys/net/ipv4/conf/eth0.100/rp_filter" {
		t.Errorf("the path is %s", got)
	}
}

func TestSetting(t *testing.T) {
	m := settings(t, map[string]string{
		"proc/sys/vm/swappiness":                     "60\n",
		"proc/sys/net/ipv4/ip_local_port_range":      "32768\t60999\n",
		"proc/sys/kernel/core_pattern":               "core [%p]\n",
		"proc/sys/net/ipv4/conf/all/rp_filter":       "1\n",
		"proc/sys/net/ipv4/conf/eth0/rp_filter":      "0\n",
		"proc/sys/net/ipv4/conf/eth1.7/rp_filter":    "2\n",
		"sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
	})
	thp := func(value string) Setting {
		return Setting{Path: "/sys/kernel/mm/transparent_hugepage/enabled", Value: value}
	}
	for _, c := range []struct {
		setting Setting
		want    string // "" is no change
	}{
		{Sysctl("vm.swappiness", "60"), ""},
		{Sysctl("vm.swappiness", "1"), "sysctl vm.swappiness: change 60 to 1"},
		{Sysctl("net.ipv4.ip_local_port_range", "32768  60999"), ""},
		{Sysctl("net.ipv4.ip_local_port_range", "10000\t65535"), "sysctl net.ipv4.ip_local_port_range: change 32768 60999 to 10000\t65535"},
		{Sysctl("kernel.core_pattern", "core [%p]"), ""},
		{Sysctl("net.ipv4.conf.*.rp_filter", "2"), "sysctl net.ipv4.conf.*.rp_filter: change 1 to 2"},
		{thp("madvise"), ""},
	} {
		off := Machine{Root: m.Root}
		if got := changes(apply(t, off, c.setting)); len(got) > 0 {
			t.Errorf("%v off line: %q", c.setting, got)
		}
		for _, want := range []string{c.want, ""} {
			if got := strings.Join(changes(apply(t, m, c.setting)), "\n"); got != want {
				t.Errorf("%v: %q, want %q", c.setting, got, want)
			}
		}
	}
	for name, want := range map[string]string{
		"vm/swappiness": "1\n", "net/ipv4/ip_local_port_range": "10000\t65535\n",
		"net/ipv4/conf/all/rp_filter": "2\n", "net/ipv4/conf/eth0/rp_filter": "2\n", "net/ipv4/conf/eth1.7/rp_filter": "2\n",
	} {
		if got := content(t, m.path("/proc/sys/"+name)); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	// A file of the disk keeps what is written, and so has no list of choices any more.
	if report, err := Diff(t.Context(), m, one(thp("never"))); err != nil || changes(report)[0] != thp("").ID()+": change madvise to never" {
		t.Errorf("%q, %v", changes(report), err)
	}
}

func TestSettingIsSkipped(t *testing.T) {
	m := settings(t, map[string]string{"proc/sys/vm/nr_hugepages": "0\n", "sys/ro/readable": "1\n"})
	if err := unix.Mount("none", m.path("/sys/ro"), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(m.path("/sys/ro"), 0); err != nil {
			t.Error(err)
		}
	}()
	write(t, m.path("/sys/ro/value"), "1\n")
	if err := unix.Mount("none", m.path("/sys/ro"), "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]Setting{
		"this kernel has no kernel/sched_autogroup_enabled":                                                 Sysctl("kernel.sched_autogroup_enabled", "0"),
		"this kernel has no net/ipv4/conf/*/rp_filter":                                                      Sysctl("net.ipv4.conf.*.rp_filter", "0"),
		"this kernel has no /sys/block/sdz/queue/scheduler":                                                 {Path: "/sys/block/sdz/queue/scheduler"},
		"this machine does not let it be set: write " + m.path("/sys/ro/value") + ": read-only file system": {Path: "/sys/ro/value", Value: "2"},
	} {
		if got := summary(apply(t, m, s)); len(got) != 1 || got[0] != "step: skipped "+s.ID()+" ("+want+")" {
			t.Errorf("%q, want %s", got, want)
		}
	}
}

// ownNetwork gives the test, and what it runs, a network namespace of its own.
func ownNetwork(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

// The kernel's own files do what no file of a disk does.
func TestSettingOfTheKernel(t *testing.T) {
	ownNetwork(t)
	m := Machine{Root: "/", Live: true}
	reuse := Sysctl("net.ipv4.tcp_tw_reuse", "0")
	if got := changes(apply(t, m, reuse)); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if again := changes(apply(t, m, reuse)); len(again) > 0 {
		t.Errorf("a second Apply: %q", again)
	}
	reuse.Value = "x"
	if _, err := Apply(t.Context(), m, one(reuse), nil); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a value that is none: %v", err)
	}
	secret := Sysctl("net.ipv6.conf.lo.stable_secret", "::1")
	if got := summary(apply(t, m, secret)); !strings.Contains(got[0], "skipped "+secret.ID()+" (the kernel does not let it be read: ") {
		t.Errorf("%q", got)
	}

	// One that the kernel takes in another form than it was given.
	ports := Sysctl("net.ipv4.ip_local_reserved_ports", "1,2,3")
	t.Cleanup(func() { // this machine's own
		if err := os.Remove(ports.triedFile(m)); err != nil {
			t.Error(err)
		}
	})
	if _, err := Apply(t.Context(), m, one(ports), nil); err == nil || !strings.Contains(err.Error(), "it was made, and yet it differs: change 1-3 to 1,2,3") {
		t.Errorf("the error is %v", err)
	}
	ports.Short = "the next boot has them all"
	want := "step: skipped " + ports.ID() + " (it is 1-3, not 1,2,3: the next boot has them all)"
	if got := summary(apply(t, m, ports)); got[0] != want {
		t.Errorf("%q, want %s", got, want)
	}
	if report, err := Diff(t.Context(), m, one(ports)); err != nil || summary(report)[0] != want {
		t.Errorf("a dry run tells %q, %v", summary(report), err)
	}
	ports.Value = " 1-3 "
	if got := summary(apply(t, m, ports)); got[0] != "step:" {
		t.Errorf("%q", got)
	}
	ports.Value = "1-4"
	if got := summary(apply(t, m, ports)); got[0] != "step: changed "+ports.ID() {
		t.Errorf("%q", got)
	}
}

// An interface may go while its settings are made.
func TestSettingOfWhatIsGone(t *testing.T) {
	m := settings(t, map[string]string{"proc/sys/net/ipv4/conf/eth0/rp_filter": "0\n"})
	gone := m.path("/proc/sys/net/ipv4/conf/gone")
	if err := os.MkdirAll(gone, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere/at/all", filepath.Join(gone, "rp_filter")); err != nil {
		t.Fatal(err)
	}
	s := Sysctl("net.ipv4.conf.*.rp_filter", "1")
	if got := changes(apply(t, m, s)); !slices.Equal(got, []string{s.ID() + ": change 0 to 1"}) {
		t.Errorf("%q", got)
	}
}
