// Package converge makes a machine agree with a desired state. A State is a
// list of steps, a step a list of resources: files, users, kernel settings,
// file systems, units, a table of the firewall. Each resource says how the machine
// differs from it and how to mend that, so that what Diff prints is what Apply does,
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
	"slices"
	"strings"
)

// Machine is what a State is applied to.
type Machine struct {
	Root string // the root directory, "/" but in tests
	Live bool   // systemd runs as PID 1 of it; not so in the initramfs

	bus *bus // how systemd is asked, where it runs
}

// path is where the machine's path name is found from here.
func (m Machine) path(name string) string { return filepath.Join(m.Root, name) }

// State is all that a machine shall be, in the order in which it is made.
type State struct {
	Steps []Step
}

// Step is the resources of one component. They build on one another: the first
// that fails ends its step. Steps do not, but for those that they need: a node whose
// time zone could not be set still deserves its network.
type Step struct {
	Name      string
	Needs     []string // earlier steps; where one of them failed, this one is not begun
	Loose     bool     // the resources do not build on one another: one that fails ends nothing
	Resources []Resource
}

// Resource is one thing that the machine shall have.
type Resource interface {
	// ID names the resource: the path of what has a path, else kind and name.
	ID() string
	// Diff says how the machine differs; the zero Difference is that it does not. The error
	// is a *Skip where the machine cannot have the resource.
	Diff(context.Context, Machine, Changed) (Difference, error)
	// Apply makes the machine agree. It is called only where Diff says something.
	Apply(context.Context, Machine, Changed) error
}

// Difference is how a machine differs from a resource.
type Difference struct {
	What   string // what is to be done, in a few words; without secrets
	File   bool   // From and To are what a file holds and shall hold
	From   string
	To     string
	Secret bool // From and To hold secrets
}

// String is what is to be done, so that no content comes into a log by accident.
func (d Difference) String() string { return d.What }

// Skip says that this machine cannot have a resource: its kernel lacks it, or a
// container may not set it. It is told, and fails nothing.
type Skip struct{ Reason string }

func (s *Skip) Error() string { return "skipped: " + s.Reason }

func skip(format string, args ...any) error { return &Skip{fmt.Sprintf(format, args...)} }

// Changed holds the IDs of the resources that this run changed (or, under Diff,
// would change) before the one that is asked: a unit restarts for its files.
type Changed map[string]bool

// Change is one difference: found by Diff, or made good by Apply.
type Change struct {
	ID string
	Difference
}

// Skipped is a resource that the machine cannot have.
type Skipped struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// StepReport is what became of one step.
type StepReport struct {
	Name    string
	Done    bool // false in the first of the two calls of progress
	Changes []Change
	Skipped []Skipped
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

// Failed tells whether the step of that name failed, or was not begun since another did.
// A step that is not in the state did not.
func (r Report) Failed(name string) bool {
	return slices.ContainsFunc(r.Steps, func(s StepReport) bool { return s.Name == name && s.Err != nil })
}

// Apply makes the machine agree with s, and looks again at each resource that it
// changed. progress, which may be nil, is called as each step begins and again as it
// ends. The error is the report's.
func Apply(ctx context.Context, m Machine, s State, progress func(StepReport)) (Report, error) {
	return run(ctx, m, s, progress, true)
}

// Diff reports what Apply would change, and changes nothing. A resource that
// rests on one yet to be made, as a file does on its owner, differs; it is no error.
func Diff(ctx context.Context, m Machine, s State) (Report, error) {
	return run(ctx, m, s, nil, false)
}

func run(ctx context.Context, m Machine, s State, progress func(StepReport), mend bool) (Report, error) {
	if progress == nil {
		progress = func(StepReport) {}
	}
	if m.Live {
		m.bus = new(bus)
		defer m.bus.close()
	}
	due, err := openDue(m, s, mend)
	if err != nil {
		return Report{}, err
	}
	r := runner{machine: m, mend: mend, due: due, changed: Changed{}}
	var report Report
	failed := map[string]bool{}
	for _, step := range s.Steps {
		sr := StepReport{Name: step.Name}
		progress(sr)
		if i := slices.IndexFunc(step.Needs, func(need string) bool { return failed[need] }); i >= 0 {
			sr.Err = fmt.Errorf("not begun, since it rests on %s, which failed", step.Needs[i])
		} else {
			r.step(ctx, step, &sr)
		}
		failed[step.Name] = sr.Err != nil
		sr.Done = true
		progress(sr)
		report.Steps = append(report.Steps, sr)
	}
	return report, report.Err()
}

// runner is one run of Apply or Diff.
type runner struct {
	machine Machine
	mend    bool
	due     *due
	changed Changed
}

func (r *runner) step(ctx context.Context, step Step, report *StepReport) {
	var errs []error
	for _, resource := range step.Resources {
		if err := ctx.Err(); err != nil {
			errs = append(errs, err)
			break
		}
		err := r.resource(ctx, resource, report)
		var skipped *Skip
		if errors.As(err, &skipped) {
			report.Skipped = append(report.Skipped, Skipped{resource.ID(), skipped.Reason})
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", resource.ID(), err))
			if !step.Loose {
				break
			}
		}
	}
	report.Err = errors.Join(errs...)
}

// resource compares one resource and, in Apply, mends what differs and reads again.
func (r *runner) resource(ctx context.Context, resource Resource, report *StepReport) error {
	changed := r.due.of(resource, r.changed)
	d, err := resource.Diff(ctx, r.machine, changed)
	if err != nil {
		return err
	}
	if d == (Difference{}) {
		return r.due.settle(resource) // a unit that is told nothing does not run
	}
	if !r.mend {
		r.changed[resource.ID()] = true
		report.Changes = append(report.Changes, Change{resource.ID(), d})
		return nil
	}
	if err := r.due.note(resource.ID()); err != nil {
		return err
	}
	if err := resource.Apply(ctx, r.machine, changed); err != nil {
		return err
	}
	r.changed[resource.ID()] = true
	report.Changes = append(report.Changes, Change{resource.ID(), d})
	if err := r.due.settle(resource); err != nil {
		return err
	}
	left, err := resource.Diff(ctx, r.machine, Changed{})
	if err == nil && left != (Difference{}) {
		what, _, _ := strings.Cut(left.What, "\n")
		err = fmt.Errorf("it was made, and yet it differs: %s", what)
	}
	return err
}
