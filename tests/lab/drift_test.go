//go:build lab

package lab

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"banyan/internal/flow"
	"banyan/tests/fixture"
)

// people is a section of a seed in which somebody may log in and become root.
func people(key string) string {
	return "system: {users: [" + fixture.DBA(key) + "]}\n"
}

// drift is what others make of a node, by what a dry run says of it.
var drift = []struct{ made, step, resource, what, line string }{
	{
		made: "echo net.core.somaxconn = 1 >>/etc/sysctl.d/zz-banyan.conf",
		step: "kernel", resource: "/etc/sysctl.d/zz-banyan.conf", what: "change content", line: "-net.core.somaxconn = 1",
	},
	{
		made: "echo 1000 >/proc/sys/net/core/somaxconn",
		step: "kernel", resource: "sysctl net.core.somaxconn", what: "change 1000 to 65535",
	},
	{
		made: "chmod 644 /etc/sudoers.d/banyan",
		step: "sudo", resource: "/etc/sudoers.d/banyan", what: "change mode 0644 to 0440",
	},
	{
		made: "rm /etc/timezone",
		step: "identity", resource: "/etc/timezone", what: "create root:root 0644", line: "+Europe/Moscow",
	},
	{
		made: "nft add rule inet banyan input tcp dport 4444 accept",
		step: "firewall", resource: "/etc/banyan/firewall.nft", what: "load", line: "-\t\ttcp dport 4444 accept",
	},
	{
		made: "systemctl disable --quiet banyan-firewall.service",
		step: "firewall", resource: "banyan-firewall.service", what: "enable, daemon-reload",
	},
	{ // where the table changes, its unit is told
		step: "firewall unit", resource: "banyan-firewall.service", what: "reload",
	},
	{ // and the password, which is "drift" among the secrets
		made: `sed -i 's/^\( *level:\).*/\1 "DEBUG"/; s/^\( *password:\).*/\1 "'"$drift"'"/' /etc/patroni/config.yml`,
		step: "patroni", resource: "/etc/patroni/config.yml", what: "change content", line: `-  level: "DEBUG"`,
	},
	{
		step: "patroni", resource: "patroni.service", what: "reload",
	},
}

// machine is what a dry run must leave as it is, besides /etc and the units.
const machine = `nft --stateless list ruleset; cat /proc/sys/net/core/somaxconn; systemctl is-enabled banyan-firewall.service || true
cd /run/banyan; sha256sum *.json; cd /var/lib/banyan; find . -printf '%p %m %T@ %C@\n' | sort`

// A dry run says what a run would do and does nothing; a run does that, and leaves
// nothing to be done.
func TestDrift(t *testing.T) {
	t.Parallel()
	_, key := fixture.NewKey(t)
	n := born(t, people(key))
	if out := n.exits(0, "firstboot --dry-run"); !strings.HasSuffix(out, "nothing is to be done\n") {
		t.Errorf("on a node that was just born a dry run says:\n%s", out)
	}

	n.cluster.Secrets["drift"] = rand.Text()
	var made strings.Builder
	for _, d := range drift {
		made.WriteString(d.made + "\n")
	}
	n.sh("drift=" + n.cluster.Secrets["drift"] + "\n" + made.String())
	var text, asJSON string
	n.unchanged("the machine", machine, func() {
		n.unchanged("/etc", etc, func() {
			n.unchanged("the units", units, func() {
				arguments := arguments(n.t, 5*time.Millisecond, func() {
					text = n.exits(2, "firstboot --dry-run")
					asJSON = n.exits(2, "firstboot --dry-run --json")
				})
				n.checkSecrets(map[string]string{"--dry-run": text, "--dry-run --json": asJSON, "arguments": arguments})
			})
		})
	})
	n.checkPlan(text, asJSON)

	before := n.invocations()
	reloads := n.reloads("patroni.service")
	var said string
	arguments := arguments(n.t, 5*time.Millisecond, func() { said = n.exits(0, "firstboot") })
	for _, d := range drift {
		if want := d.step + ": changed " + d.resource + "\n"; !strings.Contains(said, want) {
			t.Errorf("a run does not say %q:\n%s", want, said)
		}
	}
	if restarted := n.restarted(before); len(restarted) > 0 {
		t.Errorf("none of what drifted wants a restart, and these were: %q", restarted)
	}
	if got := n.reloads("patroni.service"); got != reloads+1 {
		t.Errorf("Patroni was reloaded %d times", got-reloads)
	}
	n.expect([]fixture.Check{
		{"a parameter of the kernel", "cat /proc/sys/net/core/somaxconn", "65535"},
		{"a rule of the firewall", "nft list table inet banyan | grep 4444 | cat", ""},
		{"a unit that was disabled", "systemctl is-enabled banyan-firewall.service", "enabled"},
		{"the mode of a file", "stat --format %a /etc/sudoers.d/banyan", "440"},
		{"Patroni's configuration", "grep --count 'level: \"DEBUG\"' /etc/patroni/config.yml | cat", "0"},
	})
	if out := n.exits(0, "firstboot --dry-run"); !strings.HasSuffix(out, "nothing is to be done\n") {
		t.Errorf("after a run a dry run says:\n%s", out)
	}
	n.checkSecrets(map[string]string{
		"a run": said, "arguments": arguments,
		"the journal":     n.sh("journalctl --all --no-pager --output=verbose"),
		"the status":      n.sh("cat /run/banyan/status.json; firstboot status; firstboot status --json"),
		"what is in /run": n.sh("find /run/banyan -maxdepth 1 -type f -exec cat {} +"),
		"the environment": n.sh("cat /etc/environment"),
	})
	n.checkRestarts()
}

