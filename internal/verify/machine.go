package verify

import (
	"fmt"
	"strings"
	"time"

	"banyan/internal/check"
	"banyan/seeds"
)

// Machine is what is seen of the machine below the node.
type Machine struct {
	Clock       Clock
	FileSystems []FileSystem
	HugePages   HugePages
	Watchdog    Watchdog
	WAL         WAL
}

// WAL is where PostgreSQL's write-ahead log lies.
type WAL struct {
	Dir    string // that the seed gives it; "" where it is in the data directory
	Data   string // the data directory
	Actual string // where pg_wal of the data directory is, or leads to; "" where there is none yet
	Err    error
}

// Clock is what chronyd says of the clock: chronyc(1), tracking.
type Clock struct {
	Err    error // it says nothing
	Synced bool
	Source string        // that it follows
	Offset time.Duration // from that, as it is known by now
}

// FileSystem is one that data lies on.
type FileSystem struct {
	Path       string // of what lies there
	Size, Free int64  // bytes that files may have, and have not; root's reserve is not counted
	Inodes     int64  // 0 where the file system has as many as it likes
	FreeInodes int64
	Err        error
}

// HugePages is how PostgreSQL's shared memory lies in huge pages.
type HugePages struct {
	Err         error // PostgreSQL cannot be looked at
	Shared      int64 // bytes of huge pages that its processes share
	Total, Free int64 // pages of the default size that the kernel keeps: proc_meminfo(5)
}

// Watchdog is the device that Patroni is to hold.
type Watchdog struct {
	Device string
	There  bool
	State  string // "active" or "inactive"; "" where the kernel does not tell
	Holder string // the program that has it open; "" for none
	Err    error
}

func checkMachine(f Facts) []check.Check {
	checks := checkClock(f)
	checks = append(checks, checkSpace(f)...)
	if f.Self.Runs(seeds.ServicePostgreSQL) {
		checks = append(checks, checkWAL(f)...)
		checks = append(checks, checkHugePages(f)...)
		checks = append(checks, checkWatchdog(f)...)
	}
	return checks
}

// worstOffset is what etcd complains of (rafthttp, "the clock difference against peer").
const worstOffset = time.Second

func checkClock(f Facts) []check.Check {
	const name, see = "clock", "systemctl status chrony; chronyc sources"
	v, c := check.Begin(name), f.Machine.Clock
	if c.Err != nil {
		if f.Container != "" {
			return check.Skipped(name, "the clock is the machine's, and kept outside of this container (%s)", f.Container)
		}
		v.Fail(see, "chronyd does not say whether the clock is right: %v", c.Err)
		return v.End("")
	}
	if !c.Synced {
		v.Warn(see, "chronyd follows no source, so the clock goes by itself")
	}
	off := c.Offset.Abs()
	switch {
	case off > worstOffset:
		v.Fail(see, "it is %v off", c.Offset.Round(time.Millisecond))
	case off > worstOffset/10:
		v.Warn(see, "it is %v off", c.Offset.Round(time.Millisecond))
	}
	return v.End("it follows %s, %v off", c.Source, c.Offset.Round(time.Microsecond))
}

// How full a file system may be, in percent.
const (
	gettingFull = 85
	full        = 95
)

func checkSpace(f Facts) []check.Check {
	v := check.Begin("disk space")
	worst, at := int64(0), ""
	for _, fs := range f.Machine.FileSystems {
		if fs.Err != nil {
			v.Fail("findmnt --target "+fs.Path, "%s: %v", fs.Path, fs.Err)
			continue
		}
		used := percent(fs.Size-fs.Free, fs.Size)
		see, what := fmt.Sprintf("du -xh --max-depth 2 %s | sort -h", fs.Path), fmt.Sprintf("%s is %d %% full", fs.Path, used)
		if inodes := percent(fs.Inodes-fs.FreeInodes, fs.Inodes); inodes > used {
			used, see, what = inodes, "df --inodes "+fs.Path, fmt.Sprintf("%d %% of the inodes of %s are taken", inodes, fs.Path)
		}
		switch {
		case used >= full:
			v.Fail(see, "%s", what)
		case used >= gettingFull:
			v.Warn(see, "%s", what)
		}
		if at == "" || used > worst {
			worst, at = used, fs.Path
		}
	}
	return v.End("%s is the fullest, at %d %%", at, worst)
}

func percent(part, of int64) int64 {
	if of <= 0 {
		return 0
	}
	return 100 * part / of
}

