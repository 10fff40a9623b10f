package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"banyan/internal/dcs"
	"banyan/internal/durable"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/seeds"
)

// Leave takes this node, self of s, out of its cluster for good: it stops Patroni, so that
// another node leads, and has the other members of etcd go on without this one. What it
// holds stays where it is. Return undoes it. say is told what goes on.
func Leave(ctx context.Context, s seeds.Seed, self seeds.Node, f facts.Facts, say func(string)) error {
	units, err := connect(ctx)
	if err != nil {
		return err
	}
	defer units.Close()
	j := joining{seed: s, facts: f, self: self, units: units}
	if err := j.dial(); err != nil {
		return err
	}
	defer j.hangUp()
	if err := j.mayLeave(ctx); err != nil {
		return err
	}
	// From now on no boot starts the services, whatever becomes of what follows.
	if err := makeHere(ctx, marker(facts.LeftFile, "this node was taken out of the cluster: firstboot leave --undo\n")...); err != nil {
		return err
	}
	if self.Runs(seeds.ServicePostgreSQL) {
		say("stopping Patroni and PostgreSQL")
		if err := units.stop(ctx, patroniUnit); err != nil {
			return err
		}
	}
	if s.IsRaftMember(self) {
		say("stopping " + node.RaftUnit + ": the other members go on without it once they have a seed that does not list it")
		return units.stop(ctx, node.RaftUnit)
	}
	if !s.IsEtcdMember(self) {
		return nil
	}
	if err := j.leaveEtcd(ctx, say); err != nil {
		return errors.Join(fmt.Errorf("this node stays in its cluster: %w", err), Return())
	}
	return units.stop(ctx, etcdUnit)
}

// leaveTime is how long the others may have something against it, as they do for some
// seconds after one of them was away.
const leaveTime = 30 * time.Second

// mayLeave refuses what would leave nobody behind.
func (j *joining) mayLeave(ctx context.Context) error {
	if len(j.seed.Members(seeds.ServicePostgreSQL)) == 1 && j.self.Runs(seeds.ServicePostgreSQL) {
		return errors.New("this is the cluster's only node with PostgreSQL: nobody would be left to lead")
	}
	if !j.seed.IsEtcdMember(j.self) {
		return nil
	}
	members, err := j.others.Members(ctx)
	if err != nil {
		return fmt.Errorf("the other members of etcd have to agree: %w", err)
	}
	if len(members) == 1 {
		return errors.New("this is the only member of etcd: nobody would know the cluster")
	}
	return nil
}

func (j *joining) leaveEtcd(ctx context.Context, say func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	return poll(ctx, say, func() (bool, string, error) {
		err := j.removeOwn(ctx, say)
		if dcs.MayPass(err) {
			return false, err.Error(), nil
		}
		return true, "", err
	})
}

func (j *joining) removeOwn(ctx context.Context, say func(string)) error {
	return j.others.Locked(ctx, func(ctx context.Context) error {
		members, err := j.others.Members(ctx)
		if err != nil {
			return err
		}
		m, listed := dcs.FindMember(members, j.self.Name, node.EtcdPeerURL(j.self))
		if !listed {
			return nil
		}
		say(fmt.Sprintf("removing %s from etcd", m))
		return j.others.Remove(ctx, m.ID)
	})
}

// Return undoes [Leave], as far as the next run goes: it makes the node join again.
func Return() error { return durable.Remove(facts.LeftFile) }
