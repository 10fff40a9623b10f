package database

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"banyan/internal/golden"
	"banyan/seeds"
)

// cluster is a seed with everything that is made, some of it with names that SQL would
// take for something else.
const cluster = `version: banyan/v1
cluster: {name: pgsql-cl}
nodes: [{name: pgsql-n1, address: 172.16.32.11/24}]
postgresql:
  existing: true
  roles:
    - {name: app, password: fixture-app, options: [LOGIN, CREATEDB], in_role: [pg_monitor, team], connection_limit: 50}
    - {name: team, options: [NOLOGIN]}
    - {name: 'O"d''d $$ :x \q', password: "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="}
  databases:
    - {name: app, owner: app, encoding: UTF-8, locale: ru_RU.UTF-8, extensions: [pg_trgm, earthdistance]}
    - {name: plain}
    - {name: 'O"d''d $$ :x \q', owner: 'O"d''d $$ :x \q', encoding: LATIN1, locale: C, extensions: [pg_trgm]}
`

func parse(t *testing.T) seeds.Seed {
	t.Helper()
	s, _, err := seeds.ParseCluster("seed.yaml", []byte(cluster))
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

// fresh is a server that a Patroni has just made.
func fresh() state {
	own := settings{Owner: "postgres", Encoding: "UTF8", Collate: "ru_RU.UTF-8", CType: "ru_RU.UTF-8", Provider: libc}
	return state{
		Roles:      []string{"postgres", "replicator", "rewind", "pg_monitor"},
		Databases:  map[string]settings{"postgres": own, "template0": own, "template1": own},
		Extensions: []string{"plpgsql", "pg_trgm", "earthdistance", "cube"},
	}
}

// server is one that answers with its state. What begins with a key of refuses it refuses
// with the message there, and so it does with all statements in a database of that name.
type server struct {
	state
	refuses map[string]string
	log     strings.Builder
}

func (s *server) connect(database string) *session {
	fmt.Fprintf(&s.log, "== %s\n", database)
	return psqlOf(func(statement string) (rows, message string) {
		fmt.Fprintln(&s.log, statement)
		for key, message := range s.refuses {
			if strings.HasPrefix(statement, key) || database == key {
				fmt.Fprintln(&s.log, "-- refused")
				return "", message
			}
		}
		switch statement {
		case readState:
			text, err := json.Marshal(s.state)
			if err != nil {
				return "", err.Error()
			}
			return string(text), ""
		case isApplied:
			return map[bool]string{false: "f", true: "t"}[s.Digests != nil], ""
		case readApplied:
			text, err := json.Marshal(s.applied)
			if err != nil {
				return "", err.Error()
			}
			return string(text), ""
		}
		return "", ""
	})
}

// digestsOf are the digests after a run that has made everything, without those whose id
// begins with one of except.
func digestsOf(t *testing.T, s seeds.Seed, except ...string) map[string]string {
	t.Helper()
	all, err := everything(s)
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]string{}
	for _, w := range all {
		if !slices.ContainsFunc(except, func(id string) bool { return strings.HasPrefix(w.id, id) }) {
			digests[w.id] = w.digest
		}
	}
	return digests
}

// made is a server on which everything of the seed was made.
func made(t *testing.T, s seeds.Seed) state {
	t.Helper()
	has := fresh()
	has.Digests = digestsOf(t, s)
	for _, role := range s.PostgreSQL.Roles {
		has.Roles = append(has.Roles, role.Name)
	}
	for _, d := range s.PostgreSQL.Databases {
		has.Databases[d.Name] = settings{Owner: d.Owner, Encoding: "UTF8", Collate: "ru_RU.UTF-8", CType: "ru_RU.UTF-8", Provider: libc}
	}
	return has
}

