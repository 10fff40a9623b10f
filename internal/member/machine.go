package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"banyan/internal/dcs"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/seeds"
)

// errCopy is what a node is told whose disk is a copy of another's that runs.
var errCopy = errors.New("another machine runs as this node, so this disk is a copy of its disk: give this machine a disk and a seed of its own")

// proveOriginal finds out whether a disk that has come to another machine was moved, or is a
// copy of one that runs in the old machine: two members of one name would ruin both. It
// waits until nobody hears of the node. Whoever is heard of for twice as long as Patroni's
// key lives (ttl, in seconds) runs: errCopy. Where there is nobody to ask there is nothing to
// ruin.
func (j *joining) proveOriginal(ctx context.Context, say func(string)) error {
	if j.dcs == nil || j.seed.Cluster.DCS == seeds.DCSEtcd && len(others(node.EtcdMembers(j.seed), j.self)) == 0 {
		say("this disk was in another machine before")
		return nil
	}
	patience := 2 * time.Duration(j.self.Patroni.TTL) * time.Second
	began := time.Now()
	return poll(ctx, say, func() (bool, string, error) {
		alive, err := j.aliveElsewhere(ctx)
		switch {
		case err != nil:
			return false, fmt.Sprintf("this disk was in another machine before, and it cannot be asked whether that one runs: %v; "+
				"if you have moved the disk: rm %s && systemctl restart banyan-firstboot", err, facts.MachineFile), nil
		case alive && time.Since(began) > patience:
			return false, "", errCopy
		case alive:
			return false, "this disk was in another machine before: waits until nobody hears of that one", nil
		}
		say("this disk was moved here from another machine")
		return true, "", nil
	})
}

// aliveElsewhere tells whether somebody does this node's work.
func (j *joining) aliveElsewhere(ctx context.Context) (bool, error) {
	if j.self.Runs(seeds.ServicePostgreSQL) {
		if runs, err := j.dcs.Runs(ctx, j.self.Name); runs || err != nil {
			return runs, err
		}
	}
	if !j.seed.IsEtcdMember(j.self) {
		return false, nil
	}
	members, err := j.others.Members(ctx)
	if err != nil {
		return false, err
	}
	m, listed := dcs.FindMember(members, j.self.Name, node.EtcdPeerURL(j.self))
	if !listed || !m.Started() {
		return false, nil
	}
	return j.others.Active(ctx, m, members)
}
