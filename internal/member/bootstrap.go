package member

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"banyan/internal/durable"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/internal/peer"
	"banyan/seeds"
)

// These are there while somebody has ordered this node to begin the cluster, or to go on
// alone with what it holds, whatever the others do not answer: until the DCS has a quorum,
// and until PostgreSQL leads or follows. They do not outlive a boot.
const (
	orderDCS        = "/run/banyan/bootstrap-dcs"
	orderPostgreSQL = "/run/banyan/bootstrap-postgresql"
)

// OrderBootstrap has the next run bootstrap: see [MayBootstrap].
func OrderBootstrap() error {
	if err := os.MkdirAll(filepath.Dir(orderDCS), 0o755); err != nil {
		return err
	}
	for _, order := range []string{orderDCS, orderPostgreSQL} {
		if err := durable.WriteFile(order, nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

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
	all := append(j.peers.Ask(ctx, otherHolders(s, self)), peer.Result{Node: self, Answer: own})
	if err := j.advance(ctx, all); err != nil {
		return err
	}
	return mayBootstrap(all[len(all)-1], all[:len(all)-1])
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

// mayBootstrap judges by what this node and those that answer hold.
func mayBootstrap(self peer.Result, others []peer.Result) error {
	own := self.Answer
	var errs []error
	runs := func(r peer.Result) bool { return r.Node.Runs(seeds.ServicePostgreSQL) }
	if own.Etcd != peer.Data && runs(self) && self.Node.Patroni.Tags.NoFailover {
		errs = append(errs, fmt.Errorf("%s never leads, by patroni.tags.nofailover: order it on another node", self.Node.Name))
	}
	answers := func(r peer.Result) bool { return runs(r) && r.Err == nil }
	if !runs(self) && slices.ContainsFunc(others, runs) && !slices.ContainsFunc(others, answers) {
		errs = append(errs, errors.New("no node with PostgreSQL answers, and who may lead is not known: start them first"))
	}
	for _, o := range others {
		a := o.Answer
		switch {
		case o.Err != nil:
		case a.Etcd == peer.Data && own.Etcd != "":
			errs = append(errs, fmt.Errorf("%s answers, and holds data of etcd: have it join the others, or go on from there; what is of no use there, move aside first", o.Node.Name))
		case a.Raft == peer.Data && own.Raft != "":
			errs = append(errs, fmt.Errorf("%s answers, and holds the log of raft, which it tells this node", o.Node.Name))
		case own.Etcd == peer.Data, own.Raft != "", own.Etcd != "" && a.Etcd == "", o.Node.Patroni.Tags.NoFailover:
			// It cannot be ordered there, or need not: who has come furthest leads all the same, if it may.
		case a.PostgreSQL == peer.Data && own.PostgreSQL != peer.Data && own.PostgreSQL != "":
			errs = append(errs, fmt.Errorf("%s answers, and holds data of PostgreSQL, and this node has none: order it there", o.Node.Name))
		case a.PostgreSQL == peer.Data && own.PostgreSQL == peer.Data && a.Progress.Ahead(own.Progress):
			errs = append(errs, fmt.Errorf("the data of PostgreSQL on %s has come further: order it there", o.Node.Name))
		}
	}
	return errors.Join(errs...)
}
