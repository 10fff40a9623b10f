package verify

import (
	"errors"
	"fmt"
	"testing"

	"banyan/internal/check"
	"banyan/internal/converge"
	"banyan/internal/status"
)

// differs is a step that a run would change these resources of.
func differs(step string, ids ...string) converge.StepReport {
	r := converge.StepReport{Name: step}
	for _, id := range ids {
		r.Changes = append(r.Changes, converge.Change{ID: id, Difference: converge.Difference{What: "write"}})
	}
	return r
}

func steps(all ...converge.StepReport) func(*Facts) {
	return func(f *Facts) { f.Node.Drift = converge.Report{Steps: all} }
}

func TestNode(t *testing.T) {
	var many []string
	for i := range 7 {
		many = append(many, fmt.Sprintf("/etc/%d", i))
	}
	unavailable := converge.StepReport{Name: "kernel", Skipped: []converge.Skipped{{ID: "sysctl vm.swappiness", Reason: "read-only"}}}
	expect(t, map[string]change{
		"no report": {
			what: func(f *Facts) { f.Node.ReportErr = errors.New("nothing is reported yet in this boot") },
			name: "last run", state: check.Warn, found: "nothing is reported", advice: "firstboot status",
		},
		"a failed run": {
			what: func(f *Facts) {
				f.Node.Report = status.Report{State: status.Failed, Steps: []status.Step{
					{Name: "swap", State: status.Failed, Error: "no space left on device", Look: "journalctl -b -u banyan-firstboot"}, {Name: "born", State: status.Done},
				}}
			},
			name: "last run", state: check.Fail, found: "swap failed: no space left on device", advice: "journalctl -b -u banyan-firstboot",
		},
		"a run that goes on": {
			what: func(f *Facts) {
				f.Node.Report = status.Report{State: status.Running, Steps: []status.Step{{Name: "dcs", State: status.Running, Message: "waits for a quorum"}}}
			},
			name: "last run", state: check.Warn, found: "it is going on: dcs: waits for a quorum", advice: "firstboot status --wait",
		},
		"not born": {what: func(f *Facts) { f.Node.Born = false }, name: "membership", state: check.Fail, found: "not become a member", advice: "firstboot status"},
		"left":     {what: func(f *Facts) { f.Node.Left = true }, name: "membership", state: check.Warn, found: "taken out", advice: "firstboot leave --undo"},
		"a unit of ours": {
			what: func(f *Facts) {
				f.Node.Inactive, f.Node.Failed = []string{"etcd.service"}, []string{"logrotate.service"}
			},
			name: "units", state: check.Fail, found: "etcd.service does not run; logrotate.service has failed", advice: "journalctl -b -u etcd.service; systemctl status logrotate.service",
		},
		"another unit": {what: func(f *Facts) { f.Node.Failed = []string{"logrotate.service"} }, name: "units", state: check.Warn, found: "logrotate.service has failed", advice: "systemctl status"},
		"no systemd":   {what: func(f *Facts) { f.Node.UnitsErr = errors.New("no bus") }, name: "units", state: check.Fail, found: "no bus", advice: "systemctl"},

		"drift":         {what: steps(differs("identity", "/etc/hosts")), name: "drift", state: check.Warn, found: "1 resource differs from the seed: /etc/hosts", advice: "firstboot --dry-run"},
		"much drift":    {what: steps(differs("identity", many...)), name: "drift", state: check.Warn, found: "7 resources differ from the seed: /etc/0, /etc/1, /etc/2, /etc/3, /etc/4, ...", advice: "firstboot --dry-run"},
		"a failed step": {what: steps(converge.StepReport{Name: "swap", Err: errors.New("no space")}), name: "drift", state: check.Fail, found: "swap: no space", advice: "firstboot --dry-run"},
		"what a machine lacks is no drift": {
			what: steps(unavailable), name: "drift", state: check.OK, found: "but for 1 resource that this machine cannot have",
		},

		"another table": {
			what: steps(differs("firewall", "/etc/banyan/firewall.nft")),
			name: "firewall", state: check.Fail, found: "/etc/banyan/firewall.nft differs from the seed: write", advice: "systemctl restart banyan-firstboot",
		},
		"the firewall is no drift": {what: steps(differs("firewall", "/etc/banyan/firewall.nft")), name: "drift", state: check.OK, found: "a run would change nothing"},
		"a refused table": {
			what: steps(converge.StepReport{Name: "firewall", Err: errors.New("this table was refused")}),
			name: "firewall", state: check.Fail, found: "this table was refused", advice: "nft list table inet banyan",
		},
		"its unit": {what: steps(differs("firewall unit", "banyan-firewall.service")), name: "firewall", state: check.Fail, found: "banyan-firewall.service", advice: "systemctl"},
		"no firewall may be set": {
			what: steps(converge.StepReport{Name: "firewall", Skipped: []converge.Skipped{{ID: "/etc/banyan/firewall.nft", Reason: "this machine does not let its firewall be set"}}}),
			name: "firewall", state: check.Skip, found: "does not let its firewall be set",
		},
		"no firewall is wanted": {what: func(f *Facts) { f.Self.Firewall.Enabled = false }, name: "firewall", state: check.OK, found: "off, as the seed says"},
	})
}
