package database

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"banyan/internal/golden"
	"banyan/internal/scram"
	"banyan/seeds"
)

func TestEverything(t *testing.T) {
	s := parse(t)
	all, err := everything(s)
	if err != nil {
		t.Fatal(err)
	}
	// These are in databases that stand: another digest makes everything once more, over
	// what DBAs have changed.
	var digests strings.Builder
	for _, w := range all {
		fmt.Fprintf(&digests, "%s  %s  %s\n", w.digest, w.key, w.id)
	}
	golden.Check(t, "testdata/digests.golden", digests.String())

	app, ready := all[0].role.Password, all[2].role.Password
	if made, err := scram.Verifier("fixture-app", scram.Salt(app)); err != nil || made != app || len(scram.Salt(app)) != scram.SaltSize {
		t.Errorf("the role has no verifier of its password: %v", err)
	}
	if ready != s.PostgreSQL.Roles[2].Password {
		t.Error("a verifier of the seed was changed")
	}
	if s.PostgreSQL.Roles[0].Password != "fixture-app" {
		t.Error("the seed itself was changed")
	}
}

func TestDigests(t *testing.T) {
	was := digestsOf(t, parse(t))
	for name, test := range map[string]struct {
		change func(*seeds.Seed)
		want   []string // the ids of what has another digest, or none any more
	}{
		"nothing":    {func(*seeds.Seed) {}, nil},
		"generation": {func(s *seeds.Seed) { s.Cluster.Generation++ }, nil},
		"order": {func(s *seeds.Seed) {
			slices.Reverse(s.PostgreSQL.Roles[0].Options)
			slices.Reverse(s.PostgreSQL.Roles)
			slices.Reverse(s.PostgreSQL.Databases)
		}, nil},
		"password": {func(s *seeds.Seed) { s.PostgreSQL.Roles[0].Password += "2" }, []string{`role "app"`}},
		"options":  {func(s *seeds.Seed) { s.PostgreSQL.Roles[1].Options[0] = "LOGIN" }, []string{`role "team"`}},
		"limit":    {func(s *seeds.Seed) { s.PostgreSQL.Roles[1].ConnectionLimit = 0 }, []string{`role "team"`}},
		"group":    {func(s *seeds.Seed) { s.PostgreSQL.Roles[0].InRole[1] = "other" }, []string{`role "app" in "team"`}},
		"owner":    {func(s *seeds.Seed) { s.PostgreSQL.Databases[1].Owner = "app" }, []string{`database "plain"`}},
		"encoding": {func(s *seeds.Seed) { s.PostgreSQL.Databases[1].Encoding = "UTF8" }, []string{`database "plain"`}},
		"locale":   {func(s *seeds.Seed) { s.PostgreSQL.Databases[1].Locale = "C" }, []string{`database "plain"`}},
		"extension": {
			func(s *seeds.Seed) { s.PostgreSQL.Databases[0].Extensions[1] = "cube" },
			[]string{`extension "earthdistance" in database "app"`},
		},
	} {
		s := parse(t)
		test.change(&s)
		now := digestsOf(t, s)
		var changed []string
		for id, digest := range was {
			if now[id] != digest {
				changed = append(changed, id)
			}
		}
		slices.Sort(changed)
		if !slices.Equal(changed, test.want) {
			t.Errorf("%s changes %q, want %q", name, changed, test.want)
		}
	}
}

// The same role with the same password is another one in another cluster.
func TestSalts(t *testing.T) {
	salts := map[string]string{}
	for _, c := range []seeds.Cluster{{Name: "a"}, {Name: "b"}, {Name: "a", ID: "6f1d0d9c-5f0e-4f0a-9a43-000000000001"}} {
		for _, name := range []string{"x", "y"} {
			role := seeds.Role{Name: name, Password: "fixture-x"}
			if err := verify(&role, c); err != nil {
				t.Fatal(err)
			}
			salt := string(scram.Salt(role.Password))
			if other, has := salts[salt]; has {
				t.Errorf("%s of %v has the salt of %s", name, c, other)
			}
			salts[salt] = fmt.Sprintf("%s of %v", name, c)
		}
	}
}

func TestQuoting(t *testing.T) {
	for name, want := range map[string][2]string{
		"app":      {`"app"`, `'app'`},
		`a"b`:      {`"a""b"`, `'a"b'`},
		`a'b`:      {`"a'b"`, `'a''b'`},
		`a\'; --`:  {`"a\'; --"`, `'a\''; --'`},
		"имя $$ :": {`"имя $$ :"`, `'имя $$ :'`},
	} {
		if got := [2]string{identifier(name), literal(name)}; got != want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestSettingsAre(t *testing.T) {
	ru := settings{Encoding: "UTF8", Collate: "ru_RU.UTF-8", CType: "ru_RU.UTF-8", Provider: libc}
	old, icu, mixed := ru, ru, ru
	old.Provider, icu.Provider, mixed.CType = "", "i", "C"
	for _, test := range []struct {
		has              settings
		encoding, locale string
		want             bool
	}{
		{ru, "", "", true},
		{ru, "UTF8", "ru_RU.UTF-8", true},
		{ru, "utf-8", "ru_RU.utf8", true},
		{ru, "unicode", "", true},
		{ru, "LATIN1", "", false},
		{ru, "", "C", false},
		{ru, "LATIN1", "ru_RU.UTF-8", false},
		{old, "UTF8", "ru_RU.UTF-8", true},
		{icu, "UTF8", "", true},
		{icu, "UTF8", "ru_RU.UTF-8", false},
		{mixed, "UTF8", "ru_RU.UTF-8", false},
		{settings{}, "", "", true},
	} {
		if got := test.has.are(seeds.Database{Encoding: test.encoding, Locale: test.locale}); got != test.want {
			t.Errorf("%+v are encoding %q and locale %q: %t", test.has, test.encoding, test.locale, got)
		}
	}
}
