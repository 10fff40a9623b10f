package member

import (
	"context"
	"errors"
	"fmt"

	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/internal/peer"
	"banyan/seeds"
)

// BootstrapOrder is there while somebody has ordered this node to begin the cluster, or to
// go on alone with what it holds, whatever the others do not answer. It does not outlive a
// boot.
const BootstrapOrder = "/run/banyan/bootstrap"

// MayBootstrap is an error where a node must not go on without the others, since one that
// answers holds what would be lost, or what would be there twice.
func MayBootstrap(ctx context.Context, s seeds.Seed, self seeds.Node, f facts.Facts) error {
	j := joining{seed: s, facts: f, self: self}
	if err := j.dial(); err != nil {
		return err
	}
	defer j.hangUp()
	if !s.HoldsState(self) {
		return fmt.Errorf("%s runs neither PostgreSQL nor a part of the DCS: there is nothing to begin with", self.Name)
	}
	switch err := j.dcs.Healthy(ctx); {
	case !s.IsEtcdMember(self) && !s.IsRaftMember(self):
		if err != nil {
			return noQuorum(node.EtcdMembers(s), err)
		}
	case err == nil:
		return errors.New("the DCS has a quorum: there is nothing to go on without")
	}
	own, err := Holdings(ctx, s, self, f)
	if err != nil {
		return err
	}
	if own.Raft == peer.Data {
		return errors.New("this node holds the log of raft, whose members are those of the seed: apply a seed that lists only those there still are")
	}
	// Not j.ask: what a node of another generation holds would be lost, too.
	return mayBootstrap(own, j.peers.Ask(ctx, otherHolders(s, self)))
}

// noQuorum says where an etcd can be begun that this node is no member of.
func noQuorum(members []seeds.Node, err error) error {
	if len(members) == 0 {
		return fmt.Errorf("the etcd of the seed, which this node is no part of, does not serve: bring it back first: %w", err)
	}
	var names []string
	for _, m := range members {
		names = append(names, m.Name)
	}
	return fmt.Errorf("etcd, which this node is no member of, does not serve: start its members, or order this on one of them first (%s): %w", seeds.Words(names), err)
}

func mayBootstrap(own peer.Answer, others []peer.Result) error {
	var errs []error
	for _, o := range others {
		a := o.Answer
		switch {
		case o.Err != nil:
		case a.Etcd == peer.Data && own.Etcd != "":
			errs = append(errs, fmt.Errorf("%s answers, and holds data of etcd: have it join the others, or go on from there; what is of no use there, move aside first", o.Node.Name))
		case a.Raft == peer.Data && own.Raft != "":
			errs = append(errs, fmt.Errorf("%s answers, and holds the log of raft, which it tells this node", o.Node.Name))
		case own.Etcd == peer.Data: // it knows who may lead
		case a.PostgreSQL == peer.Data && own.PostgreSQL != peer.Data && own.PostgreSQL != "":
			errs = append(errs, fmt.Errorf("%s answers, and holds data of PostgreSQL, and this node has none: order it there", o.Node.Name))
		case a.PostgreSQL == peer.Data && own.PostgreSQL == peer.Data && a.Progress.Ahead(own.Progress):
			errs = append(errs, fmt.Errorf("the data of PostgreSQL on %s has come further: order it there", o.Node.Name))
		}
	}
	return errors.Join(errs...)
}
