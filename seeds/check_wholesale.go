package seeds

import (
	"fmt"
	"slices"
)

// sharedPatroni are the keys of Patroni's dynamic configuration, which is one for the
// whole cluster: https://patroni.readthedocs.io/en/latest/dynamic_configuration.html
var sharedPatroni = []string{
	"ttl", "loop_wait", "retry_timeout", "maximum_lag_on_failover", "primary_start_timeout", "primary_stop_timeout", "synchronous_mode",
	"synchronous_mode_strict", "synchronous_node_count", "maximum_lag_on_syncnode", "failsafe_mode", "check_timeline", "use_pg_rewind",
	"use_slots", "member_slots_ttl", "slots", "standby_cluster",
}

// sharedPostgreSQL are the keys of what the leader makes, whichever node it is.
var sharedPostgreSQL = []string{"version", "existing", "initdb", "roles", "databases"}

// sharedParameters are those that Patroni takes from the dynamic configuration only.
// https://patroni.readthedocs.io/en/latest/patroni_configuration.html#postgresql-parameters-controlled-by-patroni
var sharedParameters = []string{
	"max_connections", "max_locks_per_transaction", "max_worker_processes", "max_prepared_transactions", "wal_level", "track_commit_timestamp",
	"max_wal_senders", "max_replication_slots", "wal_keep_segments", "wal_keep_size", "wal_log_hints",
}

// checkWholesale refuses below a node what is the whole cluster's.
func (d document) checkWholesale(node string) {
	for section, keys := range map[string][]string{"patroni": sharedPatroni, "postgresql": sharedPostgreSQL, "postgresql.parameters": sharedParameters} {
		if !d.HasKey(node + section) {
			continue
		}
		for _, key := range keys {
			d.RefuseKey(node+section+"."+key, "%s is the whole cluster's: set it under %s, not below a node", key, section)
		}
	}
	d.RefuseKey(node+"etcd.initial-cluster-token", "initial-cluster-token is the whole cluster's: set it under etcd, not below a node")
}

// checkSynchronous warns of waiting for nobody. databases is how many nodes run
// PostgreSQL.
func (d document) checkSynchronous(s Seed, databases int) {
	const strict = "patroni.synchronous_mode_strict"
	switch {
	case !s.Patroni.SynchronousModeStrict:
	case s.Patroni.SynchronousMode == "false":
		d.Warn(strict, "this counts for nothing, since synchronous_mode is false: set that, or remove it")
	case databases == 1:
		d.Warn(strict, "there is one node with postgresql, and nothing could be written: a strict cluster needs a replica")
	}
}

// checkFailover refuses a cluster of which no member may lead.
func (d document) checkFailover(s Seed, databases []Node) {
	if slices.ContainsFunc(databases, func(n Node) bool { return !n.Patroni.Tags.NoFailover }) {
		return
	}
	const key = "patroni.tags.nofailover"
	places := []string{key}
	for i := range s.Nodes {
		places = append(places, fmt.Sprintf("nodes[%d].%s", i, key))
	}
	d.Refuse(d.given(places...), "every node with postgresql has nofailover, so that none may lead: take it from one at least")
}

// checkTags: a member replicates from another, and in the end from the leader.
func (d document) checkTags(node string, n Node, byName map[string]*Node) {
	const key = "patroni.tags.replicatefrom"
	from := n.Patroni.Tags.ReplicateFrom
	if from == "" {
		return
	}
	var wrong string
	switch other := byName[from]; {
	case from == n.Name:
		wrong = fmt.Sprintf("node %s cannot replicate from itself: name another", quote(from))
	case other == nil:
		wrong = fmt.Sprintf("there is no node %s: name one of nodes", quote(from))
	case !other.Runs(ServicePostgreSQL):
		wrong = fmt.Sprintf("node %s does not run postgresql: name one that does", quote(from))
	case other.Patroni.Tags.ReplicateFrom == n.Name:
		wrong = fmt.Sprintf("node %s replicates from this one: one of the two has to follow the leader", quote(from))
	default:
		return
	}
	d.Refuse(d.given(node+key, key), "%s", wrong)
}

// checkPKI looks at how long certificates are valid.
func (d document) checkPKI(s Seed) {
	const longest = 36500
	ca, node := int64(s.PKI.CADays), int64(s.PKI.NodeDays)
	d.checkRange("pki.ca_days", ca, 1, longest, "days")
	d.checkRange("pki.node_days", node, 1, longest, "days")
	if ca > 0 && node > ca && node <= longest && !d.Malformed("pki.ca_days") && !d.Malformed("pki.node_days") {
		d.Refuse(d.given("pki.node_days", "pki.ca_days"), "a node's certificate would outlive its authority, %d days against %d: lower node_days, or raise ca_days", node, ca)
	}
}
