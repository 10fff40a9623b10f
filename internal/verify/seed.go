package verify

import (
	"banyan/internal/check"
	"banyan/internal/peer"
)

// Staged is a newer seed that waits for somebody to apply it.
type Staged struct {
	Found string // what there is to say of it; "" where there is none
	HowTo string // apply it
}

// checkSeed compares the generation of the node's seed with that which the DCS knows, and
// with those of the other nodes.
func checkSeed(f Facts) []check.Check {
	const mine = "give this node its new seed: firstboot(8), PLACES"
	v, own := check.Begin("seed"), f.Seed.Cluster.Generation
	known := false
	switch e := f.Etcd; {
	case e == nil || e.MembersErr != nil: // which says enough
	case e.SeedErr != nil:
		v.Fail("etcdctl member list", "%v", e.SeedErr)
	case e.Newer:
		v.Warn(mine, "generation %d, and the cluster knows a later one, so this one decides nothing", own)
		known = true
	}
	for _, r := range f.Peers {
		switch theirs := r.Answer.Generation; {
		case r.Err != nil:
		case theirs > own && !known:
			v.Warn(mine, "generation %d, and %s has %d", own, r.Node.Name, theirs)
		case theirs < own:
			v.Warn("give "+r.Node.Name+" its new seed", "%s has generation %d, and this node %d", r.Node.Name, theirs, own)
		}
	}
	if f.Staged.Found != "" {
		v.Warn(f.Staged.HowTo, "%s", f.Staged.Found)
	}
	return v.End("generation %d, and no newer one is known", own)
}

// checkPeers asks what every other node holds, which also tells which of them are there.
func checkPeers(f Facts) []check.Check {
	if len(f.Peers) == 0 {
		return nil
	}
	v := check.Begin("nodes")
	for _, r := range f.Peers {
		name := r.Node.Name
		switch {
		case r.Err != nil:
			v.Fail(f.on(name, "firstboot status; systemctl status banyan-peer.socket"), "%s (%s) does not answer: %v", name, r.Node.Address.Addr(), r.Err)
		case r.Answer.Etcd == peer.Lost:
			v.Fail(f.on(name, "journalctl -b -u banyan-firstboot"), "%s has lost its data of etcd", name)
		case r.Answer.Raft == peer.Lost:
			v.Fail(f.on(name, "journalctl -b -u banyan-firstboot"), "%s has lost its log of raft", name)
		case r.Answer.PostgreSQL == peer.Lost:
			v.Fail(f.on(name, "journalctl -b -u banyan-firstboot"), "%s has lost its data of PostgreSQL", name)
		}
	}
	return v.End("%s that hold data answer", count(len(f.Peers), "other node", "other nodes"))
}
