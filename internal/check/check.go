// Package check is what was looked at and what came of it, as people read it and as
// monitoring does.
package check

import (
	"fmt"
	"slices"
	"strings"

	"banyan/internal/console"
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

// ExitFailed is the exit code of a command that checks where something failed, be it the
// command itself.
const ExitFailed = 2

// ExitCode is that of a command whose checks came to this, in the order that monitoring has:
// 0 nothing is wrong, 1 there are warnings alone, [ExitFailed].
func (s State) ExitCode() int {
	switch s {
	case Fail:
		return ExitFailed
	case Warn:
		return 1
	}
	return 0
}

// Worst is the worst state of all.
func Worst(all []Check) State {
	worst := OK
	for _, c := range all {
		if c.State == Fail || c.State == Warn && worst == OK {
			worst = c.State
		}
	}
	return worst
}

// Table is the checks, and what to do below each that needs it.
func Table(all []Check) string {
	var b strings.Builder
	width := len("CHECK")
	for _, c := range all {
		width = max(width, len(c.Name))
	}
	line := func(state State, name, text string) {
		text = console.Printable(strings.ReplaceAll(text, "\n", "; "))
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-5s  %-*s  %s", state, width, name, text), " ") + "\n")
	}
	line("STATE", "CHECK", "FOUND")
	for _, c := range all {
		line(c.State, c.Name, c.Found)
		if c.Advice != "" {
			line("", "", "-> "+c.Advice)
		}
	}
	return b.String()
}

// Sum counts the checks, the worst first.
func Sum(all []Check) string {
	var words []string
	for _, state := range []State{Fail, Warn, Skip, OK} {
		n := 0
		for _, c := range all {
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

// Verdict gathers what a check finds wrong; the worst of it is the check's state.
type Verdict struct {
	name   string
	state  State
	found  []string
	advice []string
}

// Begin begins the check of that name.
func Begin(name string) *Verdict { return &Verdict{name: name, state: OK} }

// add notes something that is wrong, and what to do about it.
func (v *Verdict) add(state State, advice, format string, args ...any) {
	if state == Fail || v.state != Fail {
		v.state = state
	}
	v.found = append(v.found, fmt.Sprintf(format, args...))
	if advice != "" && !slices.Contains(v.advice, advice) {
		v.advice = append(v.advice, advice)
	}
}

// Warn notes what works and somebody should look after, and what to do about it.
func (v *Verdict) Warn(advice, format string, args ...any) { v.add(Warn, advice, format, args...) }

// Fail notes what does not work, and what to do about it.
func (v *Verdict) Fail(advice, format string, args ...any) { v.add(Fail, advice, format, args...) }

// End is the check: with that for what was found where nothing is wrong.
func (v *Verdict) End(format string, args ...any) []Check {
	if v.state == OK {
		return []Check{{Name: v.name, State: OK, Found: fmt.Sprintf(format, args...)}}
	}
	return []Check{{v.name, v.state, strings.Join(v.found, "; "), strings.Join(v.advice, "; ")}}
}

// Sound tells whether nothing is wrong so far.
func (v *Verdict) Sound() bool { return v.state == OK }

// Note adds to what was found wrong.
func (v *Verdict) Note(format string, args ...any) {
	v.found = append(v.found, fmt.Sprintf(format, args...))
}

// Skip is the check where it cannot be made.
func (v *Verdict) Skip(format string, args ...any) []Check { return Skipped(v.name, format, args...) }

// Skipped is a check that cannot be made.
func Skipped(name, format string, args ...any) []Check {
	return []Check{{Name: name, State: Skip, Found: fmt.Sprintf(format, args...)}}
}
