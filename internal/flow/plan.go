package flow

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"banyan/internal/converge"
	"banyan/internal/diff"
	"banyan/seeds"
)

// Plan is what a run would change on this machine. It holds no secret.
type Plan struct {
	Changes []PlannedChange `json:"changes"`
	Skipped []PlannedSkip   `json:"skipped,omitempty"` // what this machine cannot have
	Errors  []PlannedError  `json:"errors,omitempty"`  // what keeps a step from being made
}

// PlannedChange is a resource that differs.
type PlannedChange struct {
	Step     string `json:"step"`
	Resource string `json:"resource"`
	What     string `json:"what"`
	Diff     string `json:"diff,omitempty"` // of a file: unified, with secrets masked
}

// PlannedSkip is a resource that is left out, and why.
type PlannedSkip struct {
	Step string `json:"step"`
	converge.Skipped
}

// PlannedError is what is wrong with a step.
type PlannedError struct {
	Step  string `json:"step"`
	Error string `json:"error"`
}

// ExitCode is that of `firstboot --dry-run`: 0 nothing is to be done, 1 something cannot
// be, 2 something is to be changed.
func (p Plan) ExitCode() int {
	switch {
	case len(p.Errors) > 0:
		return 1
	case len(p.Changes) > 0:
		return 2
	}
	return 0
}

// DryRun compares the running machine with its sealed seed, and changes nothing.
func DryRun(ctx context.Context) (Plan, error) {
	n, err := load()
	if err != nil {
		return Plan{}, err
	}
	report, _ := converge.Diff(ctx, converge.Machine{Root: "/", Live: true}, n.desired) // the steps have its error
	return plan(ctx, report)
}

func plan(ctx context.Context, report converge.Report) (Plan, error) {
	p := Plan{Changes: []PlannedChange{}}
	for _, step := range report.Steps {
		for _, c := range step.Changes {
			change := PlannedChange{Step: step.Name, Resource: c.ID, What: c.What}
			if c.File {
				var err error
				if change.Diff, err = maskedDiff(ctx, c); err != nil {
					return p, err
				}
			}
			p.Changes = append(p.Changes, change)
		}
		for _, s := range step.Skipped {
			p.Skipped = append(p.Skipped, PlannedSkip{step.Name, s})
		}
		if step.Err != nil {
			p.Errors = append(p.Errors, PlannedError{step.Name, step.Err.Error()})
		}
	}
	return p, nil
}

// maskedDiff compares a file's contents with their secrets masked. Where secrets alone
// differ it says so.
func maskedDiff(ctx context.Context, c converge.Change) (string, error) {
	from, to := c.From, c.To
	if c.Secret {
		from, to = seeds.MaskLines(from), seeds.MaskLines(to)
	}
	text, err := diff.Unified(ctx, c.ID, c.ID+" (new)", from, to)
	if text == "" && c.From != c.To {
		text = c.ID + ": only secrets differ\n"
	}
	return text, err
}

// String shows files as diffs and the rest as a table.
func (p Plan) String() string {
	var b strings.Builder
	for _, c := range p.Changes {
		b.WriteString(c.Diff)
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")) }
	if len(p.Changes)+len(p.Skipped)+len(p.Errors) > 0 {
		row("STEP", "RESOURCE", "")
	}
	for _, c := range p.Changes {
		row(c.Step, c.Resource, c.What)
	}
	for _, s := range p.Skipped {
		row(s.Step, s.ID, "skipped: "+s.Reason)
	}
	for _, e := range p.Errors {
		row(e.Step, "-", "error: "+strings.ReplaceAll(e.Error, "\n", "; "))
	}
	_ = w.Flush() // nothing fails in memory
	if len(p.Changes) == 0 && len(p.Errors) == 0 {
		b.WriteString("nothing is to be done\n")
	}
	return b.String()
}
