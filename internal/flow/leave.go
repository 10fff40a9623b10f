package flow

import (
	"context"
	"errors"

	"banyan/internal/command"
	"banyan/internal/member"
)

// Leave takes this node out of its cluster, for good.
func Leave(ctx context.Context) (err error) {
	n, err := load()
	if err != nil {
		return err
	}
	done, err := takeOver(ctx) // a run may wait for ever, which is why one leaves
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	return member.Leave(ctx, *n.Seed, n.Node, n.facts, sayIt)
}

// Return undoes Leave: the node joins its cluster again.
func Return(ctx context.Context) error {
	if err := member.Return(); err != nil {
		return err
	}
	return startRun(ctx)
}

// Bootstrap has this node begin its cluster, or go on alone with what it holds, without
// the answers of the nodes that it would wait for.
func Bootstrap(ctx context.Context) error {
	n, err := load()
	if err != nil {
		return err
	}
	if err := member.MayBootstrap(ctx, *n.Seed, n.Node, n.facts); err != nil {
		return err
	}
	if err := member.OrderBootstrap(); err != nil {
		return err
	}
	return startRun(ctx)
}

// startRun starts a run, whose report is there once this returns, not that of the last one.
// One that waits is begun anew.
func startRun(ctx context.Context) error {
	_, err := command.Run(ctx, "systemctl", "restart", runUnit)
	return err
}

// errLeft is how a run ends on a node that was taken out.
var errLeft = errors.New("this node was taken out of its cluster; `firstboot leave --undo` has it join again")
