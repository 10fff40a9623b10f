// Package verify judges whether a node and its cluster are sound. It is pure: package
// inspect looks at the node and asks the others, and what it saw becomes checks here, a
// file a topic.
package verify

import (
	"fmt"
	"time"

	"banyan/internal/check"
	"banyan/internal/peer"
	"banyan/seeds"
)

// Facts is what a node looks like from inside, and what the others answer it.
type Facts struct {
	Seed      *seeds.Seed
	Self      seeds.Node // one of Seed's
	Now       time.Time
	Container string // what kind of container this is; "" for a machine

	Node         Node
	Machine      Machine
	Staged       Staged
	Peers        []peer.Result // of the other nodes that hold something
	Certificates Certificates
	Cluster      Cluster
	Dynamic      *Dynamic   // nil where this node does not run PostgreSQL
	Databases    *Databases // likewise
	Etcd         *Etcd      // nil where this node is no client of etcd
	RaftErr      error      // the raft does not answer; nil where this node is no member of one
	HAProxy      *HAProxy   // nil where it does not run

	ConnectionPoint *ConnectionPoint // nil where the leader has no VIP, or this node never leads
}

// Result is all that was checked.
type Result struct {
	Node    string        `json:"node"`
	Cluster string        `json:"cluster"`
	State   check.State   `json:"state"` // the worst of them
	Checks  []check.Check `json:"checks"`
}

// Judge makes the checks.
func Judge(f Facts) Result {
	r := Result{Node: f.Self.Name, Cluster: f.Seed.Cluster.Name}
	for _, look := range []func(Facts) []check.Check{
		checkNode, checkSeed, checkMachine, checkCertificates, checkPeers, checkDCS, checkCluster, checkHAProxy, checkConnectionPoint,
	} {
		r.Checks = append(r.Checks, look(f)...)
	}
	r.State = check.Worst(r.Checks)
	return r
}

// ExitCode is that of `firstboot verify`.
func (r Result) ExitCode() int { return r.State.ExitCode() }

// String is the table of the checks, and their sum.
func (r Result) String() string {
	return fmt.Sprintf("%s\n%s of %s: %s\n", check.Table(r.Checks), r.Node, r.Cluster, check.Sum(r.Checks))
}

// patronictl is a command of patronictl(1), which a node with PostgreSQL has.
func (f Facts) patronictl(command string) string {
	command = "patronictl " + command
	nodes := f.Seed.Members(seeds.ServicePostgreSQL)
	if f.Self.Runs(seeds.ServicePostgreSQL) || len(nodes) == 0 {
		return command
	}
	return f.on(nodes[0].Name, command)
}

// on says on which node to run a command; on this one it needs no word.
func (f Facts) on(node, command string) string {
	if node == f.Self.Name {
		return command
	}
	return "on " + node + ": " + command
}

// count is a number and what is counted, in the singular or the plural.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
