//go:build lab

package lab

import (
	"context"
	"net"
	"testing"

	"banyan/internal/diff"
	"banyan/tests/fixture"
)

// node is a host that was planted, and a network that clients reach it by.
type node struct {
	*host
	network *network
	seed    seed
}

// born plants a host and waits until it is the node of a cluster of its own.
func born(t testing.TB) *node {
	t.Helper()
	n := newNetwork(t, prefix)
	h := newHost(t, n, "pgsql-n1", address(11))
	s := newSeed(h)
	h.plant(s.text)
	h.waitReady()
	return &node{h, n, s}
}

// sql runs statements as a client and returns the last one's value.
func (n *node) sql(statements string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), checkTime)
	defer cancel()
	value, err := fixture.SQL(ctx, n.network.dial, net.JoinHostPort(n.addr.Addr().String(), "5432"), n.seed.password, statements)
	if err != nil {
		n.t.Fatal(err)
	}
	return value
}

// expect runs scripts on the node, and wants what they print.
func (n *node) expect(want map[string]string) {
	n.t.Helper()
	for script, want := range want {
		if got := n.sh(script); got != want {
			n.t.Errorf("%s: got %q, want %q", script, got, want)
		}
	}
}

// check looks at what makes a node a working one, after each of its boots.
func (n *node) check() {
	n.t.Helper()
	n.expect(map[string]string{
		"systemctl is-system-running || true":                                 "running",
		"systemctl --failed --plain --no-legend":                              "",
		"hostname":                                                            n.name,
		"findmnt --noheadings --output FSTYPE /":                              "squashfs",
		"touch /usr/x 2>&1 || true":                                           "touch: cannot touch '/usr/x': Read-only file system",
		"stat --format '%a %U' /var/lib/banyan/seed.yaml":                     "600 root",
		"cmp /etc/machine-id /var/lib/banyan/machine-id":                      "",
		"ip -4 -brief address show dev eth0 | awk '{ print $3 }'":             n.addr.String(),
		"systemctl is-enabled etcd.service patroni.service | xargs":           "enabled enabled",
		"ETCDCTL_API=3 etcdctl endpoint health 2>&1 | grep -o 'is healthy'":   "is healthy",
		"journalctl --boot --output cat --grep 'Unknown (key|section)' | cat": "",
	})
	if got := n.sql("select pg_is_in_recovery()"); got != "f" {
		n.t.Errorf("is PostgreSQL a standby? %q", got)
	}
}

// What cannot run in a container has conditions by which systemd leaves it out, so
// that nothing fails. This says what, so that nobody takes it for proved here.
func (n *node) checkLeftOut() {
	n.t.Helper()
	n.expect(map[string]string{
		"systemctl show --property ActiveState --value chrony.service":        "inactive", // it may not set the clock
		"systemctl show --property ActiveState --value systemd-udevd.service": "inactive", // /sys is read-only
		"systemctl show --property ActiveState --value smartmontools.service": "inactive", // there is no disk
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
	n.expect(map[string]string{
		"cat /etc/hosts":                    hosts,
		"ls /etc/drift 2>/dev/null || true": "",
		// What was rendered before PID 1 is what the running system would be made.
		"journalctl --boot --output cat --unit banyan-firstboot.service | grep ': changed ' || true": "",
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

// TestPowerCut cuts the power of a node that is being written to.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	n := born(t)
	n.sql("create table kept (word text); insert into kept values ('banyan') returning word")
	before := n.sh("cat /etc/machine-id /etc/ssh/ssh_host_*.pub 2>/dev/null || true")

	n.kill()
	n.start()
	n.waitReady()
	n.check()
	if got := n.sql("select string_agg(word, ' ') from kept"); got != "banyan" {
		t.Errorf("after a power cut the table holds %q", got)
	}
	n.sql("insert into kept values ('again') returning word")
	if got := n.sh("cat /etc/machine-id /etc/ssh/ssh_host_*.pub 2>/dev/null || true"); got != before {
		t.Errorf("after a power cut the machine is\n%s\nwas\n%s", got, before)
	}
}
