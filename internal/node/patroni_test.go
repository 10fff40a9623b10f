package node

import (
	"reflect"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"

	"banyan/internal/facts"
	"banyan/seeds"
)

// A Patroni is told no key and no value that it takes for something else.
func TestDynamicConfigurationByVersion(t *testing.T) {
	s := fixture(t)
	p := &s.Nodes[0].Patroni
	p.SynchronousMode, p.FailsafeMode, p.MemberSlotsTTL = seeds.SynchronousModeQuorum, true, "30min"
	for _, test := range []struct {
		version  facts.Version
		mode     any
		has, not []string
	}{
		{facts.Version{Major: 2}, true, []string{"master_start_timeout", "master_stop_timeout"}, []string{"primary_start_timeout", "failsafe_mode", "member_slots_ttl"}},
		{facts.Version{Major: 3}, true, []string{"primary_start_timeout", "primary_stop_timeout", "failsafe_mode"}, []string{"master_start_timeout", "member_slots_ttl"}},
		{facts.Version{Major: 4}, "quorum", []string{"primary_start_timeout", "failsafe_mode", "member_slots_ttl"}, []string{"master_start_timeout"}},
		{facts.Version{}, "quorum", []string{"failsafe_mode", "member_slots_ttl"}, nil}, // of no package: taken for new
	} {
		d := dynamic(s, s.Nodes[0], map[string]any{}, withPatroni(test.version))
		if d["synchronous_mode"] != test.mode {
			t.Errorf("%s: synchronous_mode is %v", test.version, d["synchronous_mode"])
		}
		for _, key := range test.has {
			if _, ok := d[key]; !ok {
				t.Errorf("%s: no %s", test.version, key)
			}
		}
		for _, key := range test.not {
			if _, ok := d[key]; ok {
				t.Errorf("%s: %s is not for it", test.version, key)
			}
		}
	}
	p.SynchronousMode = "false"
	if mode := dynamic(s, s.Nodes[0], map[string]any{}, withPatroni(facts.Version{Major: 4}))["synchronous_mode"]; mode != false {
		t.Errorf("false is written as %v", mode)
	}
}

// What is compared with the DCS is a part of what is written there: not what was computed
// from the machine of the birth, unless the seed gives it.
func TestDynamic(t *testing.T) {
	parse := func(parameters string) *seeds.Seed {
		s, _, err := seeds.ParseCluster("seed.yaml", []byte(`version: banyan/v1
cluster: {name: pgsql-cl}
nodes: [{name: n1, address: 10.0.0.1/24}]
system: {timezone: Europe/Berlin}
postgresql: {parameters: `+parameters+`}
patroni: {primary_start_timeout: 60, slots: {backup: {type: physical}}, standby_cluster: {host: 10.0.0.9}}
`))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	f := typicalServer
	f.Installed = facts.Installed{PostgreSQL: []int{13}, Patroni: facts.Version{Major: 2}}
	got, err := Dynamic(*parse("{}"), parse("{}").Nodes[0], f)
	if err != nil {
		t.Fatal(err)
	}
	if got["master_start_timeout"] != 60.0 || got["ttl"] != 30.0 || got["synchronous_mode"] != true {
		t.Errorf("it is not as JSON has it: %v", got)
	}
	if want := map[string]any{"host": "10.0.0.9", "port": 5432.0, "create_replica_methods": []any{"basebackup"}}; !reflect.DeepEqual(got["standby_cluster"], want) {
		t.Errorf("the standby cluster is %v", got["standby_cluster"])
	}
	for text, want := range map[string]map[string]any{
		"{max_connections: 300}":                             {"max_connections": 300.0, "jit": "off", "timezone": nil, "wal_keep_size": nil, "shared_buffers": nil},
		"{wal_keep_size: 1GB, timezone: UTC, work_mem: 8MB}": {"max_connections": 200.0, "timezone": "UTC", "wal_keep_size": "1GB", "work_mem": "8MB"},
	} {
		s := parse(text)
		got, err := Dynamic(*s, s.Nodes[0], f)
		if err != nil {
			t.Fatal(err)
		}
		postgresql, _ := got["postgresql"].(map[string]any)
		parameters, _ := postgresql["parameters"].(map[string]any)
		for name, value := range want {
			if parameters[name] != value {
				t.Errorf("%s: %s is %v, want %v", text, name, parameters[name], value)
			}
		}
	}
	f.PostgreSQL = nil
	if _, err := Dynamic(*parse("{}"), parse("{}").Nodes[0], f); err == nil {
		t.Error("without PostgreSQL it has one")
	}
}

// What a node overrides is the node's alone, whichever node the cluster is born on.
func TestParameters(t *testing.T) {
	s, _, err := seeds.ParseCluster("seed.yaml", []byte(`version: banyan/v1
cluster: {name: pgsql-cl}
postgresql: {parameters: {work_mem: 8MB, jit: off, random_page_cost: 1.1, max_connections: 200}}
nodes:
  - {name: n1, address: 10.0.0.1/24, postgresql: {parameters: {work_mem: 64MB, jit: off, log_statement: all}}}
  - {name: n2, address: 10.0.0.2/24, postgresql: {parameters: {random_page_cost: null}}}
  - {name: n3, address: 10.0.0.3/24, services: [etcd], postgresql: {parameters: null}}
`))
	if err != nil {
		t.Fatal(err)
	}
	shared := map[string]any{"work_mem": "8MB", "jit": "off", "max_connections": 200, "wal_level": "replica"}
	own := []map[string]any{{"work_mem": "64MB", "log_statement": "all", "random_page_cost": 1.1}, {}}
	for i, n := range s.Nodes[:2] {
		d, _ := dynamic(*s, n, map[string]any{"wal_level": "replica"}, abilities{})["postgresql"].(map[string]any)
		if got := d["parameters"]; !reflect.DeepEqual(got, shared) {
			t.Errorf("born on %s the cluster has %v", n.Name, got)
		}
		config, err := marshalPatroni(*s, n, database{version: 17}, abilities{})
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			PostgreSQL struct{ Parameters map[string]any }
		}
		if err := yaml.Unmarshal([]byte(config), &c); err != nil {
			t.Fatal(err)
		}
		if got := c.PostgreSQL.Parameters; len(got) != len(own[i]) || len(got) > 0 && !reflect.DeepEqual(got, own[i]) {
			t.Errorf("%s has %v of its own", n.Name, got)
		}
	}
}

