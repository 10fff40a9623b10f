//go:build lab

package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"banyan/internal/diff"
	"banyan/tests/fixture"
)

// node is a host that was planted, and a network that clients reach it by.
type node struct {
	*host
	cluster *fixture.Cluster
}

// born plants a host and waits until it is the node of a cluster of its own. Its seed
// has these sections too.
func born(t testing.TB, sections ...string) *node {
	t.Helper()
	n := newNetwork(t, prefix)
	h := newHost(t, n, "pgsql-n1", address(11))
	c := fixture.Mint(t, clusterFile(h, sections...))
	h.plant(c.Seeds[h.name].Text)
	h.waitReady()
	return &node{h, c}
}

// sql runs statements as a client and returns the last one's value.
func (n *node) sql(statements string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), checkTime)
	defer cancel()
	value, err := n.query(ctx, statements)
	if err != nil {
		n.t.Fatal(err)
	}
	return value
}

func (n *node) query(ctx context.Context, statements string) (string, error) {
	addr := net.JoinHostPort(n.addr.Addr().String(), "5432")
	return n.cluster.SQL(ctx, n.network.dial, addr, statements)
}

// sealed is where the host keeps its own copy of its seed.
func (h *host) sealed() string { return filepath.Join(h.state(), "var/lib/banyan/seed.yaml") }

