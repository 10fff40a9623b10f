package seeds

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"banyan/internal/strict"
)

// parameterName is the name of a PostgreSQL parameter; an extension's has dots.
var parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$`)

// ownParameters are set by Patroni or by the node and are not for a seed.
// https://patroni.readthedocs.io/en/latest/patroni_configuration.html#postgresql-parameters-controlled-by-patroni
// has the first four. Patroni ignores pg_hba where hba_file says otherwise.
var ownParameters = map[string]string{
	"listen_addresses": "Patroni sets it from the node's address",
	"port":             "Patroni sets it",
	"cluster_name":     "Patroni sets it from cluster.name",
	"hot_standby":      "Patroni keeps it on",
	"hba_file":         "the node has its own; add lines under postgresql.pg_hba",
	"ident_file":       "the node has its own",
	"config_file":      "the node has its own",
	"data_directory":   "the node has its own",
	"ssl":              "it is on: the members speak nothing else",
	"ssl_ca_file":      "the node has its own",
	"ssl_cert_file":    "the node has its own",
	"ssl_key_file":     "the node has its own",

	"password_encryption": "it is scram-sha-256, which the members' lines of pg_hba.conf want",
}

// leastParameters are the least values that Patroni takes. It passes over a lower
// one with no more than a line in its log, and uses its default.
var leastParameters = map[string]string{
	"max_connections":           "25",
	"max_wal_senders":           "3",
	"max_replication_slots":     "4",
	"max_prepared_transactions": "0",
	"max_locks_per_transaction": "32",
	"max_worker_processes":      "2",
	"wal_keep_segments":         "1",
	"wal_keep_size":             "16MB",
}

// chosenParameters are those of which Patroni takes certain values only.
var chosenParameters = map[string][]string{
	"wal_level":              {"replica", "logical", "hot_standby"},
	"wal_log_hints":          {"on", "off", "true", "false", "yes", "no", "1", "0"},
	"track_commit_timestamp": {"on", "off", "true", "false", "yes", "no", "1", "0"},
}

func (d document) checkPostgreSQL(prefix string, p PostgreSQL) {
	if p.Version < 10 || p.Version > 99 { // before 10 a major version was two numbers
		d.Refuse(prefix+"version", "%d is not a major version of PostgreSQL, such as 17", p.Version)
	}
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(p.Parameters)) {
		path := prefix + "parameters." + name
		if d.HasKey(path) { // or it could not be wrong here
			d.checkParameter(path, name, p.Parameters[name])
		}
		// To PostgreSQL and to Patroni both are the same.
		folded := strings.ToLower(name)
		if other, ok := seen[folded]; ok && strict.IsKey(name) {
			if !d.HasKey(path) {
				path = prefix + "parameters." + other
			}
			d.RefuseKey(path, "%s and %s are one parameter: remove one of them", name, other)
		}
		seen[folded] = name
	}
	for i, line := range p.PgHBA {
		d.checkHBA(fmt.Sprintf("%spg_hba[%d]", prefix, i), line)
	}
	for i, line := range p.PgIdent {
		if wrong := wrongIdent(line); wrong != "" {
			d.Refuse(fmt.Sprintf("%spg_ident[%d]", prefix, i), "%s", wrong)
		}
	}
	d.checkDirectories(prefix, p)
	d.checkInitdb(prefix+"initdb.", p.Initdb)
	d.checkRoles(prefix+"roles", p.Roles)
	d.checkDatabases(prefix+"databases", p)
}

func (d document) checkParameter(path, name string, value any) {
	folded := strings.ToLower(name)
	if !parameterName.MatchString(name) {
		d.RefuseKey(path, "this is not the name of a PostgreSQL parameter, such as work_mem")
		return
	}
	if why, own := ownParameters[folded]; own {
		d.RefuseKey(path, "%s is not for a seed: %s", folded, why)
		return
	}
	written := fmt.Sprint(value)
	if least, ok := leastParameters[folded]; ok && below(written, least) {
		d.Refuse(path, "%s is below %s, the least that Patroni takes", folded, least)
	}
	if choice, ok := chosenParameters[folded]; ok && !slices.Contains(choice, strings.ToLower(written)) {
		d.Refuse(path, "%s has to be one of %s for Patroni", folded, strings.Join(choice, ", "))
	}
}

// below compares two numbers, or two sizes; a size without a unit is in MB. What
// is neither is for PostgreSQL to judge.
func below(value, least string) bool {
	v, ok := megabytes(value)
	l, _ := megabytes(least)
	return ok && v < l
}

var sizeForm = regexp.MustCompile(`^(-?[0-9]+)\s*(kB|MB|GB|TB)?$`)

func megabytes(text string) (float64, bool) {
	parts := sizeForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(parts[1], 64)
	unit := map[string]float64{"": 1, "kB": 1.0 / 1024, "MB": 1, "GB": 1024, "TB": 1024 * 1024}
	return n * unit[parts[2]], err == nil
}
