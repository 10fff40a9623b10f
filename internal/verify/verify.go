// Package verify judges whether a node and its cluster are sound. It is pure: package
// inspect looks at the node and asks the others, and what it saw becomes checks here, a
// file a topic.
package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"banyan/internal/peer"
	"banyan/internal/status"
	"banyan/seeds"
)

// State is what came of a check.
type State string

// The states. A check that cannot be made here, such as that of a watchdog in a
// container, is skipped: it counts neither as sound nor as a failure.
const (
	OK   State = "ok"
	Warn State = "warn" // it works, and somebody should look after it
	Fail State = "fail" // it does not work, or bears no further loss
	Skip State = "skip"
)

// Check is one thing that was looked at.
type Check struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Found  string `json:"found"`
	Advice string `json:"advice,omitempty"` // what to do, or the command to run next
}

// Facts is what a node looks like from inside, and what the others answer it.
type Facts struct {
	Seed      *seeds.Seed
	Self      seeds.Node // one of Seed's
	Now       time.Time
	Container string // what kind of container this is; "" for a machine

	Node         Node
	Machine      Machine
	Staged       Staged
	Peers        []peer.Result // of the other nodes that hold something
	Certificates Certificates
	Cluster      Cluster
	Dynamic      *Dynamic   // nil where this node does not run PostgreSQL
	Databases    *Databases // likewise
	Etcd         *Etcd      // nil where this node is no client of etcd
	RaftErr      error      // the raft does not answer; nil where this node is no member of one
	HAProxy      *HAProxy   // nil where it does not run
}

// Result is all that was checked.
type Result struct {
	Node    string  `json:"node"`
	Cluster string  `json:"cluster"`
	State   State   `json:"state"` // the worst of them
	Checks  []Check `json:"checks"`
}

// Judge makes the checks.
func Judge(f Facts) Result {
	r := Result{Node: f.Self.Name, Cluster: f.Seed.Cluster.Name, State: OK}
	for _, check := range []func(Facts) []Check{
		checkNode, checkSeed, checkMachine, checkCertificates, checkPeers, checkDCS, checkCluster, checkHAProxy,
	} {
		r.Checks = append(r.Checks, check(f)...)
	}
	for _, c := range r.Checks {
		if c.State == Fail || c.State == Warn && r.State == OK {
			r.State = c.State
		}
	}
	return r
}

// ExitFailed is the exit code of `firstboot verify` where something failed, be it verify
// itself.
const ExitFailed = 2

// ExitCode is that of `firstboot verify`, in the order that monitoring has: 0 nothing is
// wrong, 1 there are warnings alone, [ExitFailed].
func (r Result) ExitCode() int {
	switch r.State {
	case Fail:
		return ExitFailed
	case Warn:
		return 1
	}
	return 0
}

// String is the table of the checks, what to do below each that needs it, and their sum.
func (r Result) String() string {
	var b strings.Builder
	width := len("CHECK")
	for _, c := range r.Checks {
		width = max(width, len(c.Name))
	}
	line := func(state State, name, text string) {
		text = status.Printable(strings.ReplaceAll(text, "\n", "; "))
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-5s  %-*s  %s", state, width, name, text), " ") + "\n")
	}
	line("STATE", "CHECK", "FOUND")
	for _, c := range r.Checks {
		line(c.State, c.Name, c.Found)
		if c.Advice != "" {
			line("", "", "-> "+c.Advice)
		}
	}
	fmt.Fprintf(&b, "\n%s of %s: %s\n", r.Node, r.Cluster, r.sum())
	return b.String()
}

// sum counts the checks, the worst first.
func (r Result) sum() string {
	var words []string
	for _, state := range []State{Fail, Warn, Skip, OK} {
		n := 0
		for _, c := range r.Checks {
			if c.State == state {
				n++
			}
		}
		if n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, state))
		}
	}
	return strings.Join(words, ", ")
}

// verdict gathers what a check finds wrong; the worst of it is the check's state.
type verdict struct {
	name   string
	state  State
	found  []string
	advice []string
}

func begin(name string) *verdict { return &verdict{name: name, state: OK} }

// add notes something that is wrong, and what to do about it.
func (v *verdict) add(state State, advice, format string, args ...any) {
	if state == Fail || v.state != Fail {
		v.state = state
	}
	v.found = append(v.found, fmt.Sprintf(format, args...))
	if advice != "" && !slices.Contains(v.advice, advice) {
		v.advice = append(v.advice, advice)
	}
}

func (v *verdict) warn(advice, format string, args ...any) { v.add(Warn, advice, format, args...) }
func (v *verdict) fail(advice, format string, args ...any) { v.add(Fail, advice, format, args...) }

// end is the check: with that for what was found where nothing is wrong.
func (v *verdict) end(format string, args ...any) []Check {
	if v.state == OK {
		return []Check{{Name: v.name, State: OK, Found: fmt.Sprintf(format, args...)}}
	}
	return []Check{{v.name, v.state, strings.Join(v.found, "; "), strings.Join(v.advice, "; ")}}
}

// skipped is a check that cannot be made.
func skipped(name, format string, args ...any) []Check {
	return []Check{{Name: name, State: Skip, Found: fmt.Sprintf(format, args...)}}
}

// patronictl is a command of patronictl(1), which a node with PostgreSQL has.
func (f Facts) patronictl(command string) string {
	command = "patronictl " + command
	nodes := f.Seed.Members(seeds.ServicePostgreSQL)
	if f.Self.Runs(seeds.ServicePostgreSQL) || len(nodes) == 0 {
		return command
	}
	return f.on(nodes[0].Name, command)
}

// on says on which node to run a command; on this one it needs no word.
func (f Facts) on(node, command string) string {
	if node == f.Self.Name {
		return command
	}
	return "on " + node + ": " + command
}

// count is a number and what is counted, in the singular or the plural.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
