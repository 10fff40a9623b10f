package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"banyan/internal/inspect"
	"banyan/internal/verify"
	"banyan/seeds"
)

// verifyTime bounds the looking at the node and the asking of the others.
const verifyTime = time.Minute

// Verify judges whether this node and its cluster are sound. It changes nothing.
func Verify(ctx context.Context) (verify.Result, error) {
	n, err := load()
	if err != nil {
		return verify.Result{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, verifyTime, fmt.Errorf("not done after %v", verifyTime))
	defer cancel()
	found := inspect.Look(ctx, n.Seed, n.Node, n.facts, n.desired)
	found.Staged = n.staged()
	return verify.Judge(found), nil
}

// staged is what there is to say of a newer seed that waits.
func (n planted) staged() verify.Staged {
	found, err := readSealed(stagedSeed, n.facts)
	if errors.Is(err, errNoSeed) {
		return verify.Staged{}
	}
	if err != nil {
		return verify.Staged{Found: fmt.Sprintf("a staged seed cannot be read: %v", err), HowTo: "rm " + stagedSeed}
	}
	verdict := seeds.Judge(n.Found, found)
	if verdict.Action == seeds.Leave { // the next run drops it
		return verify.Staged{}
	}
	return verify.Staged{Found: verdict.Reason + ", and kept", HowTo: applyStaged}
}
