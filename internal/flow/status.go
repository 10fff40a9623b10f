package flow

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"banyan/internal/status"
)

// NodeStatus is what this boot made of the node and how its services are now.
type NodeStatus struct {
	status.Report
	Live status.Live `json:"live,omitzero"`
}

// Summary is one screen of text, and below it where seeds were looked for.
func (s NodeStatus) Summary() string {
	return status.Summary(s.Report, s.Live) + status.Sources(s.Report)
}

// ExitCode is that of `firstboot status`.
func (s NodeStatus) ExitCode() int { return status.Evaluate(s.Report, s.Live) }

// Status asks for the state of the node. If wait is set it asks again until the
// node is done and serves, or has failed.
func Status(ctx context.Context, wait bool) (NodeStatus, error) {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		s, err := statusNow(ctx)
		if !wait || err != nil || s.ExitCode() != status.ExitGoing {
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-again.C:
		}
	}
}

func statusNow(ctx context.Context) (NodeStatus, error) {
	report, err := status.Read(status.Path)
	if errors.Is(err, fs.ErrNotExist) { // so early in the boot
		report, err = status.Report{State: status.Running}, nil
	}
	if err != nil {
		return NodeStatus{}, err
	}
	s := NodeStatus{Report: report}
	if report.Address != "" {
		s.Live = status.Look(ctx, report)
	}
	return s, nil
}
