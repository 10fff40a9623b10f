// Package database makes in PostgreSQL what the seed says shall be there: roles,
// databases and their extensions, once, and again what the seed has changed. Nothing of
// a DBA's is dropped, and what one has changed stays until the seed says otherwise. It also
// makes data that was there before the cluster fit for Patroni to take over.
package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"banyan/seeds"
)

// home is the database that a superuser's session is in, and the digests.
const home = "postgres"

// lock is that of a run, so that two of them do not make the same things at the same
// time: "banyan" in ASCII.
const lock = 0x62616e79616e

// Apply makes the roles, databases and extensions of s by the server of that major
// version in dataDir, which has to be the leader's. Where all was made of the same words
// before, it only reads. say is told what it does.
//
// What cannot be made keeps nothing else from being made; the error has each of it with
// its key of the seed, and no secret, and the next run tries it again. A run that is
// interrupted records nothing, and so the next one does all of it.
func Apply(ctx context.Context, s seeds.Seed, dataDir string, version int, say func(string)) error {
	all, err := everything(s)
	if err != nil {
		return err
	}
	connect, err := connector(ctx, dataDir, version)
	if err != nil {
		return err
	}
	return apply(all, s.Cluster.Generation, say, connect)
}

// Made tells whether all that [Apply] makes of s has been made, or of a seed of a later
// generation. A standby has it from its primary.
func Made(ctx context.Context, s seeds.Seed, dataDir string, version int) (bool, error) {
	all, err := everything(s)
	if err != nil {
		return false, err
	}
	connect, err := connector(ctx, dataDir, version)
	if err != nil {
		return false, err
	}
	return allMade(all, s.Cluster.Generation, connect(home))
}

func allMade(all []wanted, generation int, main *session) (_ bool, err error) {
	defer func() { err = cmp.Or(err, main.close()) }()
	if err := quieten(main.exec); err != nil {
		return false, err
	}
	state, err := read(main.exec)
	return state.made(all) || state.Generation > generation, err
}

// connector opens sessions with the server in a data directory.
func connector(ctx context.Context, dataDir string, version int) (func(database string) *session, error) {
	server, serves, err := Serving(dataDir)
	switch {
	case err != nil:
		return nil, err
	case !serves:
		return nil, fmt.Errorf("no PostgreSQL server runs in %s", dataDir)
	case server.socket == "":
		return nil, errors.New("PostgreSQL has no Unix-domain socket to be reached by: set unix_socket_directories")
	}
	return func(name string) *session { return server.psql(ctx, version, name) }, nil
}

// apply is Apply by sessions that connect opens.
func apply(all []wanted, generation int, say func(string), connect func(database string) *session) (err error) {
	main := connect(home)
	defer func() { err = cmp.Or(err, main.close()) }()
	if err := quieten(main.exec); err != nil {
		return err
	}
	if _, err := main.exec(fmt.Sprintf("SELECT pg_advisory_lock(%d);", lock)); err != nil {
		return fmt.Errorf("wait for another run: %w", err)
	}
	state, err := read(main.exec)
	switch {
	case err != nil:
		return err
	case state.Recovery:
		say("PostgreSQL is a standby by now: the roles and databases come from its primary")
		return nil
	case state.Foreign != "":
		return fmt.Errorf("the schema banyan in the database %s is where the leader keeps what it has made, and belongs to %s: rename it", home, identifier(state.Foreign))
	case state.made(all):
		return nil
	case state.Generation > generation:
		say(fmt.Sprintf("the roles and databases are those of a seed of generation %d, and this one of %d decides nothing: give this node its new seed", state.Generation, generation))
		return nil
	}

	r := run{planOf(all, state), say}
	for _, note := range r.notes {
		say(note)
	}
	if err := r.do(main, connect); err != nil {
		return errors.Join(append(r.problems, err)...)
	}
	return errors.Join(append(r.problems, inTransaction(main.exec, record(all, generation, r.unmade, state)))...)
}

// made tells whether nothing is left to do.
func (s applied) made(all []wanted) bool {
	for _, w := range all {
		if s.Digests[w.id] != w.digest {
			return false
		}
	}
	return len(s.Digests) == len(all)
}
