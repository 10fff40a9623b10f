package flow

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"banyan/internal/status"
)

// NodeStatus is what this boot made of the node and how its services are now.
type NodeStatus struct {
	status.Report
	Live status.Live `json:"live,omitzero"`
}

// String is one screen of text, and below it the members of the cluster and where seeds
// were looked for.
func (s NodeStatus) String() string {
	parts := []string{status.Summary(s.Report, s.Live), status.Members(s.Report, s.Live), status.Sources(s.Report)}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "\n")
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
		if err != nil {
			return s, err
		}
		if !wait || s.ExitCode() != status.ExitGoing {
			s.lookAround(ctx)
			return s, nil
		}
		select {
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-again.C:
		}
	}
}

// lookAround asks for the other members too, once the node has been planted.
func (s *NodeStatus) lookAround(ctx context.Context) {
	if len(s.Access.PostgreSQL) == 0 {
		return
	}
	cluster, err := status.LookAround(ctx, s.Report)
	if err != nil {
		s.Live.ClusterError = err.Error()
		return
	}
	s.Live.Cluster = &cluster
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
