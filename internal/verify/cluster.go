package verify

import (
	"fmt"
	"slices"
	"strings"

	"banyan/internal/check"
	"banyan/internal/node"
	"banyan/internal/patroni"
	"banyan/seeds"
)

// Cluster is what Patroni says of PostgreSQL, by its REST API.
type Cluster struct {
	Nodes  []PatroniNode // all nodes that run PostgreSQL, in the seed's order
	All    patroni.Cluster
	Config patroni.Config
	Err    error // nobody tells All and Config
}

// PatroniNode is what the Patroni of one node says of itself.
type PatroniNode struct {
	Node   string
	Status patroni.Status
	Err    error
}

// leads tells whether a node says that it leads.
func (n PatroniNode) leads() bool { return n.Err == nil && n.Status.Leads() }

// primary tells whether a node takes writes.
func (n PatroniNode) primary() bool {
	return n.Err == nil && n.Status.State == "running" && (n.Status.Role == "primary" || n.Status.Role == "master")
}

// of is what a node's own Patroni says.
func (c Cluster) of(node string) (PatroniNode, bool) {
	i := slices.IndexFunc(c.Nodes, func(n PatroniNode) bool { return n.Node == node })
	if i < 0 {
		return PatroniNode{Err: fmt.Errorf("%s does not run PostgreSQL", node)}, false
	}
	return c.Nodes[i], true
}

// leader is who holds the lock, as the cluster has it; "" for nobody.
func (c Cluster) leader() string {
	for _, m := range c.All.Members {
		if m.Leads() {
			return m.Name
		}
	}
	return ""
}

// member is a member of that name.
func (c Cluster) member(name string) (patroni.Member, bool) {
	i := slices.IndexFunc(c.All.Members, func(m patroni.Member) bool { return m.Name == name })
	if i < 0 {
		return patroni.Member{}, false
	}
	return c.All.Members[i], true
}

// receives tells whether a member is known to receive WAL, and so follows where the leader goes.
func (c Cluster) receives(m patroni.Member) bool {
	return m.State == "streaming" || m.State == "running" && c.streams(m)
}

// streams tells whether a replica receives WAL: as it says itself from Patroni 3.0.4 on,
// or as the one says that it receives from.
func (c Cluster) streams(m patroni.Member) bool {
	if m.State != "running" || m.Leads() {
		return true
	}
	return slices.ContainsFunc(c.Nodes, func(n PatroniNode) bool {
		return slices.Contains(n.Status.Replication, patroni.Stream{Name: m.Name, State: "streaming"})
	})
}

const patroniLog = "journalctl -b -u patroni"

func checkCluster(f Facts) []check.Check {
	checks := checkMembers(f)
	if f.Cluster.Err != nil {
		for _, name := range []string{"leader", "timeline", "replication lag", "synchronous standby", "maintenance mode", "pending restart"} {
			checks = append(checks, check.Skipped(name, "no Patroni tells of the cluster")...)
		}
		return slices.Concat(checks, checkDynamic(f), checkDatabases(f))
	}
	checks = append(checks, checkLeader(f)...)
	checks = append(checks, checkTimeline(f)...)
	checks = append(checks, checkLag(f)...)
	checks = append(checks, checkSynchronous(f)...)
	checks = append(checks, checkMaintenance(f)...)
	return slices.Concat(checks, checkDynamic(f), checkDatabases(f))
}

func checkMembers(f Facts) []check.Check {
	v, c := check.Begin("Patroni"), f.Cluster
	for _, n := range c.Nodes {
		see := f.on(n.Node, "systemctl status patroni; "+patroniLog)
		if n.Err != nil {
			v.Fail(see, "%s does not answer: %v", n.Node, n.Err)
		}
		if c.Err != nil || n.Err != nil {
			continue
		}
		switch m, listed := c.member(n.Node); {
		case !listed:
			v.Fail(see, "%s is no member of the cluster", n.Node)
		case !m.Works():
			v.Fail(see, "%s is %s", n.Node, m.State)
		case !c.streams(m):
			v.Fail(see, "%s runs, and receives no WAL", n.Node)
		}
	}
	if c.Err != nil {
		v.Fail(f.patronictl("list"), "no Patroni tells of the cluster: %v", c.Err)
	}
	for _, m := range c.All.Members {
		if _, ours := c.of(m.Name); !ours {
			v.Warn("firstboot leave on a node that is to go", "%s is a member, and the seed does not know it", m.Name)
		}
	}
	return v.End("%s, each at its work", count(len(c.Nodes), "member", "members"))
}

func checkLeader(f Facts) []check.Check {
	v, c := check.Begin("leader"), f.Cluster
	name := c.leader()
	if name == "" {
		v.Fail(f.patronictl("list"), "nobody leads, so nothing can be written")
	} else if own, ours := c.of(name); ours && own.Err != nil {
		v.Fail(f.on(name, patroniLog), "%s has the lock, and does not answer", name)
	} else if ours && !own.leads() {
		v.Fail(f.on(name, patroniLog), "%s has the lock, and does not lead: it is %s, role %s", name, own.Status.State, own.Status.Role)
	}
	for _, n := range c.Nodes {
		if n.Node != name && n.primary() {
			v.Fail(f.on(n.Node, patroniLog), "%s is a primary, and has not the lock", n.Node)
		}
	}
	return v.End("%s", name)
}

