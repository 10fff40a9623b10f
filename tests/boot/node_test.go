//go:build boot

package boot

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"banyan/internal/slot"
	"banyan/tests/fixture"
)

// node is a machine that says it is ready, with an operator logged in.
type node struct {
	testing.TB
	machine *machine
	seed    *seed
	shell   *fixture.Shell
}

// identity is what a node is told from others by, and one of its boots from
// another.
type identity struct{ machineID, hostKey, bootID string }

// owners is the disk that each machine-id and host key was seen on.
var owners sync.Map

func login(t testing.TB, m *machine, seed *seed) *node {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), loginTime)
	defer cancel()
	shell, err := fixture.SSH(ctx, nil, m.addr[sshPort], "dba", seed.key)
	if err != nil {
		t.Fatal(err)
	}
	return &node{t, m, seed, shell}
}

// root runs a shell script as root.
func (n *node) root(script string) string {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), checkTime)
	defer cancel()
	out, err := n.shell.Root(ctx, script)
	if err != nil {
		n.Fatal(err)
	}
	return out
}

// sql connects from outside as the superuser, runs statements and returns the
// last one's value.
func (n *node) sql(statements string) string {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), checkTime)
	defer cancel()
	value, err := n.seed.cluster.SQL(ctx, nil, n.machine.addr[postgresPort], statements)
	if err != nil {
		n.Fatal(err)
	}
	return value
}

// check looks at everything that makes a node a working one.
func (n *node) check() {
	n.Helper()
	n.expect([]fixture.Check{
		{"the boot", "systemctl is-system-running --wait || true", `running`},
		{"failed units", "systemctl --failed --plain --no-legend", ``},
		{"firstboot status --wait", "firstboot status --wait >/dev/null", ``},
		{"the host name", "hostname", `pgsql-n1`},
		{"the time zone", "readlink /etc/localtime", `.*/Europe/Moscow`},
		{"root's password", "passwd -S root", `root L .*`},
		{"writing to the root", "touch /usr/x 2>&1 || true", `.*: Read-only file system`},
		{"how the root is mounted", "findmnt --noheadings --output OPTIONS /", `ro(,.*)?`},
		{"the sealed seed", "test -s " + sealedSeed + " && stat -c '%a %U' " + sealedSeed, `600 root`},
		{"the watchdog", "stat --dereference --format %U /dev/banyan-watchdog", `postgres`},
		{"/tmp", "findmnt --noheadings --output FSTYPE /tmp", `tmpfs`},
		{"etcd", etcdHealth, `.* is healthy: .*`},
		{"what the next boot starts", "systemctl is-enabled etcd.service patroni.service dnscp.service", "enabled\nenabled\nenabled"},
		{"the VIP", "ip -oneline -4 address show to 10.0.2.180 | grep --count 'valid_lft [1-9][0-9]*sec'", `1`},
		{"what nobody understands", unknownSettings, ``},
	})
	n.checkSecrets()
	n.checkStatus()
	n.checkState()
	n.checkPostgreSQL()
	id, owner := n.identity(), cmp.Or(n.machine.disk.twinOf, n.machine.disk)
	for _, own := range []string{id.machineID, id.hostKey} {
		if disk, _ := owners.LoadOrStore(own, owner); disk != owner {
			n.Errorf("another machine made from the same image is %q too", own)
		}
	}
}

// expect looks at a node.
func (n *node) expect(checks []fixture.Check) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), checkTime)
	defer cancel()
	for _, c := range checks {
		got, err := n.shell.Root(ctx, c.Script)
		if err != nil {
			n.Errorf("%s: %v", c.What, err)
		} else if err := fixture.Compare(c, got); err != nil {
			n.Error(err)
		}
	}
}

// checkStatus reads the node's own report.
func (n *node) checkStatus() {
	n.Helper()
	var report struct{ State, Node string }
	out := n.root("firstboot status --json")
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		n.Fatalf("firstboot status --json: %v in:\n%s", err, out)
	}
	if report.State != "done" || report.Node != "pgsql-n1" {
		n.Errorf("firstboot status --json: got %q for the node %q, want done for pgsql-n1:\n%s", report.State, report.Node, out)
	}
}

// checkPostgreSQL writes, and asks Patroni who leads.
func (n *node) checkPostgreSQL() {
	n.Helper()
	if n.sql("select pg_is_in_recovery()") != "f" {
		n.Error("PostgreSQL is a standby, with nothing to follow")
	}
	n.sql("create table if not exists visits (at timestamptz); insert into visits values (now()) returning at")
	type member struct{ Name, Role, State string }
	var cluster struct{ Members []member }
	n.patroni("/cluster", &cluster)
	if want := []member{{"pgsql-n1", "leader", "running"}}; !slices.Equal(cluster.Members, want) {
		n.Errorf("Patroni's members are %v, want %v", cluster.Members, want)
	}
}

