package database

import (
	"encoding/json"
	"fmt"
	"strings"
)

// state is what a server has.
type state struct {
	applied    `json:"-"`
	Recovery   bool   // it is a standby
	Foreign    string // the owner of the schema banyan, where that is no superuser
	Roles      []string
	Databases  map[string]settings // by name
	Extensions []string            // that are installed, and so can be made in a database
}

// applied is what is kept of what was made.
type applied struct {
	Digests    map[string]string // by what it is; nil before anything was made
	Generation int               // of the latest seed that something was made of
}

// settings are those of a database that are chosen when it is made.
type settings struct {
	Owner, Encoding, Collate, CType string
	Provider                        string // of the locale: "c" for libc, as in pg_database; "" below PostgreSQL 15, which has no other
}

// readState asks for all but what was made. The catalogs of PostgreSQL 11 to 18 have these
// columns but for datlocprovider, which is new in 15.
const readState = `SELECT pg_catalog.jsonb_build_object(
	'recovery', pg_catalog.pg_is_in_recovery(),
	'foreign', (SELECT r.rolname::text FROM pg_namespace n JOIN pg_authid r ON r.oid = n.nspowner WHERE n.nspname = 'banyan' AND NOT r.rolsuper),
	'roles', (SELECT jsonb_agg(rolname::text) FROM pg_authid),
	'databases', (SELECT jsonb_object_agg(d.datname::text, jsonb_build_object('owner', pg_get_userbyid(d.datdba)::text,
		'encoding', pg_encoding_to_char(d.encoding)::text, 'collate', d.datcollate::text, 'ctype', d.datctype::text,
		'provider', to_jsonb(d)->>'datlocprovider')) FROM pg_database d),
	'extensions', (SELECT jsonb_agg(name::text) FROM pg_available_extensions));`

// The digests are kept in the database itself, so that a replica that becomes leader has
// them, and a backup that is restored: what they say is as old as what they are of.
const (
	isApplied   = `SELECT to_regclass('banyan.applied') IS NOT NULL;`
	readApplied = `SELECT jsonb_build_object('digests', coalesce(jsonb_object_agg(object, digest), '{}'), 'generation', coalesce(max(generation), 0)) FROM banyan.applied;`
)

// read reads the state by a session in the database postgres.
func read(exec execute) (state, error) {
	var s state
	text, err := exec(readState)
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	if err != nil {
		return state{}, fmt.Errorf("read what PostgreSQL has: %w", err)
	}
	if s.Foreign != "" {
		return s, nil
	}
	if there, err := exec(isApplied); err != nil || there == "f" {
		return s, err
	}
	if text, err = exec(readApplied); err == nil {
		err = json.Unmarshal([]byte(text), &s.applied)
	}
	if err != nil {
		return state{}, fmt.Errorf("read banyan.applied: %w", err)
	}
	return s, nil
}

// record keeps the digests of what was made, and forgets what the seed no longer has:
// should it come back, it is made again.
func record(all []wanted, generation int, unmade map[string]bool, s state) []string {
	var sql, ids, rows []string
	for _, w := range all {
		ids = append(ids, literal(w.id))
		if !unmade[w.id] {
			rows = append(rows, fmt.Sprintf("(%s, %s, %d)", literal(w.id), literal(w.digest), generation))
		}
	}
	if s.Digests == nil {
		sql = append(sql,
			"CREATE SCHEMA IF NOT EXISTS banyan;",
			"REVOKE ALL ON SCHEMA banyan FROM PUBLIC;",
			"CREATE TABLE banyan.applied (object text PRIMARY KEY, digest text NOT NULL, generation integer NOT NULL, at timestamptz NOT NULL DEFAULT now());",
			"REVOKE ALL ON TABLE banyan.applied FROM PUBLIC;",
			"COMMENT ON TABLE banyan.applied IS 'What Banyan has made of its seed. It makes again what has no row here, or another digest.';")
	}
	sql = append(sql, fmt.Sprintf("DELETE FROM banyan.applied WHERE object <> ALL (ARRAY[%s]::text[]);", strings.Join(ids, ", ")))
	if len(rows) > 0 {
		sql = append(sql, fmt.Sprintf(`INSERT INTO banyan.applied (object, digest, generation) VALUES
	%s
ON CONFLICT (object) DO UPDATE SET digest = excluded.digest, generation = excluded.generation,
	at = CASE applied.digest WHEN excluded.digest THEN applied.at ELSE excluded.at END
WHERE (applied.digest, applied.generation) <> (excluded.digest, excluded.generation);`, strings.Join(rows, ",\n\t")))
	}
	return sql
}