// reseed gives the node the next generation of its seed. What comes of it is for the
// next run.
func (n *node) reseed(sections ...string) {
	n.t.Helper()
	n.cluster.Mint(n.t, clusterFile(n.host, sections...))
	if err := os.WriteFile(n.sealed(), []byte(n.cluster.Seeds[n.name].Text), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// exits runs a command that is to end with that exit code, and returns all it said.
func (n *node) exits(code int, command string) string {
	n.t.Helper()
	out := n.sh("exec 2>&1\ncode=0\n" + command + " || code=$?\necho $code")
	at := strings.LastIndexByte(out, '\n') + 1
	if got := out[at:]; got != strconv.Itoa(code) {
		n.t.Fatalf("%s: exit code %s, want %d:\n%s", command, got, code, out[:at])
	}
	return out[:at]
}

// expect looks at the node.
func (n *node) expect(checks []fixture.Check) {
	n.t.Helper()
	for _, c := range checks {
		if err := fixture.Compare(c, n.sh(c.Script)); err != nil {
			n.t.Error(err)
		}
	}
}

// check looks at what makes a node a working one, after each of its boots.
func (n *node) check() {
	n.t.Helper()
	n.expect([]fixture.Check{
		{"the boot", "systemctl is-system-running --wait || true", "running"},
		{"failed units", "systemctl --failed --plain --no-legend", ""},
		{"the host name", "hostname", n.name},
		{"what the root is", "findmnt --noheadings --output FSTYPE /", "squashfs"},
		{"writing to the root", "touch /usr/x 2>&1 || true", "touch: cannot touch '/usr/x': Read-only file system"},
		{"the sealed seed", "stat --format '%a %U' /var/lib/banyan/seed.yaml", "600 root"},
		{"the machine-id", "cmp /etc/machine-id /var/lib/banyan/machine-id", ""},
		{"the address", "ip -4 -brief address show dev eth0 | awk '{ print $3 }'", regexp.QuoteMeta(n.addr.String())},
		{"what the next boot starts", "systemctl is-enabled etcd.service patroni.service | xargs", "enabled enabled"},
		{"etcd", "su --login --command 'etcdctl endpoint health' 2>&1 | grep -o 'is healthy'", "is healthy"},
		{"what nobody understands", "journalctl --boot --quiet --output cat --grep 'Unknown (key|section)' | cat", ""},
	})
	if got := n.sql("select pg_is_in_recovery()"); got != "f" {
		n.t.Errorf("is PostgreSQL a standby? %q", got)
	}
}

// checkLeftOut says what a container cannot do, so that nobody takes it for proved here.
// Units that need it have conditions, so that nothing fails.
func (n *node) checkLeftOut() {
	n.t.Helper()
	const state = "systemctl show --property ActiveState --value "
	n.expect([]fixture.Check{
		{"what may not set the clock", state + "chrony.service", "inactive"},
		{"udev, to which /sys is read-only", state + "systemd-udevd.service", "inactive"},
		{"what looks after disks, of which there are none", state + "smartmontools.service", "inactive"},
		{"settings of the kernel", "test -w /proc/sys/vm/swappiness || echo read-only", "read-only"},
		{"settings of the network", "test -w /proc/sys/net/ipv4/ip_forward && echo writable", "writable"},
	})
}

// TestNode also turns the node off and on, as a person does.
func TestNode(t *testing.T) {
	t.Parallel()
	n := born(t)
	n.check()
	n.checkLeftOut()
	n.sql("create table kept (word text); insert into kept values ('banyan') returning word")
	hosts := n.sh("cat /etc/hosts")
	n.sh("echo 192.0.2.1 drift >>/etc/hosts; echo drift >/etc/drift")

	n.stop()
	n.start()
	n.waitReady()
	n.check()
	if got := n.sql("select word from kept"); got != "banyan" {
		t.Errorf("after a start the table holds %q", got)
	}
	n.expect([]fixture.Check{
		{"/etc/hosts", "cat /etc/hosts", regexp.QuoteMeta(hosts)},
		{"what somebody left in /etc", "ls /etc/drift 2>/dev/null || true", ""},
		// What was rendered before PID 1 is what the running system would be made, but for
		// the bundle that update-ca-certificates makes there.
		{"what was changed", "journalctl --boot --output cat --unit banyan-firstboot.service | grep ': changed ' || true", "trust: changed /etc/ssl/certs/ca-certificates.crt"},
	})
}

// units is each unit of a system, and when and by which start it became what it is;
// etc is what /etc holds, and when it was written.
const (
	units = `systemctl show --property Id,InvocationID,ActiveEnterTimestampMonotonic '*'`
	etc   = `cd /etc
find . -printf '%p %y %m %u:%g %T@ %C@ %l\n' | sort
find . -type f -exec sha256sum {} + | sort --key 2`
)

// A run on a node that is what its seed says starts nothing and writes nothing.
func TestSecondRun(t *testing.T) {
	t.Parallel()
	n := born(t)
	n.unchanged("/etc", etc, func() { n.unchanged("the units", units, func() { n.sh("firstboot") }) })
	n.waitReady()
}

// unchanged wants a script to print the same before and after.
func (n *node) unchanged(what, script string, do func()) {
	n.t.Helper()
	before := n.sh(script)
	do()
	changes, err := diff.Unified(n.t.Context(), "before", "after", before, n.sh(script))
	if err != nil {
		n.t.Fatal(err)
	}
	if before == "" || changes != "" {
		n.t.Errorf("%s changed from %d bytes:\n%s", what, len(before), changes)
	}
}

// TestPowerCut cuts the power of a node that a client is writing to: nothing is lost
// of what PostgreSQL said it had.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	n := born(t)
	const identity = "cat /etc/machine-id /var/lib/banyan/etc/ssh/*.pub"
	before := n.sh(identity)
	n.sql("create table kept (number int); insert into kept values (0) returning number")

	ctx, cancel := context.WithTimeout(t.Context(), checkTime)
	defer cancel()
	enough, last := make(chan struct{}), make(chan int, 1)
	go func() {
		number := 0
		for {
			if _, err := n.query(ctx, fmt.Sprintf("insert into kept values (%d) returning number", number+1)); err != nil {
				last <- number
				return
			}
			if number++; number == 20 {
				close(enough)
			}
		}
	}()
	var written int
	select {
	case <-enough:
		n.kill()
		cancel() // nobody answers the client
		written = <-last
	case written = <-last:
		t.Fatalf("the client has written %d rows in %v", written, checkTime)
	}

	n.start()
	n.waitReady()
	n.check()
	// The last insert may have been done and not acknowledged.
	complete := fmt.Sprintf("select count(*) - 1 = max(number) and max(number) between %d and %d from kept", written, written+1)
	if got := n.sql(complete); got != "t" {
		t.Errorf("after a power cut the table has %s, and %d was acknowledged", n.sql("select count(*) - 1 || ' rows up to ' || max(number) from kept"), written)
	}
	n.sql("insert into kept values (-1) returning number")
	if got := n.sh(identity); got != before {
		t.Errorf("after a power cut the machine is\n%s\nwas\n%s", got, before)
	}
}
