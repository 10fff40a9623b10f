package converge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// thing is a resource of which a test says how it behaves.
type thing struct {
	id      string
	differs *bool                     // nil is that it does not
	diff    error                     // of Diff
	apply   error                     // of Apply
	deaf    bool                      // Apply changes nothing
	told    func(changed Changed)     // called by Diff, unless nil
	begin   func(ctx context.Context) // called by Apply, unless nil
}

func (f thing) ID() string { return f.id }

func (f thing) Diff(_ context.Context, _ Machine, changed Changed) (Difference, error) {
	if f.told != nil {
		f.told(changed)
	}
	if f.diff != nil || f.differs == nil || !*f.differs {
		return Difference{}, f.diff
	}
	return Difference{What: "mend\nand more"}, nil
}

func (f thing) Apply(ctx context.Context, _ Machine, _ Changed) error {
	if f.begin != nil {
		f.begin(ctx)
	}
	if f.apply == nil && !f.deaf {
		*f.differs = false
	}
	return f.apply
}

func differs() *bool {
	yes := true
	return &yes
}

// summary is a line for each step: its name, what was changed, what was skipped, the error.
func summary(r Report) []string {
	var lines []string
	for _, s := range r.Steps {
		line := s.Name + ":"
		for _, c := range s.Changes {
			line += " changed " + c.ID
		}
		for _, skipped := range s.Skipped {
			line += fmt.Sprintf(" skipped %s (%s)", skipped.ID, skipped.Reason)
		}
		if s.Err != nil {
			line += " failed: " + s.Err.Error()
		}
		lines = append(lines, line)
	}
	return lines
}