// patroni asks Patroni's REST API.
func (n *node) patroni(path string, answer any) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), checkTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+n.machine.addr[patroniPort]+path, nil)
	if err != nil {
		n.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: n.seed.cluster.Authority(), MinVersion: tls.VersionTLS12}}}
	resp, err := client.Do(req)
	if err != nil {
		n.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		n.Fatalf("%s: %s: %v", req.URL, resp.Status, err)
	}
}

// checkState compares the file system that /var is on with what the disk has
// room for.
func (n *node) checkState() {
	n.Helper()
	start := n.machine.disk.partitionStart(n.TB, "state")
	out := n.root("df --block-size=1 --output=size /var | tail -n 1")
	size, err := strconv.ParseInt(out, 10, 64)
	if err != nil {
		n.Fatalf("the size of /var: %v", err)
	}
	// ext4's journal and inode tables are not in what df calls its size.
	if room := int64(diskSize) - start; size < room*9/10 || size > room {
		n.Errorf("/var has %d MiB, the disk has room for %d", size>>20, room>>20)
	}
}

// checkSecureBoot asks the firmware, and the kernel what follows from it.
func (n *node) checkSecureBoot() {
	n.Helper()
	if got := n.root("mokutil --sb-state"); got != "SecureBoot enabled" {
		n.Errorf("mokutil --sb-state says %q", got)
	}
	if got := n.root("cat /sys/kernel/security/lockdown"); !strings.Contains(got, "[integrity]") {
		n.Errorf("the kernel's lockdown is %q, want integrity", got)
	}
}

// checkSlots looks at a node whose disk fillSlotB has prepared, and has its next
// boot be another.
func (n *node) checkSlots(argument string) {
	n.Helper()
	const root = `lsblk --noheadings --output PARTLABEL "$(findmnt --noheadings --output SOURCE /)"`
	if got := n.root(root); got != "root-b" {
		n.Errorf("the root is %q", got)
	}
	if got := strings.Fields(n.root("cat /proc/cmdline")); !slices.Contains(got, argument) || !slices.Contains(got, "banyan.slot=b") {
		n.Errorf("the kernel was booted with %q, want banyan.slot=b and %s there", got, argument)
	}
	var slots []slot.Slot
	out := n.root("firstboot slot list --json")
	if err := json.Unmarshal([]byte(out), &slots); err != nil || len(slots) != 2 || slots[0].Version == "" {
		n.Fatalf("firstboot slot list --json: %v in:\n%s", err, out)
	}
	a := slot.Slot{Name: "a", Version: slots[0].Version, Profile: slots[0].Profile, Arguments: []string{}, Bootable: true}
	b := slot.Slot{Name: "b", Version: a.Version, Profile: a.Profile, Arguments: []string{argument}, Bootable: true, Booted: true, Default: true}
	if want := []slot.Slot{a, b}; !reflect.DeepEqual(slots, want) {
		n.Errorf("the slots are %+v, want %+v", slots, want)
	}
	for _, change := range []string{"arguments b x=y", "default a"} {
		if said := n.root("firstboot slot " + change); !strings.Contains(said, "next boot") {
			n.Errorf("firstboot slot %s says %q", change, said)
		}
	}
	if left := n.root("findmnt --noheadings --types vfat"); left != "" {
		n.Errorf("firstboot slot left mounted:\n%s", left)
	}
}

// checkSecrets looks for the seed's secrets where anybody else may look. The
// journal is kept.
func (n *node) checkSecrets() {
	n.Helper()
	journal := n.root("journalctl --all --no-pager --output=short-monotonic")
	if err := os.WriteFile(n.machine.kept+".journal", []byte(journal), 0o644); err != nil {
		n.Error(err)
	}
	for where, text := range map[string]string{
		"the console":   n.machine.console.String(),
		"the journal":   journal,
		"command lines": n.root("ps -e -ww -o args="),
	} {
		if leaked := n.seed.cluster.Secrets.Leaked(text); leaked != nil {
			n.Errorf("%s: anybody can read %q there", where, leaked)
		}
	}
}

func (n *node) identity() identity {
	n.Helper()
	machineID := n.root("cat /etc/machine-id")
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(machineID) {
		n.Errorf("the machine-id is %q", machineID)
	}
	return identity{machineID, n.shell.HostKey, n.root("cat /proc/sys/kernel/random/boot_id")}
}

// reboot starts the node again and logs in once more.
func (n *node) reboot() *node {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), haltTime)
	defer cancel()
	// The connection may be gone before the command's end is reported.
	missing := new(ssh.ExitMissingError)
	if _, err := n.shell.Root(ctx, "systemctl reboot"); err != nil && !errors.As(err, &missing) {
		n.Fatal(err)
	}
	n.machine.waitReset()
	n.machine.waitFor(ready, bootTime)
	return login(n.TB, n.machine, n.seed)
}

// checkBanyan looks for the seed's secrets on the BANYAN partition of a machine
// that is off.
func checkBanyan(t *testing.T, disk *disk, seed *seed) {
	t.Helper()
	if leaked := seed.cluster.Secrets.Leaked(disk.readBanyan(t)); leaked != nil {
		t.Errorf("the BANYAN partition still holds %q", leaked)
	}
}