// checkTimeline: a replica that streams is about to come to the leader's timeline. What
// Patroni cannot make of another one by itself the log of that member says.
func checkTimeline(f Facts) []check.Check {
	v := check.Begin("timeline")
	leader, _ := f.Cluster.member(f.Cluster.leader())
	for _, m := range f.Cluster.All.Members {
		if leader.Timeline == 0 || m.Timeline == 0 || m.Timeline == leader.Timeline {
			continue
		}
		look := f.patronictl("list") + "; " + f.on(m.Name, patroniLog)
		if f.Cluster.receives(m) {
			v.Warn(look, "%s is on timeline %d yet, and the leader on %d", m.Name, m.Timeline, leader.Timeline)
		} else {
			v.Fail(look, "%s is on timeline %d, the leader on %d, and it receives no WAL", m.Name, m.Timeline, leader.Timeline)
		}
	}
	return v.End("%d, on all members", leader.Timeline)
}

func checkLag(f Facts) []check.Check {
	v, limit, most := check.Begin("replication lag"), f.Cluster.Config.MaximumLag(), int64(0)
	for _, m := range f.Cluster.All.Members {
		switch {
		case m.Lag == nil || !m.Works(): // which is told elsewhere
		case m.Lag.Unknown:
			v.Warn(f.on(m.Name, patroniLog), "that of %s is not known", m.Name)
		case m.Lag.Bytes > limit:
			v.Warn(f.patronictl("list"), "%s is %d MB behind, and so is not promoted (maximum_lag_on_failover is %d MB)", m.Name, m.Lag.Bytes>>20, limit>>20)
		default:
			most = max(most, m.Lag.Bytes)
		}
	}
	return v.End("%d MB at most, of the %d of maximum_lag_on_failover", most>>20, limit>>20)
}

// eligible is how many nodes can be synchronous standbys while that one leads: by the tags
// of the seed, since Patroni calls who is stopped nosync in the meantime.
// https://patroni.readthedocs.io/en/latest/yaml_configuration.html#tags
func (f Facts) eligible(leader string) (nodes int) {
	for _, n := range f.Seed.Members(seeds.ServicePostgreSQL) {
		tags := n.Patroni.Tags
		cascades := tags.ReplicateFrom != "" && tags.ReplicateFrom != leader
		if n.Name != leader && !tags.NoSync && !cascades {
			nodes++
		}
	}
	return nodes
}

// checkSynchronous: with synchronous_mode_strict nothing is written without a standby, else
// what is written may be lost.
func checkSynchronous(f Facts) []check.Check {
	v, config := check.Begin("synchronous standby"), f.Cluster.Config
	wanted, on := config.Synchronous()
	switch {
	case config.Follows():
		return v.End("none is wanted in a standby cluster")
	case !on:
		return v.End("synchronous_mode is off")
	}
	var standbys []string
	for _, m := range f.Cluster.All.Members {
		if m.SyncStandby() {
			standbys = append(standbys, m.Name)
		}
	}
	wanted = min(wanted, f.eligible(f.Cluster.leader()))
	switch have := len(standbys); {
	case have == 0 && config.SynchronousModeStrict:
		v.Fail(f.patronictl("list"), "there is none, so nothing can be written (synchronous_mode_strict)")
	case have == 0 && wanted == 0:
		return v.End("there is nobody to wait for")
	case have == 0:
		v.Warn(f.patronictl("list"), "there is none, so what is written now a failover may lose")
	case have < wanted:
		v.Warn(f.patronictl("list"), "%s alone, of %d", strings.Join(standbys, ", "), wanted)
	}
	return v.End("%s", strings.Join(standbys, ", "))
}

func checkMaintenance(f Facts) []check.Check {
	v := check.Begin("maintenance mode")
	if f.Cluster.All.Pause {
		v.Warn(f.patronictl("resume"), "the cluster is paused: nothing fails over")
	}
	checks := v.End("off")
	v = check.Begin("pending restart")
	for _, m := range f.Cluster.All.Members {
		if m.PendingRestart {
			v.Warn(f.patronictl("restart --pending "+f.Seed.Cluster.Name), "%s waits for one", m.Name)
		}
	}
	return append(checks, v.End("none")...)
}

// checkDCS judges the DCS: etcd by its own words where this node is its client, and else by
// whether a leader can keep its lock in it. When it last answered Patroni is no sign: what
// Patroni knows of etcd it reads from a copy of its own.
func checkDCS(f Facts) []check.Check {
	if f.Etcd != nil {
		return checkEtcd(f)
	}
	v := check.Begin("DCS")
	if f.RaftErr != nil {
		v.Fail("systemctl status "+node.RaftUnit+"; journalctl -b -u "+node.RaftUnit, "no leader of the raft answers: %v", f.RaftErr)
	}
	if !slices.ContainsFunc(f.Cluster.Nodes, PatroniNode.leads) {
		v.Fail(f.patronictl("list"), "nobody keeps the leader's lock in it (%s)", f.Seed.Cluster.DCS)
	}
	return v.End("a leader keeps its lock in it (%s)", f.Seed.Cluster.DCS)
}
