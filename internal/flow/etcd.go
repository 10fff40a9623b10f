package flow

import (
	"context"
	"log"

	"banyan/internal/member"
)

func sayIt(message string) { log.Print(message) }

// Snapshot takes a snapshot of this node's etcd and keeps that many. It changes nothing
// that a run does, and waits for none.
func Snapshot(ctx context.Context, keep int) error {
	n, err := load()
	if err != nil {
		return err
	}
	return member.Snapshot(ctx, *n.Seed, n.Node, n.facts, keep, sayIt)
}

// RestoreEtcd makes a new etcd, of this node alone, from a snapshot.
func RestoreEtcd(ctx context.Context, r member.Restoration) error {
	n, err := load()
	if err != nil {
		return err
	}
	return member.Restore(ctx, *n.Seed, n.Node, n.facts, r, takeOver, sayIt)
}

// JoinRestoredEtcd has this node join the etcd that was restored on another.
func JoinRestoredEtcd(ctx context.Context) error {
	n, err := load()
	if err != nil {
		return err
	}
	return member.JoinRestored(ctx, *n.Seed, n.Node, n.facts, takeOver, sayIt)
}
