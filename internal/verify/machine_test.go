package verify

import (
	"errors"
	"testing"
	"time"

	"banyan/internal/check"
	"banyan/seeds"
)

const nspawn = "systemd-nspawn"

func TestClock(t *testing.T) {
	clock := func(c Clock) func(*Facts) { return func(f *Facts) { f.Machine.Clock = c } }
	off := func(d time.Duration) func(*Facts) { return clock(Clock{Synced: true, Source: "ntp", Offset: d}) }
	silent := errors.New("506 Cannot talk to daemon")
	expect(t, map[string]change{
		"a little off": {what: off(-99 * time.Millisecond), name: "clock", state: check.OK, found: "it follows ntp, -99ms off"},
		"off":          {what: off(-101 * time.Millisecond), name: "clock", state: check.Warn, found: "it is -101ms off", advice: "chronyc sources"},
		"far off":      {what: off(2 * time.Second), name: "clock", state: check.Fail, found: "it is 2s off", advice: "chronyc sources"},
		"no source":    {what: clock(Clock{Source: ""}), name: "clock", state: check.Warn, found: "follows no source", advice: "chronyc sources"},
		"no chronyd":   {what: clock(Clock{Err: silent}), name: "clock", state: check.Fail, found: "506 Cannot talk to daemon", advice: "systemctl status chrony"},
		"a container": {
			what: func(f *Facts) { f.Machine.Clock, f.Container = Clock{Err: silent}, nspawn },
			name: "clock", state: check.Skip, found: "outside of this container (systemd-nspawn)",
		},
	})
}

func TestSpace(t *testing.T) {
	disk := func(used, inodes int64) func(*Facts) {
		return func(f *Facts) {
			f.Machine.FileSystems = append(f.Machine.FileSystems, FileSystem{Path: "/var/lib/etcd/default", Size: 100, Free: 100 - used, Inodes: 100, FreeInodes: 100 - inodes})
		}
	}
	expect(t, map[string]change{
		"room":         {what: disk(84, 0), name: "disk space", state: check.OK, found: "/var/lib/etcd/default is the fullest, at 84 %"},
		"filling":      {what: disk(85, 0), name: "disk space", state: check.Warn, found: "/var/lib/etcd/default is 85 % full", advice: "du -xh"},
		"full":         {what: disk(95, 0), name: "disk space", state: check.Fail, found: "/var/lib/etcd/default is 95 % full", advice: "du -xh"},
		"no inodes":    {what: disk(50, 96), name: "disk space", state: check.Fail, found: "96 % of the inodes of /var/lib/etcd/default", advice: "df --inodes"},
		"without them": {what: func(f *Facts) { f.Machine.FileSystems[0].Inodes = 0 }, name: "disk space", state: check.OK, found: "at 60 %"},
		"broken": {
			what: func(f *Facts) { f.Machine.FileSystems[0].Err = errors.New("input/output error") },
			name: "disk space", state: check.Fail, found: "/var/lib/banyan: input/output error", advice: "findmnt",
		},
	})
}

func TestWAL(t *testing.T) {
	const data, own = "/var/lib/postgresql/17/main", "/var/lib/postgresql-wal/17-main"
	wal := func(w WAL) func(*Facts) { return func(f *Facts) { w.Data = data; f.Machine.WAL = w } }
	expect(t, map[string]change{
		"none":        {what: wal(WAL{Actual: data + "/pg_wal"}), name: "WAL directory", state: check.OK, found: "pg_wal of the data directory"},
		"its own":     {what: wal(WAL{Dir: own, Actual: own}), name: "WAL directory", state: check.OK, found: own},
		"not yet":     {what: wal(WAL{Dir: own}), name: "WAL directory", state: check.Skip, found: "there is no data yet"},
		"not mounted": {what: wal(WAL{Dir: own, Err: errors.New("input/output error")}), name: "WAL directory", state: check.Fail, found: "input/output error", advice: "ls -l " + data},
		"not moved": {
			what: wal(WAL{Dir: own, Actual: data + "/pg_wal"}),
			name: "WAL directory", state: check.Warn, found: "it is in " + data + "/pg_wal, and in the seed in " + own,
			advice: "mv -T " + data + "/pg_wal " + own + " && ln -s " + own + " " + data + "/pg_wal",
		},
	})
}

