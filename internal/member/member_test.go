package member

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []string{"a", "a", "b", ""}
		var said []string
		began := time.Now()
		err := poll(t.Context(), func(s string) { said = append(said, s) }, func() (bool, string, error) {
			answer := answers[0]
			answers = answers[1:]
			return answer == "", answer, nil
		})
		if err != nil || !slices.Equal(said, []string{"a", "b"}) {
			t.Errorf("error %v, said %q", err, said)
		}
		if took := time.Since(began); took != 3*pollInterval {
			t.Errorf("four questions took %v", took)
		}
	})
}

func TestPollEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := errors.New("not done after 90 s")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 90*time.Second, late)
		defer cancel()
		err := poll(ctx, func(string) {}, func() (bool, string, error) { return false, "waiting for Godot", nil })
		if !errors.Is(err, late) || err.Error() != "not done after 90 s: waiting for Godot" {
			t.Errorf("the error is %v", err)
		}
	})
}

// An answer that failed because the time was up says less than what was awaited.
func TestPollEndsWithinAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := poll(ctx, func(string) {}, func() (bool, string, error) {
			select {
			case <-time.After(2 * time.Second):
				return false, "waiting for Godot", nil
			case <-ctx.Done():
				return false, "", errors.New("ask systemd for etcd.service: too late")
			}
		})
		if err == nil || err.Error() != "context deadline exceeded: waiting for Godot" {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestPollFails(t *testing.T) {
	broken := errors.New("broken")
	err := poll(t.Context(), nil, func() (bool, string, error) { return false, "", broken })
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

func TestUnitState(t *testing.T) {
	for _, test := range []struct {
		state   unitState
		text    string
		running bool
	}{
		{unitState{"x", "active", "running", "success", false}, "x is active (running)", true},
		{unitState{"x", "inactive", "dead", "success", false}, "x is inactive (dead)", false},
		{unitState{"x", "inactive", "dead", "success", true}, "x is inactive (dead, queued)", true},
		{unitState{"x", "failed", "failed", "exit-code", false}, "x is failed (failed, exit-code)", false},
		{unitState{"x", "activating", "auto-restart", "exit-code", false}, "x is activating (auto-restart, exit-code)", true},
	} {
		if got := test.state.String(); got != test.text || test.state.running() != test.running {
			t.Errorf("%q, running %t, want %q, %t", got, test.state.running(), test.text, test.running)
		}
	}
}
