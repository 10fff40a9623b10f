package flow

import (
	"errors"
	"strings"
	"testing"

	"banyan/internal/member"
	"banyan/internal/status"
)

// A failure that nobody can read is none: whatever failed, and however early,
// the report has a step with its error.
func TestAFailedJoinIsReported(t *testing.T) {
	lost := errors.New("holds no data any more")
	for name, c := range map[string]struct {
		open string // the step that was reported last
		err  error
		step status.Step
	}{
		"before it said anything": {"", &member.StepError{Step: "dcs", Look: "journalctl -b -u etcd", Err: lost},
			status.Step{Name: "dcs", Look: "journalctl -b -u etcd"}},
		"in the open step": {"dcs", &member.StepError{Step: "dcs", Look: "journalctl -b -u etcd", Err: lost},
			status.Step{Name: "dcs", Look: "journalctl -b -u etcd"}},
		"after another step": {"dcs", &member.StepError{Step: "birth", Look: "journalctl -b -u patroni", Err: lost},
			status.Step{Name: "birth", Look: "journalctl -b -u patroni"}},
		"before the first step": {"", lost, status.Step{Name: "join", Look: look}},
	} {
		r := newReporter()
		if c.open != "" {
			r.report.Begin(c.open)
		}
		r.endJoin(c.err)
		last := r.report.Steps[len(r.report.Steps)-1]
		if last.Name != c.step.Name || last.Look != c.step.Look || last.State != status.Failed || !strings.Contains(last.Error, lost.Error()) {
			t.Errorf("%s: got %+v", name, last)
		}
		r.report.State = status.Failed
		if summary := status.Summary(r.report, status.Live{}); !strings.Contains(summary, lost.Error()) {
			t.Errorf("%s: the summary does not say why:\n%s", name, summary)
		}
	}
}

func TestADoneJoinIsReported(t *testing.T) {
	r := newReporter()
	r.report.Begin("born")
	r.endJoin(nil)
	if got := r.report.Steps[0]; got.State != status.Done {
		t.Errorf("got %+v", got)
	}
}
