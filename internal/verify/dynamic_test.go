package verify

import (
	"errors"
	"testing"

	"banyan/internal/check"
)

// below is an object of an object.
func below(all map[string]any, name string) map[string]any {
	object, _ := all[name].(map[string]any)
	return object
}

func TestDynamic(t *testing.T) {
	const name, differs = "dynamic configuration", "1 key differs from the seed: "
	has := func(change func(all, parameters map[string]any)) func(*Facts) {
		return func(f *Facts) {
			all := f.Cluster.Config.All
			change(all, below(below(all, "postgresql"), "parameters"))
		}
	}
	expect(t, map[string]change{
		"equal": {what: func(*Facts) {}, name: name, state: check.OK, found: "it has all that the seed has"},
		"a person's own": {what: has(func(all, parameters map[string]any) {
			all["pause"], below(all, "slots")["mine"], parameters["work_mem"] = false, map[string]any{"type": "physical"}, "1GB"
		}), name: name, state: check.OK},
		"the same in other words": {what: has(func(all, parameters map[string]any) {
			all["ttl"], all["synchronous_mode"], parameters["jit"], parameters["max_connections"] = "30", "on", false, "200"
		}), name: name, state: check.OK},
		"a number": {
			what: has(func(all, _ map[string]any) { all["ttl"] = 60.0 }),
			name: name, state: check.Warn, found: differs + "ttl is 60, and in the seed 30", advice: "patronictl edit-config --set ttl=30; or have the seed say",
		},
		"a parameter": {
			what: has(func(_, parameters map[string]any) { parameters["password_encryption"] = "md5" }),
			name: name, state: check.Warn, found: `postgresql.parameters.password_encryption is another`, advice: "--set postgresql.parameters.password_encryption=VALUE",
		},
		"a parameter with a point": {
			what: has(func(_, parameters map[string]any) { parameters["pg_stat_statements.max"] = 500.0 }),
			name: name, state: check.Warn, found: "pg_stat_statements.max is 500, and in the seed 10000", advice: "--set postgresql.parameters.pg_stat_statements.max=10000",
		},
		"a word": {
			what: has(func(_, parameters map[string]any) { parameters["jit"] = "on" }),
			name: name, state: check.Warn, found: `jit is "on", and in the seed "off"`, advice: `--set 'postgresql.parameters.jit="off"'`,
		},
		"one that is gone": {
			what: has(func(_, parameters map[string]any) { delete(parameters, "max_connections") }),
			name: name, state: check.Warn, found: "max_connections is not set, and in the seed 200", advice: "--set postgresql.parameters.max_connections=200",
		},
		"what may hold a secret": {
			what: has(func(_, parameters map[string]any) { parameters["archive_command"] = "PASSWORD=hunter2 push %p" }),
			name: name, state: check.Warn, found: differs + "postgresql.parameters.archive_command is another", advice: "--set postgresql.parameters.archive_command=VALUE",
		},
		"what may hold a secret, and is gone": {
			what: has(func(_, parameters map[string]any) { delete(parameters, "archive_command") }),
			name: name, state: check.Warn, found: differs + "postgresql.parameters.archive_command is not set", advice: "--set postgresql.parameters.archive_command=VALUE",
		},
		"a slot": {
			what: has(func(all, _ map[string]any) { delete(all, "slots") }),
			name: name, state: check.Warn, found: `slots.backup.type is not set, and in the seed "physical"`, advice: `--set 'slots.backup.type="physical"'`,
		},
		"much": {
			what: has(func(all, _ map[string]any) { clear(all) }),
			name: name, state: check.Warn, found: "9 keys differ from the seed: ", advice: "patronictl edit-config --set ",
		},

		// Patroni's own default for a switch that a seed of a newer release has.
		"a switch that is not set": {what: has(func(all, _ map[string]any) { delete(all, "failsafe_mode") }), name: name, state: check.OK},
		"nor another": {
			what: has(func(all, _ map[string]any) { delete(below(all, "postgresql"), "use_slots") }), name: name, state: check.OK,
		},

		// Born under Patroni 2, which knows no primary; Patroni 2 knows no other name.
		"the former name": {what: has(func(all, _ map[string]any) {
			delete(all, "primary_start_timeout")
			all["master_start_timeout"] = 300.0
		}), name: name, state: check.OK},
		"the former name, of another value": {what: has(func(all, _ map[string]any) {
			delete(all, "primary_start_timeout")
			all["master_start_timeout"] = 60.0
		}), name: name, state: check.Warn, found: "primary_start_timeout is 60, and in the seed 300", advice: "--set primary_start_timeout=300"},
		"the newer name counts": {
			what: has(func(all, _ map[string]any) { all["master_start_timeout"] = 60.0 }), name: name, state: check.OK,
		},
		"Patroni 2 beside a newer one": {what: func(f *Facts) {
			delete(f.Dynamic.Wanted, "primary_start_timeout")
			f.Dynamic.Wanted["master_start_timeout"] = 300.0
		}, name: name, state: check.Warn, found: "master_start_timeout is not set, and in the seed 300", advice: "--set master_start_timeout=300"},

		// To set it again would make a standby of a primary.
		"a promoted standby cluster": {what: func(f *Facts) {
			f.Dynamic.Wanted["standby_cluster"] = map[string]any{"host": "192.0.2.1", "port": 5432.0, "create_replica_methods": []any{"basebackup"}}
		}, name: name, state: check.Warn, found: "standby_cluster differs from the seed's", advice: "take patroni.standby_cluster out of the seed"},
		"a standby cluster": {what: func(f *Facts) {
			f.Dynamic.Wanted["standby_cluster"] = map[string]any{"host": "192.0.2.1", "create_replica_methods": []any{"basebackup"}}
			f.Cluster.Config.All["standby_cluster"] = map[string]any{"host": "192.0.2.1", "create_replica_methods": []any{"basebackup"}}
		}, name: name, state: check.OK},

		"from another node": {node: "pgsql-n3", what: has(func(all, _ map[string]any) { all["ttl"] = 60.0 }), name: name, state: check.Warn, found: "ttl", advice: "patronictl edit-config --set ttl=30"},
		"nobody tells":      {what: func(f *Facts) { f.Cluster.Err = errors.New("refused") }, name: name, state: check.Skip, found: "no Patroni tells"},
		"not known":         {what: func(f *Facts) { f.Dynamic.Err = errors.New("no server is installed") }, name: name, state: check.Skip, found: "no server is installed"},
	})
}
