package node

import (
	"slices"
	"testing"

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
		d := dynamic(s.Nodes[0], test.version)
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
	if mode := dynamic(s.Nodes[0], facts.Version{Major: 4})["synchronous_mode"]; mode != false {
		t.Errorf("false is written as %v", mode)
	}
}

func TestInitdb(t *testing.T) {
	i := seeds.Initdb{Encoding: "UTF8", Locale: "C.UTF-8", AllowGroupAccess: true}
	for version, want := range map[int][]string{10: nil, 17: {"allow-group-access"}, 18: {"no-data-checksums", "allow-group-access"}} {
		var got []string
		for _, option := range initdb(i, version) {
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
		if got := above(postgresqlHome, DataDir(s.Nodes[0], 17)); len(got) != want {
			t.Errorf("%s: %v", dir, got)
		}
	}
}