func TestSteps(t *testing.T) {
	works := func(id string) thing { return thing{id: id, differs: differs()} }
	fails := func(id string) thing { return thing{id: id, differs: differs(), apply: errBroken} }
	noDiff := thing{id: "unread", diff: errBroken}
	tests := map[string]struct {
		steps []Step
		want  []string
	}{
		"a step rests on one that failed, and another on it": {
			[]Step{
				{Name: "disk", Resources: []Resource{fails("a")}},
				{Name: "etcd", Needs: []string{"other", "disk"}, Resources: []Resource{works("b")}},
				{Name: "patroni", Needs: []string{"etcd"}, Resources: []Resource{works("c")}},
				{Name: "clock", Needs: []string{"absent"}, Resources: []Resource{works("d")}},
			},
			[]string{
				"disk: failed: a: no luck",
				"etcd: failed: not begun, since it rests on disk, which failed",
				"patroni: failed: not begun, since it rests on etcd, which failed",
				"clock: changed d",
			},
		},
		"one that fails ends its step": {
			[]Step{{Name: "s", Resources: []Resource{works("a"), fails("b"), works("c")}}},
			[]string{"s: changed a failed: b: no luck"},
		},
		"and no loose one": {
			[]Step{{Name: "s", Loose: true, Resources: []Resource{fails("a"), works("b"), noDiff, works("c")}}},
			[]string{"s: changed b changed c failed: a: no luck\nunread: no luck"},
		},
		"what cannot be is skipped": {
			[]Step{
				{Name: "s", Resources: []Resource{
					thing{id: "a", diff: skip("no %s", "kernel")},
					thing{id: "b", differs: differs(), apply: fmt.Errorf("start: %w", skip("no swap"))},
					works("c"),
				}},
				{Name: "t", Needs: []string{"s"}, Resources: []Resource{works("d")}},
			},
			[]string{"s: changed c skipped a (no kernel) skipped b (no swap)", "t: changed d"},
		},
		"what was made is read again": {
			[]Step{{Name: "s", Resources: []Resource{thing{id: "a", differs: differs(), deaf: true}, works("b")}}},
			[]string{"s: changed a failed: a: it was made, and yet it differs: mend"},
		},
	}
	for name, test := range tests {
		report, err := Apply(t.Context(), Machine{Root: t.TempDir()}, State{test.steps}, nil)
		if got := summary(report); !slices.Equal(got, test.want) {
			t.Errorf("%s:\n%q, want\n%q", name, got, test.want)
		}
		failed := false
		for _, s := range report.Steps {
			if failed = failed || s.Err != nil; report.Failed(s.Name) != (s.Err != nil) {
				t.Errorf("%s: whether %s failed is %t", name, s.Name, report.Failed(s.Name))
			}
		}
		if failed != (err != nil) || report.Failed("absent") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

// An end of the context ends a step, however loose, and begins no other.
func TestEndedWithinAStep(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	last := thing{id: "last", differs: differs(), begin: func(context.Context) { cancel() }}
	never := thing{id: "never", differs: differs()}
	report, err := Apply(ctx, Machine{Root: t.TempDir()}, State{[]Step{
		{Name: "s", Loose: true, Resources: []Resource{last, never}},
		{Name: "t", Resources: []Resource{never}},
	}}, nil)
	if want := []string{"s: changed last failed: context canceled", "t: failed: context canceled"}; !errors.Is(err, context.Canceled) || !slices.Equal(summary(report), want) {
		t.Errorf("%q, %v", summary(report), err)
	}
}

func TestDiffChangesNothing(t *testing.T) {
	m := Machine{Root: t.TempDir(), Live: true}
	var told []Changed
	listens := thing{id: "second", told: func(c Changed) { told = append(told, c) }}
	applied := func(context.Context) { t.Error("it was applied") }
	report, err := Diff(t.Context(), m, State{[]Step{
		{Name: "s", Resources: []Resource{thing{id: "first", differs: differs(), begin: applied}, listens}},
		{Name: "unit", Resources: []Resource{}},
	}})
	if err != nil || !slices.Equal(summary(report), []string{"s: changed first", "unit:"}) {
		t.Errorf("%q, %v", summary(report), err)
	}
	if len(told) != 1 || !told[0]["first"] {
		t.Errorf("the second was told of %v", told)
	}
	if files, err := os.ReadDir(m.Root); err != nil || len(files) > 0 {
		t.Errorf("%v were made, %v", files, err)
	}
}

// dueRun is a run of one resource after the other, of a machine with a unit that starts
// anew for one file and is told of another. It ends before its time, as a power cut has it.
func dueRun(t *testing.T, m Machine, mend bool, resources ...Resource) {
	t.Helper()
	d, err := openDue(m, one(Unit{Name: "x.service", RestartOn: []string{"/restart"}, ReloadOn: []string{"/reload"}}), mend)
	if err != nil {
		t.Fatal(err)
	}
	r := runner{machine: m, mend: mend, due: d, changed: Changed{}}
	var report StepReport
	for _, resource := range resources {
		if err := r.resource(t.Context(), resource, &report); err != nil && !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
	}
}

func TestDue(t *testing.T) {
	file := func(name string) thing { return thing{id: name, differs: differs()} }
	// ask looks at the unit, and is what it is told of; one that runs differs by it.
	ask := func(m Machine, mend bool, unit thing) string {
		var told []string
		asked := false // Apply has it read again
		unit.id = "x.service"
		unit.told = func(c Changed) {
			if asked {
				return
			}
			asked = true
			told = slices.Sorted(maps.Keys(c))
			if unit.differs != nil {
				*unit.differs = len(told) > 0
			}
		}
		dueRun(t, m, mend, unit)
		return strings.Join(told, " ")
	}
	runs := func() thing { return thing{differs: differs()} }
	live := func() Machine { return Machine{Root: t.TempDir(), Live: true} }

	m := live()
	dueRun(t, m, true, file("/restart"), file("/other"), file("/reload"))
	before := content(t, m.path(dueFile))
	if got := ask(m, false, runs()); got != "/reload /restart" {
		t.Errorf("a comparison told the unit of %q", got)
	}
	if after := content(t, m.path(dueFile)); after != before {
		t.Errorf("a comparison changed %s to %s", before, after)
	}
	failing := runs()
	failing.apply = errBroken
	for _, c := range []struct {
		unit thing
		want string
	}{{failing, "/reload /restart"}, {runs(), "/reload /restart"}, {runs(), ""}} {
		if got := ask(m, true, c.unit); got != c.want {
			t.Errorf("the unit was told of %q, not of %q", got, c.want)
		}
	}

	// A file whose change was cut off itself, or failed, may have been changed.
	m = live()
	dueRun(t, m, true, thing{id: "/restart", differs: differs(), apply: errBroken})
	if got := ask(m, true, thing{}); got != "/restart" { // which does not run: nothing has to be done with it
		t.Errorf("the unit was told of %q", got)
	}
	if got := ask(m, true, runs()); got != "" {
		t.Errorf("a unit that did not run is told of %q later", got)
	}

	m = live()
	dueRun(t, m, false, file("/restart"))
	if _, err := os.Stat(m.path(dueFile)); err == nil {
		t.Error("a comparison keeps what it would change")
	}
	m.Live = false
	dueRun(t, m, true, file("/restart"))
	if _, err := os.Stat(m.path(dueFile)); err == nil {
		t.Error("a run off line keeps what PID 1 has not even started")
	}
}

// In one run a unit is told of what changed before it, and of what an earlier run left.
func TestDueOfBothRuns(t *testing.T) {
	m := Machine{Root: t.TempDir(), Live: true}
	dueRun(t, m, true, thing{id: "/restart", differs: differs()})
	var told Changed
	unit := thing{id: "x.service", told: func(c Changed) { told = c }}
	dueRun(t, m, true, thing{id: "/elsewhere", differs: differs()}, unit)
	if len(told) != 2 || !told["/restart"] || !told["/elsewhere"] {
		t.Errorf("it was told of %v", told)
	}
}

func TestDueIsDamaged(t *testing.T) {
	m := Machine{Root: t.TempDir(), Live: true}
	write(t, m.path(dueFile), "{")
	if _, err := Apply(t.Context(), m, State{}, nil); err == nil || !strings.Contains(err.Error(), m.path(dueFile)+" is damaged: ") {
		t.Errorf("the error is %v", err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