// checkWAL: initdb and pg_basebackup make pg_wal a link to the directory of the seed; what
// else there is of data has it where it was.
func checkWAL(f Facts) []check.Check {
	v, w := check.Begin("WAL directory"), f.Machine.WAL
	switch {
	case w.Err != nil:
		v.Fail("ls -l "+w.Data, "%v", w.Err)
	case w.Dir == "":
		return v.End("pg_wal of the data directory")
	case w.Actual == "":
		return v.Skip("there is no data yet")
	case w.Actual != w.Dir:
		// Patroni leaves PostgreSQL running when it stops in maintenance mode.
		v.Warn(fmt.Sprintf("not in maintenance mode, and on the leader after patronictl switchover: systemctl stop patroni && test ! -e %[1]s/postmaster.pid"+
			" && mv -T %[1]s/pg_wal %[2]s && ln -s %[2]s %[1]s/pg_wal; systemctl start patroni", w.Data, w.Dir),
			"it is in %s, and in the seed in %s", w.Actual, w.Dir)
	}
	return v.End("%s", w.Dir)
}

// mayUseHugePages tells whether the parameters of the seed let PostgreSQL use them:
// https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-HUGE-PAGES
func (f Facts) mayUseHugePages() bool {
	for name, value := range f.Self.PostgreSQL.Parameters {
		switch strings.ToLower(name) {
		case "huge_pages":
			if on, known := boolean(value); known && !on {
				return false
			}
		case "shared_memory_type":
			if !strings.EqualFold(fmt.Sprint(value), "mmap") {
				return false
			}
		}
	}
	return true
}

// checkHugePages: with huge_pages=try PostgreSQL goes on without a word where they do not
// suffice, and the memory that is kept for them is of no use to anybody.
func checkHugePages(f Facts) []check.Check {
	const name = "huge pages"
	v, h := check.Begin(name), f.Machine.HugePages
	switch {
	case f.Self.System.HugePageSize == seeds.HugePageSizeNone || !f.mayUseHugePages():
		return v.End("off, as the seed says")
	case h.Err != nil:
		return check.Skipped(name, "PostgreSQL does not run here: %v", h.Err)
	case h.Shared > 0:
		return v.End("PostgreSQL shares %d MB in them; %d of %d are free", h.Shared>>20, h.Free, h.Total)
	case f.Container != "" && h.Total == 0:
		return check.Skipped(name, "a container (%s) cannot have any", f.Container)
	case h.Total == 0:
		v.Warn("reboot, and look at vm.nr_hugepages with firstboot --dry-run", "PostgreSQL uses none: the kernel has none")
	default:
		v.Warn("patronictl restart "+f.Seed.Cluster.Name+" "+f.Self.Name, "PostgreSQL uses none, and %d of %d are free: there were too few when it started", h.Free, h.Total)
	}
	return v.End("")
}

// checkWatchdog: Patroni opens the device when it begins to lead, and closes it when it
// ends to: https://patroni.readthedocs.io/en/latest/watchdog.html. The leader of a standby
// cluster takes no writes, and so needs none (Ha.enforce_primary_role opens it).
func checkWatchdog(f Facts) []check.Check {
	const name = "watchdog"
	v, w, mode := check.Begin(name), f.Machine.Watchdog, f.Self.Patroni.Watchdog.Mode
	own, _ := f.Cluster.of(f.Self.Name)
	leads := own.leads()
	switch {
	case mode == seeds.WatchdogOff:
		return v.End("off, as the seed says")
	case !w.There && mode == seeds.WatchdogRequired:
		v.Fail("patroni.watchdog in the seed: a driver, such as softdog, or another mode", "there is no %s, and without it this node never leads", w.Device)
	case !w.There && f.Container != "":
		return check.Skipped(name, "a container (%s) has none", f.Container)
	case !w.There:
		return check.Skipped(name, "this machine has none: a leader that hangs is not restarted; patroni.watchdog.driver of the seed may name one, such as softdog")
	case w.Err != nil:
		v.Fail("wdctl "+w.Device, "%v", w.Err)
	case own.Status.WatchdogFailed:
		v.Fail("journalctl -b -u patroni --grep watchdog", "Patroni cannot open %s", w.Device)
	case !leads && w.Holder == "":
		return v.End("%s waits until this node leads", w.Device)
	case leads && w.Holder == "" && own.Status.Role == "standby_leader":
		return v.End("%s waits until this cluster is no standby any more", w.Device)
	case leads && w.Holder == "" && own.Status.Pause:
		return v.End("%s waits for the end of the maintenance mode", w.Device)
	case leads && w.Holder == "":
		v.Fail("journalctl -b -u patroni --grep watchdog", "this node leads, and nobody holds %s", w.Device)
	case w.Holder != "patroni" && w.Holder != "python3": // proc_pid_comm(5) of what Debian has it run by
		v.Fail("lsof "+w.Device, "%s holds %s, and so Patroni cannot", w.Holder, w.Device)
	case w.State == "inactive":
		v.Fail("wdctl "+w.Device, "Patroni holds %s, which is not active", w.Device)
	}
	return v.End("Patroni holds %s", w.Device)
}