func TestApply(t *testing.T) {
	s := parse(t)
	const odd = `O"d'd $$ :x \q`
	for name, prepare := range map[string]func(*server, *seeds.Seed){
		"fresh": func(srv *server, _ *seeds.Seed) { srv.state = fresh() },
		"again": func(*server, *seeds.Seed) {},
		"a standby by now": func(srv *server, _ *seeds.Seed) {
			srv.state = fresh()
			srv.Recovery = true
		},
		"a foreign schema": func(srv *server, _ *seeds.Seed) {
			srv.state = fresh()
			srv.Foreign = "mallory"
		},
		// Of what was there before only what the seed names is set.
		"existing": func(srv *server, _ *seeds.Seed) { srv.Digests = nil },
		"changed": func(_ *server, seed *seeds.Seed) {
			seed.PostgreSQL.Roles[0].ConnectionLimit = 10
			seed.PostgreSQL.Roles = append(seed.PostgreSQL.Roles, seeds.Role{Name: "new", ConnectionLimit: -1})
			seed.PostgreSQL.Databases = seed.PostgreSQL.Databases[1:]
			seed.PostgreSQL.Databases[0].Owner = "new"
		},
		// A role that is made once more gets its memberships, though those were made.
		"dropped and changed": func(srv *server, seed *seeds.Seed) {
			srv.Roles = slices.DeleteFunc(srv.Roles, func(name string) bool { return name == "app" })
			seed.PostgreSQL.Roles[0].ConnectionLimit = 10
			delete(srv.Databases, odd)
			seed.PostgreSQL.Databases[2].Locale = "POSIX"
		},
		"dropped": func(srv *server, seed *seeds.Seed) {
			srv.Roles = slices.DeleteFunc(srv.Roles, func(name string) bool { return name == "app" })
			delete(srv.Databases, odd)
			seed.PostgreSQL.Roles[0].InRole = append(seed.PostgreSQL.Roles[0].InRole, "rewind")
			seed.PostgreSQL.Databases[2].Extensions = append(seed.PostgreSQL.Databases[2].Extensions, "cube")
		},
		"missing": func(srv *server, seed *seeds.Seed) {
			srv.state = fresh()
			seed.PostgreSQL.Roles[0].InRole[1] = "nobody"
			seed.PostgreSQL.Databases[0].Extensions[0] = "postgis"
			seed.PostgreSQL.Databases[2].Owner = "no \"one"
		},
		"refused": func(srv *server, _ *seeds.Seed) {
			srv.state = fresh()
			srv.refuses = map[string]string{
				`CREATE ROLE "app"`:                      `it begins with SCRAM-SHA-256`,
				`CREATE DATABASE "O"`:                    "encoding LATIN1 does not match locale",
				`CREATE EXTENSION IF NOT EXISTS "earthd`: "could not load library",
			}
		},
		"a database that lets nobody in": func(srv *server, _ *seeds.Seed) {
			srv.Digests = digestsOf(t, s, "extension")
			srv.refuses = map[string]string{"app": `database "app" is not currently accepting connections`}
		},
		"locked": func(srv *server, _ *seeds.Seed) {
			srv.refuses = map[string]string{"SELECT pg_advisory_lock": "canceling statement due to lock timeout"}
		},
		"an older seed": func(srv *server, seed *seeds.Seed) {
			srv.Generation = 2
			seed.Cluster.Generation = 1
			seed.PostgreSQL.Roles = seed.PostgreSQL.Roles[1:]
		},
		"a later seed": func(srv *server, seed *seeds.Seed) {
			srv.Generation = 2
			seed.Cluster.Generation = 3
			seed.PostgreSQL.Databases = nil
		},
		"not recorded": func(srv *server, _ *seeds.Seed) {
			srv.Digests = digestsOf(t, s, "database \"plain\"")
			srv.refuses = map[string]string{"INSERT": "disk full"}
		},
		"another locale": func(srv *server, seed *seeds.Seed) {
			srv.state = fresh()
			icu := srv.Databases["template1"]
			icu.Provider = "i"
			srv.Databases["template1"] = icu
			seed.PostgreSQL.Roles = nil
			seed.PostgreSQL.Databases = []seeds.Database{{Name: "a", Locale: "ru_RU.UTF-8"}, {Name: "b", Encoding: "utf-8"}, {Name: "c", Encoding: "KOI8R"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			seed := parse(t)
			srv := server{state: made(t, s)}
			prepare(&srv, &seed)
			all, err := everything(seed)
			if err != nil {
				t.Fatal(err)
			}
			err = apply(all, seed.Cluster.Generation, func(said string) { fmt.Fprintln(&srv.log, "-- say:", said) }, srv.connect)
			if err != nil {
				fmt.Fprintf(&srv.log, "-- error:\n%v\n", err)
			}
			got := srv.log.String()
			for _, w := range all {
				if w.role != nil && w.role.Password != "" {
					got = strings.ReplaceAll(got, w.role.Password.Reveal(), "(verifier of "+w.role.Name+")")
				}
				got = strings.ReplaceAll(got, w.digest, "(digest)")
			}
			if strings.Contains(got, "fixture-") {
				t.Fatalf("a password would come into the golden file:\n%s", got)
			}
			if name != "fresh" { // once is enough to read
				got = strings.NewReplacer(readState, "(the state)", setQuiet(), "(the settings)").Replace(got)
			}
			golden.Check(t, "testdata/"+strings.ReplaceAll(name, " ", "-")+".golden", got)
		})
	}
}

func TestMade(t *testing.T) {
	s := parse(t)
	all, err := everything(s)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		digests    map[string]string
		generation int
		want       bool
	}{
		"nothing":         {nil, 0, false},
		"all":             {digestsOf(t, s), s.Cluster.Generation, true},
		"not all":         {digestsOf(t, s, "role"), s.Cluster.Generation, false},
		"of a later seed": {digestsOf(t, s, "role"), s.Cluster.Generation + 1, true},
	} {
		for _, recovery := range []bool{false, true} {
			srv := server{state: fresh()}
			srv.Recovery, srv.applied = recovery, applied{test.digests, test.generation}
			if got, err := allMade(all, s.Cluster.Generation, srv.connect(home)); got != test.want || err != nil {
				t.Errorf("%s, recovery %t: %t, %v", name, recovery, got, err)
			}
		}
	}
}