// checkPlan compares what two dry runs said of the drift, in text and in JSON.
func (n *node) checkPlan(text, asJSON string) {
	n.t.Helper()
	var plan flow.Plan
	if err := json.Unmarshal([]byte(asJSON), &plan); err != nil {
		n.t.Fatalf("%v in:\n%s", err, asJSON)
	}
	if plan.String() != text {
		n.t.Errorf("in JSON the plan is\n%s\nand in text\n%s", plan, text)
	}
	for _, d := range drift {
		at := slices.IndexFunc(plan.Changes, func(c flow.PlannedChange) bool { return c.Step == d.step && c.Resource == d.resource })
		if at < 0 {
			n.t.Errorf("a dry run misses %s in the step %s", d.resource, d.step)
			continue
		}
		c := plan.Changes[at]
		if c.What != d.what {
			n.t.Errorf("of %s a dry run says %q, want %q", d.resource, c.What, d.what)
		}
		if d.line != "" && !slices.Contains(strings.Split(c.Diff, "\n"), d.line) {
			n.t.Errorf("of %s a dry run does not show %q:\n%s", d.resource, d.line, c.Diff)
		}
	}
	if len(plan.Changes) != len(drift) {
		n.t.Errorf("a dry run has %d changes, want %d:\n%s", len(plan.Changes), len(drift), text)
	}
}

// checkRestarts changes what a unit reads at its start alone, or can be told of.
func (n *node) checkRestarts() {
	n.t.Helper()
	started := n.sql("select pg_postmaster_start_time()")
	for _, test := range []struct {
		file     string
		restarts []string
		reloads  string
	}{
		{"/etc/default/etcd", []string{"etcd.service"}, ""},
		{"/etc/ssh/sshd_config.d/10-banyan-port.conf", nil, "ssh.service"},
		{"/etc/systemd/journald.conf.d/banyan.conf", []string{"systemd-journald.service"}, ""},
	} {
		before, reloads := n.invocations(), 0
		if test.reloads != "" {
			reloads = n.reloads(test.reloads)
		}
		n.sh("echo '# drift' >>" + test.file)
		n.exits(0, "firstboot")
		if got := n.restarted(before); !slices.Equal(got, test.restarts) {
			n.t.Errorf("a change of %s restarts %q, want %q", test.file, got, test.restarts)
		}
		if test.reloads != "" {
			if got := n.reloads(test.reloads) - reloads; got != 1 {
				n.t.Errorf("a change of %s reloads %s %d times", test.file, test.reloads, got)
			}
		}
	}
	n.waitReady()
	if got := n.sql("select pg_postmaster_start_time()"); got != started {
		n.t.Errorf("PostgreSQL started at %s, and at %s once more", started, got)
	}
}

// invocations is which start of each unit it is that runs.
func (n *node) invocations() map[string]string {
	n.t.Helper()
	all := map[string]string{}
	for unit := range strings.SplitSeq(n.sh("systemctl show --property Id,InvocationID '*'"), "\n\n") {
		var id, invocation string
		for line := range strings.Lines(unit + "\n") {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch key {
			case "Id":
				id = value
			case "InvocationID":
				invocation = value
			}
		}
		all[id] = invocation
	}
	return all
}

// restarted are the units that have been started since, sorted.
func (n *node) restarted(before map[string]string) (names []string) {
	n.t.Helper()
	now := n.invocations()
	for _, unit := range slices.Sorted(maps.Keys(now)) {
		if now[unit] != before[unit] && now[unit] != "" {
			names = append(names, unit)
		}
	}
	return names
}

// reloads counts how often systemd reloaded a unit in this boot.
func (n *node) reloads(unit string) int {
	n.t.Helper()
	out := n.sh("journalctl --sync; journalctl --boot --quiet --output cat _PID=1 UNIT=" + unit)
	return strings.Count("\n"+out, "\nReloaded "+unit)
}