// TestStandbyCluster: Patroni takes a port for a primary to connect to, and copies
// without one by methods that say so.
func TestStandbyCluster(t *testing.T) {
	for _, test := range []struct {
		config   seeds.StandbyCluster
		version  facts.Version
		has, not []string
		noLeader string
	}{
		{seeds.StandbyCluster{Host: "10.2.0.1,10.2.0.2", Port: 5432}, facts.Version{Major: 4}, []string{"host", "port"}, []string{"restore_command"}, ""},
		{seeds.StandbyCluster{Port: 5432, RestoreCommand: "cp /mnt/%f %p"}, facts.Version{Major: 4}, []string{"restore_command"}, []string{"host", "port"}, "no_leader"},
		{seeds.StandbyCluster{Port: 5432, RestoreCommand: "cp /mnt/%f %p"}, facts.Version{Major: 2}, []string{"restore_command"}, []string{"host", "port"}, "no_master"},
	} {
		s := fixture(t)
		p := &s.Nodes[0].Patroni
		test.config.CreateReplicaMethods = []seeds.ReplicaMethod{"pg_probackup"}
		p.StandbyCluster = test.config
		standby, _ := dynamic(s, s.Nodes[0], map[string]any{}, withPatroni(test.version))["standby_cluster"].(map[string]any)
		for _, key := range test.has {
			if standby[key] == nil {
				t.Errorf("%+v: no %s in %v", test.config, key, standby)
			}
		}
		for _, key := range test.not {
			if _, ok := standby[key]; ok {
				t.Errorf("%+v: %s in %v", test.config, key, standby)
			}
		}
		method := pgProbackup(*p, withPatroni(test.version))
		for _, key := range []string{"no_leader", "no_master"} {
			if _, ok := method[key]; ok != (key == test.noLeader) {
				t.Errorf("%+v: %v", test.config, method)
			}
		}
	}
	if s := fixture(t); dynamic(s, s.Nodes[0], map[string]any{}, withPatroni(facts.Version{Major: 4}))["standby_cluster"] != nil {
		t.Error("every cluster is a standby cluster")
	}
}

func TestInitdb(t *testing.T) {
	i := seeds.Initdb{Encoding: "UTF8", Locale: "C.UTF-8", AllowGroupAccess: true}
	for version, want := range map[int][]string{10: nil, 17: {"allow-group-access"}, 18: {"no-data-checksums", "allow-group-access"}} {
		var got []string
		for _, option := range initdb(i, database{version: version}) {
			if name, ok := option.(string); ok {
				got = append(got, name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d: %v", version, got)
		}
	}
}

// A node's directories are made as far as they are PostgreSQL's own.
func TestDataDirectories(t *testing.T) {
	s := fixture(t)
	for dir, want := range map[string]int{"": 1, "/var/lib/postgresql/data/17/main": 2, "/srv/postgresql/main": 0} {
		s.Nodes[0].PostgreSQL.DataDir = dir
		if got := above(nil, postgresqlHome, DataDir(s.Nodes[0], 17)); len(got) != want {
			t.Errorf("%s: %v", dir, got)
		}
	}
}
