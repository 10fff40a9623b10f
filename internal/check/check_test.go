package check

import "testing"

// TestWorst: of a check and of all of them the worst counts, in whatever order it comes; what is
// skipped counts as neither.
func TestWorst(t *testing.T) {
	for _, test := range []struct {
		states []State
		want   State
		exit   int
	}{
		{nil, OK, 0},
		{[]State{OK}, OK, 0},
		{[]State{Warn}, Warn, 1},
		{[]State{Fail}, Fail, ExitFailed},
		{[]State{Warn, Warn}, Warn, 1},
		{[]State{Warn, Fail}, Fail, ExitFailed},
		{[]State{Fail, Warn}, Fail, ExitFailed},
		{[]State{Warn, OK}, Warn, 1},
		{[]State{Fail, OK}, Fail, ExitFailed},
		{[]State{Skip}, OK, 0},
		{[]State{OK, Skip}, OK, 0},
		{[]State{Skip, Warn, Skip}, Warn, 1},
		{[]State{Skip, Fail, Skip}, Fail, ExitFailed},
	} {
		var all []Check
		for _, state := range test.states {
			all = append(all, Check{State: state})
		}
		if got := Worst(all); got != test.want || got.ExitCode() != test.exit {
			t.Errorf("the worst of %v is %s with the exit code %d, want %s with %d", test.states, got, got.ExitCode(), test.want, test.exit)
		}
	}
}

// TestVerdict: whatever is found, a failure stays one, and all that was found is told.
func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		wrong []State
		want  Check
	}{
		{nil, Check{"raid", OK, "2 disks", ""}},
		{[]State{Warn}, Check{"raid", Warn, "warn 0", "look"}},
		{[]State{Fail}, Check{"raid", Fail, "fail 0", "repair"}},
		{[]State{Warn, Fail}, Check{"raid", Fail, "warn 0; fail 1", "look; repair"}},
		{[]State{Fail, Warn}, Check{"raid", Fail, "fail 0; warn 1", "repair; look"}},
		{[]State{Warn, Warn}, Check{"raid", Warn, "warn 0; warn 1", "look"}},
	} {
		v := Begin("raid")
		for i, state := range test.wrong {
			advice := map[State]string{Warn: "look", Fail: "repair"}[state]
			v.add(state, advice, "%s %d", state, i)
		}
		if v.Sound() != (len(test.wrong) == 0) {
			t.Errorf("with %v it is %t that it is sound", test.wrong, v.Sound())
		}
		if got := v.End("%d disks", 2); len(got) != 1 || got[0] != test.want {
			t.Errorf("%v make %+v, want %+v", test.wrong, got, test.want)
		}
	}
	v := Begin("raid")
	v.Fail("repair", "a disk is gone")
	if got := v.Skip("there is no %s", "raid"); len(got) != 1 || got[0] != (Check{"raid", Skip, "there is no raid", ""}) {
		t.Errorf("skipped it is %+v", got)
	}
}