func TestHugePages(t *testing.T) {
	pages := func(h HugePages) func(*Facts) { return func(f *Facts) { f.Machine.HugePages = h } }
	parameters := func(p map[string]any) func(*Facts) {
		return func(f *Facts) {
			f.Machine.HugePages, f.Self.PostgreSQL.Parameters = HugePages{Total: 80, Free: 80}, p
		}
	}
	expect(t, map[string]change{
		"used":        {what: pages(HugePages{Shared: 169 << 20, Total: 90, Free: 5}), name: "huge pages", state: check.OK, found: "PostgreSQL shares 169 MB in them; 5 of 90 are free"},
		"too few":     {what: pages(HugePages{Total: 80, Free: 80}), name: "huge pages", state: check.Warn, found: "80 of 80 are free: there were too few", advice: "patronictl restart pgsql-cl pgsql-n1"},
		"none":        {what: pages(HugePages{}), name: "huge pages", state: check.Warn, found: "the kernel has none", advice: "reboot"},
		"not running": {what: pages(HugePages{Err: errors.New("postmaster.pid: no such file")}), name: "huge pages", state: check.Skip, found: "PostgreSQL does not run here"},
		"not wanted": {
			what: func(f *Facts) { f.Machine.HugePages, f.Self.System.HugePageSize = HugePages{}, seeds.HugePageSizeNone },
			name: "huge pages", state: check.OK, found: "off, as the seed says",
		},
		"off":                {what: parameters(map[string]any{"huge_pages": "off"}), name: "huge pages", state: check.OK, found: "off, as the seed says"},
		"off, as a switch":   {what: parameters(map[string]any{"Huge_Pages": false}), name: "huge pages", state: check.OK, found: "off, as the seed says"},
		"tried":              {what: parameters(map[string]any{"huge_pages": "try", "shared_memory_type": "mmap"}), name: "huge pages", state: check.Warn, found: "uses none", advice: "patronictl restart"},
		"of System V's kind": {what: parameters(map[string]any{"shared_memory_type": "sysv"}), name: "huge pages", state: check.OK, found: "off, as the seed says"},
		"a container": {
			what: func(f *Facts) { f.Machine.HugePages, f.Container = HugePages{}, nspawn },
			name: "huge pages", state: check.Skip, found: "a container (systemd-nspawn) cannot have any",
		},
	})
}

func TestWatchdog(t *testing.T) {
	watchdog := func(change func(*Watchdog)) func(*Facts) { return func(f *Facts) { change(&f.Machine.Watchdog) } }
	gone := watchdog(func(w *Watchdog) { *w = Watchdog{Device: w.Device} })
	expect(t, map[string]change{
		"held":      {what: func(*Facts) {}, name: "watchdog", state: check.OK, found: "Patroni holds /dev/banyan-watchdog"},
		"a replica": {node: "pgsql-n2", what: func(*Facts) {}, name: "watchdog", state: check.OK, found: "waits until this node leads"},
		"not held":  {what: watchdog(func(w *Watchdog) { w.Holder = "" }), name: "watchdog", state: check.Fail, found: "this node leads, and nobody holds", advice: "journalctl -b -u patroni"},
		"paused": {
			what: func(f *Facts) { f.Machine.Watchdog.Holder, f.Cluster.Nodes[0].Status.Pause = "", true },
			name: "watchdog", state: check.OK, found: "waits for the end of the maintenance mode",
		},
		"a standby leader": {
			what: func(f *Facts) { f.Machine.Watchdog.Holder, f.Cluster.Nodes[0].Status.Role = "", "standby_leader" },
			name: "watchdog", state: check.OK, found: "waits until this cluster is no standby any more",
		},
		"held by systemd": {what: watchdog(func(w *Watchdog) { w.Holder = "systemd" }), name: "watchdog", state: check.Fail, found: "systemd holds", advice: "lsof"},
		"not active":      {what: watchdog(func(w *Watchdog) { w.State = "inactive" }), name: "watchdog", state: check.Fail, found: "is not active", advice: "wdctl"},
		"no state":        {what: watchdog(func(w *Watchdog) { w.State = "" }), name: "watchdog", state: check.OK, found: "Patroni holds"},
		"broken":          {what: watchdog(func(w *Watchdog) { w.Err = errors.New("input/output error") }), name: "watchdog", state: check.Fail, found: "input/output error", advice: "wdctl"},
		"not opened": {
			what: func(f *Facts) { f.Cluster.Nodes[0].Status.WatchdogFailed = true },
			name: "watchdog", state: check.Fail, found: "Patroni cannot open", advice: "journalctl",
		},
		"none": {what: gone, name: "watchdog", state: check.Skip, found: "this machine has none"},
		"none in a container": {
			what: func(f *Facts) { gone(f); f.Container = nspawn }, name: "watchdog", state: check.Skip, found: "a container (systemd-nspawn) has none",
		},
		"none, and required": {
			what: func(f *Facts) { gone(f); f.Self.Patroni.Watchdog.Mode = seeds.WatchdogRequired },
			name: "watchdog", state: check.Fail, found: "without it this node never leads", advice: "softdog",
		},
		"not wanted": {
			what: func(f *Facts) { gone(f); f.Self.Patroni.Watchdog.Mode = seeds.WatchdogOff }, name: "watchdog", state: check.OK, found: "off, as the seed says",
		},
	})
}
