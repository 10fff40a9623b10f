package verify

import (
	"cmp"
	"strings"
	"time"

	"banyan/internal/check"
	"banyan/internal/converge"
	"banyan/internal/status"
)

// Node is what Banyan has made of the node.
type Node struct {
	Report    status.Report // of this boot's last run
	ReportErr error
	Left      bool // somebody took it out of its cluster
	Born      bool
	Drift     converge.Report // what a run would change
	Failed    []string        // units that have failed
	Inactive  []string        // units of the node's services that do not run
	UnitsErr  error
}

// How a person goes on from a check.
const (
	seeStatus = "firstboot status; journalctl -b -u banyan-firstboot"
	seeDrift  = "firstboot --dry-run shows it; systemctl restart banyan-firstboot makes it so"
)

func checkNode(f Facts) []check.Check {
	checks := checkRun(f)
	if f.Seed.HoldsState(f.Self) {
		checks = append(checks, checkBorn(f)...)
	}
	checks = append(checks, checkUnits(f)...)
	checks = append(checks, checkFirewall(f)...)
	return append(checks, checkDrift(f)...)
}

func checkRun(f Facts) []check.Check {
	v, r := check.Begin("last run"), f.Node.Report
	switch {
	case f.Node.ReportErr != nil:
		v.Warn(seeStatus, "%v", f.Node.ReportErr)
	case r.State == status.Failed:
		for _, s := range r.Steps {
			if s.State == status.Failed {
				v.Fail(cmp.Or(s.Look, seeStatus), "%s failed: %s", s.Name, s.Error)
			}
		}
	case r.State != status.Done:
		at := ""
		if n := len(r.Steps); n > 0 {
			at = ": " + strings.TrimSuffix(r.Steps[n-1].Name+": "+r.Steps[n-1].Message, ": ")
		}
		v.Warn("firstboot status --wait", "it is going on%s", at)
	}
	return v.End("done on %s", r.Updated.Format(time.DateTime))
}

func checkBorn(f Facts) []check.Check {
	v := check.Begin("membership")
	switch {
	case f.Node.Left:
		v.Warn("firstboot leave --undo has it join again", "the node was taken out of its cluster")
	case !f.Node.Born:
		v.Fail(seeStatus, "the node has not become a member yet")
	}
	return v.End("the node was born into the cluster")
}

// checkUnits: a unit of the distribution's that failed may matter to nobody.
func checkUnits(f Facts) []check.Check {
	v := check.Begin("units")
	if f.Node.UnitsErr != nil {
		v.Fail("systemctl status", "systemd cannot be asked: %v", f.Node.UnitsErr)
	}
	for _, name := range f.Node.Inactive {
		v.Fail("journalctl -b -u "+name, "%s does not run", name)
	}
	for _, name := range f.Node.Failed {
		v.Warn("systemctl status "+name, "%s has failed", name)
	}
	return v.End("none has failed")
}

// firewallSteps are those of internal/node that the firewall is made by.
var firewallSteps = map[string]bool{"firewall": true, "firewall unit": true}

// checkFirewall is the part of the drift that is the firewall's: what the kernel has of
// the table is compared with what it would have of the file.
func checkFirewall(f Facts) []check.Check {
	v := check.Begin("firewall")
	why := ""
	for _, s := range f.Node.Drift.Steps {
		if !firewallSteps[s.Name] {
			continue
		}
		if s.Err != nil {
			v.Fail("nft list table inet banyan; firstboot --dry-run", "%v", s.Err)
		}
		for _, c := range s.Changes {
			v.Fail("systemctl restart banyan-firstboot", "%s differs from the seed: %s", c.ID, c)
		}
		for _, skipped := range s.Skipped {
			why = skipped.Reason
		}
	}
	if v.Sound() && why != "" {
		return v.Skip("%s", why)
	}
	if !f.Self.Firewall.Enabled {
		return v.End("off, as the seed says")
	}
	return v.End("the table inet banyan is loaded as the seed has it")
}

// shown is how many things of one kind are told by name.
const shown = 5

func checkDrift(f Facts) []check.Check {
	v := check.Begin("drift")
	var differ []string
	left := 0
	for _, s := range f.Node.Drift.Steps {
		left += len(s.Skipped)
		if firewallSteps[s.Name] {
			continue
		}
		for _, c := range s.Changes {
			differ = append(differ, c.ID)
		}
		if s.Err != nil {
			v.Fail("firstboot --dry-run", "%s: %v", s.Name, s.Err)
		}
	}
	if n := len(differ); n > 0 {
		more := ""
		if n > shown {
			differ, more = differ[:shown], ", ..."
		}
		v.Warn(seeDrift, "%s from the seed: %s%s", count(n, "resource differs", "resources differ"), strings.Join(differ, ", "), more)
	}
	if left > 0 {
		return v.End("a run would change nothing, but for %s that this machine cannot have", count(left, "resource", "resources"))
	}
	return v.End("a run would change nothing")
}
