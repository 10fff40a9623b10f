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
