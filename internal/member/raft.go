package member

import (
	"context"
	"errors"
	"path/filepath"

	"banyan/internal/converge"
	"banyan/internal/durable"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/internal/peer"
	"banyan/internal/raft"
	"banyan/seeds"
)

// raftBirthMarker says that the member founds the raft, and was never seen to take part.
const raftBirthMarker = facts.StateDir + "/raft-birth"

func raftHolding(s seeds.Seed, self seeds.Node, f facts.Facts) (peer.Holding, error) {
	dir := self.Patroni.Raft.DataDir
	if err := mounted(s, self, f, dir); err != nil {
		return "", err
	}
	log, err := raft.HasLog(dir, node.RaftAddress(self))
	if err != nil {
		return "", err
	}
	begun, err := durable.Exists(raftBirthMarker)
	return holding(log, begun, f.Born), err
}

// startRaft makes this node a member of the raft that has all of the log.
func (j *joining) startRaft(ctx context.Context, say func(string)) error {
	// One that runs without a log learns nothing where nobody has one, and is in nobody's way.
	own, err := raftHolding(j.seed, j.self, j.facts)
	if err != nil {
		return err
	}
	state, err := j.units.state(ctx, node.RaftUnit)
	if err != nil {
		return err
	}
	if own != peer.Data || !state.running() {
		if err := j.prepareRaft(ctx, say); err != nil {
			return err
		}
	}
	say("starting " + node.RaftUnit)
	if err := j.units.start(ctx, node.RaftUnit); err != nil {
		return err
	}
	return poll(ctx, say, func() (bool, string, error) {
		err := j.dcs.Healthy(ctx)
		if err == nil {
			log, err := raft.HasLog(j.self.Patroni.Raft.DataDir, node.RaftAddress(j.self))
			if err != nil || !log {
				return false, "it is told what the other members have", err
			}
			return true, "", errors.Join(durable.Remove(orderDCS), endRaftBirth(ctx))
		}
		state, stateErr := j.units.state(ctx, node.RaftUnit)
		if stateErr != nil {
			return false, "", stateErr
		}
		return false, state.explain(err), nil
	})
}

// prepareRaft makes a member that does not run fit for its start: it waits until that may be.
func (j *joining) prepareRaft(ctx context.Context, say func(string)) error {
	rest := others(node.RaftMembers(j.seed), j.self)
	return poll(ctx, say, func() (bool, string, error) {
		own, err := raftHolding(j.seed, j.self, j.facts)
		if err != nil {
			return false, "", err
		}
		ordered, err := durable.Exists(orderDCS)
		if err != nil {
			return false, "", err
		}
		var answers []peer.Result
		if own != peer.Data {
			answers = j.ask(ctx, rest)
		}
		start, waiting := raft.Decide(own, ordered, answers)
		switch start {
		case raft.Wait:
			return false, waiting, nil
		case raft.Found:
			say("founding the raft")
			// Where it was ordered, Patroni would take itself for the leader before who has come furthest is known.
			if err := errors.Join(j.units.stop(ctx, patroniUnit), j.units.stop(ctx, node.RaftUnit)); err != nil {
				return false, "", err
			}
			return true, "", foundRaft(ctx)
		default:
			return true, "", nil
		}
	})
}

// foundRaft has the member found the raft at its next start.
func foundRaft(ctx context.Context) error {
	if err := makeHere(ctx, marker(raftBirthMarker, "the log of raft is being made\n")...); err != nil {
		return err
	}
	return makeHere(ctx,
		converge.Directory{Path: filepath.Dir(raft.Founding), Mode: 0o755},
		converge.File{Path: raft.Founding, Mode: 0o644, Content: raft.FoundingContent},
		converge.Unit{Name: node.RaftUnit}) // for its daemon-reload
}

// endRaftBirth is for a member that takes part.
func endRaftBirth(ctx context.Context) error {
	there, err := durable.Exists(raft.Founding)
	if err != nil {
		return err
	}
	if err := errors.Join(durable.Remove(raftBirthMarker), durable.Remove(raft.Founding)); err != nil || !there {
		return err
	}
	return makeHere(ctx, converge.Unit{Name: node.RaftUnit})
}
