//go:build boot

package boot

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"banyan/tests/fixture"
)

// The disks of TestSystem. What the last one holds is somebody's.
const dataSerial, walSerial, foreignSerial = "data-1", "wal-1", "foreign-1"

// systemFailed is a node of which one volume was refused, and what is on it.
var systemFailed = regexp.MustCompile(`banyan: pgsql-n1 failed\n(?s:.*?)\bforeign-1\b(?s:.*?)somebodys`)

// TestSystem looks at what only a real kernel shows: its settings, huge pages of both
// sizes, swap, I/O schedulers, a watchdog that resets a machine whose Patroni hangs, and
// volumes: empty disks are formatted, one that holds something is refused and stays as
// it is, byte for byte, until the seed names it.
func TestSystem(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	foreign := newDataDisk(t, ssd, foreignSerial, gibibyte/4)
	foreign.format(t, "somebodys", map[string]string{"precious/data": "irreplaceable"})
	before := foreign.sum(t)
	const archive = "\n    archive: {match: {serial: " + foreignSerial + "}, path: /var/lib/archive}"
	seed := newSeed(t, "storage:\n  volumes:\n    data: {match: {serial: "+dataSerial+"}}\n"+
		"    wal: {match: {class: nvme}, filesystem: xfs}"+archive+"\n")
	disk.dropSeed(t, seed.text)
	m := startWith(t, disk, uefi, extra{
		dataDisks: []*dataDisk{newDataDisk(t, virtualDisk, dataSerial, 4*gibibyte), newDataDisk(t, nvme, walSerial, 2*gibibyte), foreign},
		watchdog:  true,
		args:      []string{"-m", "6G"}, // two whole pages of 1 GB are free in it, and PostgreSQL takes them
	})
	m.waitFor(systemFailed, birthTime)
	n := login(t, m, seed)
	if after := foreign.sum(t); after != before {
		t.Fatalf("the disk that was refused has another checksum: %s, had %s", after, before)
	}
	n.checkKernel()
	n.expect([]fixture.Check{
		// No time server can be reached here.
		{"what verify finds of the machine", `firstboot verify | sed -nE 's/^([a-z]+) +(clock|disk space|huge pages|watchdog) .*/\1/p' | xargs`, `warn ok ok ok`},
		{"huge pages", "awk '/^HugePages_(Total|Free)|^Hugepagesize/ { print $2 }' /proc/meminfo | xargs", `[1-9]\d\d \d+ 2048`},
		{"huge pages that PostgreSQL has", `awk '/^HugePages_Total/ { t = $2 } /^HugePages_Free/ { f = $2 } /^HugePages_Rsvd/ { r = $2 } END { print (t - f + r > t / 2) }' /proc/meminfo`, `1`},
		{"refused", "firstboot status --json | grep -c 'somebodys'", `1`},
		{"what rests on it", "mountpoint -q /var/lib/archive && echo mounted || echo not mounted", `not mounted`},
	})
	n.checkVolumes()
	n.sql("create table kept (word text); insert into kept values ('banyan') returning word")

	// The seed names the disk, and wants larger pages.
	changed := seed.next(t, archive, strings.Replace(archive, "path:", "wipe: "+foreignSerial+", path:", 1),
		"system:\n", "system:\n  huge_page_size: 1GB\n")
	n.root("cat >" + sealedSeed + " <<'END'\n" + changed + "END\n")
	n.root("firstboot --dry-run >/tmp/plan && exit 1; test $? = 2; grep -q 'wipe /dev/.*somebodys' /tmp/plan; grep -q hugepagesz=1G /tmp/plan")
	n.root("firstboot")
	n.expect([]fixture.Check{
		{"the disk that may be wiped", "findmnt --noheadings --output FSTYPE,LABEL /var/lib/archive | xargs", `ext4 archive`},
		{"what was on it", "ls -A /var/lib/archive", `lost\+found`},
		{"that the wipe is used up", "cat /var/lib/banyan/volumes/" + foreignSerial + ".wiped", foreignSerial + ` \d+`},
		{"what is left to be done", "firstboot --dry-run >/tmp/plan || cat /tmp/plan", ``},
	})

	// Patroni pets the watchdog while it leads; one that hangs does not.
	n.root("systemctl kill --kill-whom=main --signal=STOP patroni")
	m.waitWatchdog()
	m.waitFor(ready, bootTime+5*time.Minute)
	n = login(t, m, seed)
	n.check()
	n.checkKernel()
	n.checkVolumes()
	n.expect([]fixture.Check{
		{"huge pages of 1 GB", "awk '/^HugePages_Total|^Hugepagesize/ { print $2 }' /proc/meminfo | xargs", `2 1048576`},
		{"what verify finds of them", `firstboot verify | sed -nE 's/^([a-z]+) +huge pages .*/\1/p'`, `ok`},
		{"what PostgreSQL asks for", "runuser -u postgres -- psql -tAc 'show huge_page_size'", `1GB`},
		{"the archive", "findmnt --noheadings --output SOURCE /var/lib/archive", `/dev/.+`},
		{"what is left to be done", "firstboot --dry-run >/tmp/plan || cat /tmp/plan", ``},
	})
	if got := n.sql("select word from kept"); got != "banyan" {
		t.Errorf("after the watchdog's reset the table holds %q", got)
	}
	m.powerOff()
}

