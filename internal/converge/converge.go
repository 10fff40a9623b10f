// Package converge makes a machine agree with a desired state. A State is a
// list of steps, a step a list of resources: files, directories, symbolic
// links, users, the host name, units. Each resource says how the machine differs
// from it and how to mend that, so that what Diff prints is what Apply does,
// and a second Apply does nothing.
//
// It knows kinds of resources and no component; see internal/node for what a
// node is made of.
package converge

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// Machine is what a State is applied to.
type Machine struct {
	Root string // the root directory, "/" but in tests
	Live bool   // systemd runs as PID 1 of it; not so in the initramfs
}

// path is where the machine's path name is found from here.
func (m Machine) path(name string) string { return filepath.Join(m.Root, name) }

// State is all that a machine shall be, in the order in which it is made.
type State struct {
	Steps []Step
}

// Step is the resources of one component. They build on one another: the first
// that fails ends its step. Steps do not: a node whose time zone could not be
// set still deserves its network.
type Step struct {
	Name      string
	Resources []Resource
}

// Resource is one thing that the machine shall have.
type Resource interface {
	// ID names the resource: the path of what has a path, else kind and name.
	ID() string
	// Diff says in one or more lines how the machine differs, with secrets
	// masked, and "" where it does not.
	Diff(context.Context, Machine, Changed) (string, error)
	// Apply makes the machine agree. It is called only where Diff says something.
	Apply(context.Context, Machine, Changed) error
}

// Changed holds the IDs of the resources that this run changed (or, under Diff,
// would change) before the one that is asked: a unit restarts for its files.
type Changed map[string]bool

// Change is one difference: found by Diff, or made good by Apply.
type Change struct {
	ID   string
	Diff string
}

// StepReport is what became of one step.
type StepReport struct {
	Name    string
	Done    bool // false in the first of the two calls of progress
	Changes []Change
	Err     error
}

// Report is what became of a State.
type Report struct {
	Steps []StepReport
}

// Err joins the errors of all steps, each under the step's name.
func (r Report) Err() error {
	var errs []error
	for _, s := range r.Steps {
		if s.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Name, s.Err))
		}
	}
	return errors.Join(errs...)
}

// Apply makes the machine agree with s. progress, which may be nil, is called
// as each step begins and again as it ends. The error is the report's.
func Apply(ctx context.Context, m Machine, s State, progress func(StepReport)) (Report, error) {
	return run(ctx, m, s, progress, func(r Resource, c Changed) error { return r.Apply(ctx, m, c) })
}

// Diff reports what Apply would change, and changes nothing. A resource that
// rests on one yet to be made, as a file does on its owner, differs; it is no error.
func Diff(ctx context.Context, m Machine, s State) (Report, error) {
	return run(ctx, m, s, nil, func(Resource, Changed) error { return nil })
}

func run(ctx context.Context, m Machine, s State, progress func(StepReport), mend func(Resource, Changed) error) (Report, error) {
	if progress == nil {
		progress = func(StepReport) {}
	}
	var report Report
	changed := Changed{}
	for _, step := range s.Steps {
		sr := StepReport{Name: step.Name}
		progress(sr)
		sr.Changes, sr.Err = runStep(ctx, m, step, changed, mend)
		sr.Done = true
		progress(sr)
		report.Steps = append(report.Steps, sr)
	}
	return report, report.Err()
}

func runStep(ctx context.Context, m Machine, step Step, changed Changed, mend func(Resource, Changed) error) ([]Change, error) {
	var changes []Change
	for _, r := range step.Resources {
		if err := ctx.Err(); err != nil {
			return changes, err
		}
		diff, err := r.Diff(ctx, m, changed)
		if err != nil {
			return changes, fmt.Errorf("%s: %w", r.ID(), err)
		}
		if diff == "" {
			continue
		}
		if err := mend(r, changed); err != nil {
			return changes, fmt.Errorf("%s: %w", r.ID(), err)
		}
		changed[r.ID()] = true
		changes = append(changes, Change{r.ID(), diff})
	}
	return changes, nil
}
