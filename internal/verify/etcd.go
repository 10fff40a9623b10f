package verify

import (
	"fmt"
	"slices"
	"strings"

	"banyan/internal/check"
	"banyan/internal/dcs"
	"banyan/internal/node"
	"banyan/seeds"
)

// Etcd is what etcd says to this node.
type Etcd struct {
	Members    []dcs.Member
	MembersErr error          // they cannot be listed, which needs a quorum
	Endpoints  []dcs.Endpoint // of all members that the seed lists
	Alarms     []dcs.Alarm
	AlarmsErr  error
	Newer      bool  // it knows a later generation of the seed
	SeedErr    error // it has the seed of another cluster, or none is read
}

const etcdLog = "systemctl status etcd; journalctl -b -u etcd"

func checkEtcd(f Facts) []check.Check {
	checks := checkQuorum(f)
	checks = append(checks, checkEtcdMembers(f)...)
	return append(checks, checkEtcdSpace(f)...)
}

// nameOf is what a person calls an endpoint: the node that it is of, or its URL.
func (f Facts) nameOf(url string) string {
	if f.Seed.Cluster.DCS == seeds.DCSEtcd {
		for _, n := range node.EtcdMembers(*f.Seed) {
			if node.EtcdClientURL(n) == url {
				return n.Name
			}
		}
	}
	return url
}

// see is how to look further at the member of an endpoint.
func (f Facts) see(name string) string {
	if strings.Contains(name, "://") { // is not ours
		return "etcdctl endpoint health"
	}
	return f.on(name, etcdLog)
}

func checkQuorum(f Facts) []check.Check {
	v, e := check.Begin("etcd"), f.Etcd
	if e.MembersErr != nil {
		v.Fail("etcdctl endpoint health", "it has no quorum (%v)", e.MembersErr)
	}
	leaders := map[uint64]bool{}
	for _, p := range e.Endpoints {
		name := f.nameOf(p.URL)
		switch {
		case p.Err != nil:
			v.Fail(f.see(name), "%s does not answer: %v", name, p.Err)
		case p.Leader == 0:
			v.Fail(f.see(name), "%s knows no leader", name)
		default:
			leaders[p.Leader] = true
		}
	}
	if len(leaders) > 1 {
		v.Fail("etcdctl endpoint status --write-out table", "its members follow %d leaders", len(leaders))
	}
	if !v.Sound() && e.MembersErr == nil {
		v.Note("the rest has a quorum")
	}
	return v.End("%s, and all follow one leader", count(len(e.Endpoints), "member answers", "members answer"))
}

// checkEtcdMembers compares those that etcd lists with those of the seed.
func checkEtcdMembers(f Facts) []check.Check {
	const name, list = "etcd members", "etcdctl member list"
	v, e := check.Begin(name), f.Etcd
	if e.MembersErr != nil {
		return check.Skipped(name, "they cannot be listed without a quorum")
	}
	for _, m := range e.Members {
		switch {
		case !m.Started():
			v.Warn(list, "%s was added, and has not started", strings.Join(m.PeerURLs, ", "))
		case m.Learner:
			v.Warn(list, "%s is a learner yet, without a vote", m.Name)
		}
	}
	if f.Seed.Cluster.DCS == seeds.DCSEtcd {
		ours := node.EtcdMembers(*f.Seed)
		for _, n := range ours {
			if _, listed := dcs.FindMember(e.Members, n.Name, node.EtcdPeerURL(n)); !listed {
				v.Fail(f.on(n.Name, "firstboot status"), "%s is none", n.Name)
			}
		}
		for _, m := range e.Members {
			known := slices.ContainsFunc(ours, func(n seeds.Node) bool { return n.Name == m.Name || slices.Contains(m.PeerURLs, node.EtcdPeerURL(n)) })
			if !known {
				v.Warn("firstboot leave on a node that is to go", "%s is one, and the seed does not know it", m)
			}
		}
	}
	return v.End("%d, all with a vote", len(e.Members))
}

// most is how much of its quota a database may take before somebody is told, in percent.
const most = 80

func checkEtcdSpace(f Facts) []check.Check {
	v, e := check.Begin("etcd space"), f.Etcd
	const defragment = "etcdctl compact, etcdctl defrag and etcdctl alarm disarm: https://etcd.io/docs/v3.5/op-guide/maintenance/#space-quota"
	for _, a := range e.Alarms {
		v.Fail(defragment, "%s has raised the alarm %s", memberName(e.Members, a.Member), a.Kind)
	}
	// Without a quorum there is more to do, and of an external etcd an administrator alone may know them.
	if e.AlarmsErr != nil && e.MembersErr == nil && !dcs.IsDenied(e.AlarmsErr) {
		v.Warn("etcdctl alarm list", "its alarms cannot be listed: %v", e.AlarmsErr)
	}
	largest := int64(0)
	for _, p := range e.Endpoints {
		largest = max(largest, p.Size)
		n, ours := f.Seed.ByName(f.nameOf(p.URL))
		if quota := int64(n.Etcd.QuotaBackendBytes); ours && percent(p.Size, quota) >= most {
			v.Warn(defragment, "the database of %s takes %d MB of its quota of %d", n.Name, p.Size>>20, quota>>20)
		}
	}
	return v.End("no alarm; the largest database has %d MB", largest>>20)
}

func memberName(all []dcs.Member, id uint64) string {
	for _, m := range all {
		if m.ID == id {
			return m.Name
		}
	}
	return fmt.Sprintf("member %x", id)
}
