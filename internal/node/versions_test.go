package node

import (
	"strings"
	"testing"

	"banyan/internal/facts"
	"banyan/rootfs"
)

// Each ability begins with one version, and each profile has those of its release. A
// program of no package has all.
func TestAbilities(t *testing.T) {
	kernels := map[string]facts.Version{"debian-11": {Major: 5, Minor: 10}, "debian-12": {Major: 6, Minor: 1}, "debian-13": {Major: 6, Minor: 12}}
	systemd := func(a *abilities) *facts.Version { return &a.Systemd }
	kernel := func(a *abilities) *facts.Version { return &a.Kernel }
	patroni := func(a *abilities) *facts.Version { return &a.Patroni }
	etcd := func(a *abilities) *facts.Version { return &a.Etcd }
	const newer, newest = "debian-12 debian-13", "debian-13"
	for name, test := range map[string]struct {
		can         func(abilities) bool
		of          func(*abilities) *facts.Version
		last, first facts.Version // the last one without it, which may be imagined, and the first with it
		profiles    string
	}{
		"matchesKinds":       {abilities.matchesKinds, systemd, facts.Version{Major: 250, Minor: 99}, facts.Version{Major: 251}, newer},
		"hidesMigrationCost": {abilities.hidesMigrationCost, kernel, facts.Version{Major: 5, Minor: 12}, facts.Version{Major: 5, Minor: 13}, newer},
		"hasAllowlist":       {abilities.hasAllowlist, patroni, facts.Version{Major: 2}, facts.Version{Major: 2, Minor: 1}, newer},
		"reloadsCertificate": {abilities.reloadsCertificate, patroni, facts.Version{Major: 2, Minor: 0}, facts.Version{Major: 2, Minor: 1}, newer},
		"hasFailsafe":        {abilities.hasFailsafe, patroni, facts.Version{Major: 2, Minor: 99}, facts.Version{Major: 3}, newer},
		"saysPrimary":        {abilities.saysPrimary, patroni, facts.Version{Major: 2, Minor: 99}, facts.Version{Major: 3}, newer},
		"hasMemberSlotsTTL":  {abilities.hasMemberSlotsTTL, patroni, facts.Version{Major: 3, Minor: 99}, facts.Version{Major: 4}, newest},
		"hasQuorum":          {abilities.hasQuorum, patroni, facts.Version{Major: 3, Minor: 99}, facts.Version{Major: 4}, newest},
		"defaultsToAPI3":     {abilities.defaultsToAPI3, etcd, facts.Version{Major: 3, Minor: 3}, facts.Version{Major: 3, Minor: 4}, newer},
		"hasLogLevel":        {abilities.hasLogLevel, etcd, facts.Version{Major: 3, Minor: 3}, facts.Version{Major: 3, Minor: 4}, newer},
		"prefersZap":         {abilities.prefersZap, etcd, facts.Version{Major: 3, Minor: 4}, facts.Version{Major: 3, Minor: 5}, newest},
		"hasEtcdutl":         {abilities.hasEtcdutl, etcd, facts.Version{Major: 3, Minor: 4}, facts.Version{Major: 3, Minor: 5}, newest},
	} {
		var a abilities
		if !test.can(a) {
			t.Errorf("%s: a program of no package is taken for old", name)
		}
		if *test.of(&a) = test.last; test.can(a) {
			t.Errorf("%s: %s has it", name, test.last)
		}
		if *test.of(&a) = test.first; !test.can(a) {
			t.Errorf("%s: %s does not have it", name, test.first)
		}
		var have []string
		for _, profile := range rootfs.ProfileNames() {
			p, err := rootfs.LoadProfile(profile)
			if err != nil {
				t.Fatal(err)
			}
			if test.can(abilities{Installed: p.Installed(), Kernel: kernels[profile]}) {
				have = append(have, profile)
			}
		}
		if got := strings.Join(have, " "); got != test.profiles {
			t.Errorf("%s: %s have it, want %s", name, got, test.profiles)
		}
	}
}

func TestAbilitiesOfPostgreSQL(t *testing.T) {
	for name, test := range map[string]struct {
		can   func(database) bool
		first int
	}{
		"grantsGroupAccess":       {database.grantsGroupAccess, 11},
		"keepsStatisticsInMemory": {database.keepsStatisticsInMemory, 15},
		"makesChecksums":          {database.makesChecksums, 18},
	} {
		if test.can(database{version: test.first - 1}) || !test.can(database{version: test.first}) {
			t.Errorf("%s does not begin with %d", name, test.first)
		}
	}
}

// withPatroni is a machine that has a version of Patroni.
func withPatroni(v facts.Version) abilities {
	return abilities{Installed: facts.Installed{Patroni: v}}
}
