package member

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"banyan/internal/dcs"
	"banyan/internal/node"
	"banyan/seeds"
)

// tendMembers keeps the list of etcd's members what the seed says.
func (j *joining) tendMembers(ctx context.Context, say func(string)) error {
	if err := j.tellAddress(ctx, say); err != nil {
		return err
	}
	return j.dropUnlisted(ctx, say)
}

// tellAddress has etcd know where this node's peers reach it by now.
func (j *joining) tellAddress(ctx context.Context, say func(string)) error {
	members, err := j.etcd.Members(ctx)
	if err != nil {
		return err
	}
	url := node.EtcdPeerURL(j.self)
	m, listed := dcs.FindMember(members, j.self.Name, url)
	if !listed || slices.Equal(m.PeerURLs, []string{url}) {
		return nil
	}
	say(fmt.Sprintf("the other members of etcd reach this one at %s from now on", url))
	return j.etcd.Locked(ctx, func(ctx context.Context) error { return j.etcd.Update(ctx, m.ID, url) })
}

// dropUnlisted removes from etcd members that the seed, the latest that the cluster knows,
// lists no more: those that nobody has heard of for a while. etcd itself refuses where the
// rest would have no quorum.
func (j *joining) dropUnlisted(ctx context.Context, say func(string)) error {
	if newer, err := j.dcs.KnowsNewer(ctx, j.seed.Cluster); newer || err != nil {
		return err
	}
	began, silent := time.Now(), map[uint64]time.Time{}
	return poll(ctx, say, func() (bool, string, error) {
		members, err := j.etcd.Members(ctx)
		if err != nil {
			return false, fmt.Sprintf("etcd does not list its members: %v", err), nil
		}
		unlisted := unlistedMembers(members, node.EtcdMembers(j.seed))
		waiting := ""
		for _, m := range unlisted {
			active, err := j.etcd.Active(ctx, m, members)
			switch {
			case err != nil:
				return false, fmt.Sprintf("nobody says whether %s runs: %v", m, err), nil
			case active && time.Since(began) < fadeTime:
				delete(silent, m.ID)
				waiting = fmt.Sprintf("the seed lists %s no more, and others hear of it", m)
				continue
			case active:
				delete(silent, m.ID)
				say(fmt.Sprintf("%s is a member of etcd that the seed lists no more, and it runs: `firstboot leave` there takes it out", m))
				continue
			case silent[m.ID].IsZero():
				silent[m.ID] = time.Now()
			}
			if time.Since(silent[m.ID]) < silenceTime {
				waiting = fmt.Sprintf("the seed lists %s no more: it is removed when nobody has heard of it for %v", m, silenceTime)
				continue
			}
			say(fmt.Sprintf("removing %s from etcd, since the seed lists it no more and nobody hears of it", m))
			err = j.etcd.Locked(ctx, func(ctx context.Context) error { return j.dropSilent(ctx, m) })
			if dcs.MayPass(err) || errors.Is(err, errChanged) {
				return false, err.Error(), nil
			}
			if err != nil {
				return false, "", err
			}
		}
		return waiting == "", waiting, nil
	})
}

// dropSilent removes a member that is silent still, under the lock that may have taken its
// time, by a seed that is the latest still.
func (j *joining) dropSilent(ctx context.Context, m dcs.Member) error {
	newer, err := j.dcs.KnowsNewer(ctx, j.seed.Cluster)
	if err != nil {
		return err
	}
	if newer {
		return nil
	}
	members, err := j.etcd.Members(ctx)
	if err != nil {
		return err
	}
	if err := j.stillSilent(ctx, m, members); err != nil {
		return err
	}
	return j.etcd.Remove(ctx, m.ID)
}

// unlistedMembers are those that were started once and are none of these nodes. One that was
// never started may be a node that joins by a later seed.
func unlistedMembers(members []dcs.Member, nodes []seeds.Node) []dcs.Member {
	return slices.DeleteFunc(slices.Clone(members), func(m dcs.Member) bool {
		return !m.Started() || slices.ContainsFunc(nodes, func(n seeds.Node) bool { return n.Name == m.Name })
	})
}
