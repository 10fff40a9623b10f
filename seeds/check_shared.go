package seeds

import (
	"reflect"
	"slices"
	"strings"

	"banyan/internal/strict"
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

// shared are the keys of sections that are the whole cluster's.
var shared = map[string][]string{
	"patroni": sharedPatroni, "postgresql": sharedPostgreSQL, "postgresql.parameters": sharedParameters, "etcd": {"initial-cluster-token"},
}

// BelowNode tells whether a key of the cluster's, such as patroni.ttl, may stand below a
// node too.
func BelowNode(path string) bool {
	for section, keys := range shared {
		if below, ok := strings.CutPrefix(path, section+"."); ok {
			if key, _, _ := strings.Cut(below, "."); slices.Contains(keys, key) {
				return false
			}
		}
	}
	section, _, _ := strings.Cut(path, ".")
	return slices.ContainsFunc(strict.Fields(reflect.TypeFor[Node]()), func(f strict.Field) bool { return f.Onto == section && section != "" })
}

// checkShared refuses below a node what is the whole cluster's.
func (d document) checkShared(node string) {
	for section, keys := range shared {
		if !d.HasKey(node + section) {
			continue
		}
		for _, key := range keys {
			d.RefuseKey(node+section+"."+key, "%s is the whole cluster's: set it under %s, not below a node", key, section)
		}
	}
}