// checkKernel reads back what the node was told to set.
func (n *node) checkKernel() {
	n.Helper()
	n.expect([]fixture.Check{
		{"sysctl", `sed -n 's/^-\([^ ]*\) = /\1 /p' /etc/sysctl.d/zz-banyan.conf | while read -r name value; do
	for file in /proc/sys/$(echo "$name" | tr . /); do
		[ "$(xargs <"$file")" = "$value" ] || echo "$file is $(xargs <"$file"), not $value"
	done
done`, ``},
		{"how many of them", "grep -c = /etc/sysctl.d/zz-banyan.conf", `[23]\d`},
		{"overcommit", "cat /proc/sys/vm/overcommit_memory", `2`},
		{"transparent huge pages", "cat /sys/kernel/mm/transparent_hugepage/enabled /sys/kernel/mm/transparent_hugepage/defrag | grep -o '\\[.*\\]' | xargs", `\[never\] \[never\]`},
		{"schedulers", `for disk in /sys/block/vd* /sys/block/sd* /sys/block/nvme*; do grep -o '\[.*\]' $disk/queue/scheduler; done | sort -u`, `\[mq-deadline\]`},
		{"requests", `cat /sys/block/vd*/queue/nr_requests /sys/block/sd*/queue/nr_requests /sys/block/nvme*/queue/nr_requests | sort -u`, `1024`},
		{"swap", "swapon --show=NAME,SIZE --noheadings --bytes | xargs", `/var/swapfile 2147479552`},
		{"the watchdog", "cat /sys/class/watchdog/$(basename $(readlink -f /dev/banyan-watchdog))/identity", `i6300ESB timer`},
		{"whose it is", "stat --dereference --format '%U %a' /dev/banyan-watchdog", `postgres 600`},
		{"who pets it", "ps -o comm= -p $(lsof -t $(readlink -f /dev/banyan-watchdog))", `patroni|python3`},
		{"the clock", "systemctl is-active chrony", `active`},
		{"the journal", "test -d /var/log/journal/$(cat /etc/machine-id) && echo kept", `kept`},
		{"the firewall", "nft list table inet banyan | grep -c 'policy drop'", `2`},
	})
}

// checkVolumes looks at the disks that were empty.
func (n *node) checkVolumes() {
	n.Helper()
	n.expect([]fixture.Check{
		{"data", "findmnt --noheadings --output FSTYPE,LABEL,OPTIONS /var/lib/postgresql | xargs", `ext4 data rw,.*noatime.*`},
		{"the write-ahead log", "findmnt --noheadings --output FSTYPE,LABEL /var/lib/postgresql-wal | xargs", `xfs wal`},
		{"where it is", "readlink -f /var/lib/postgresql/17/main/pg_wal", `/var/lib/postgresql-wal/17-main`},
		{"below data", "umask 077; mkdir -p /tmp/below; mount --bind /var /tmp/below; lsattr -d /tmp/below/lib/postgresql | cut -c5; ls -A /tmp/below/lib/postgresql; umount /tmp/below", `i`},
	})
}
