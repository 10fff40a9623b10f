package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"banyan/internal/facts"
	"banyan/internal/scram"
	"banyan/seeds"
)

// Adoption is the taking over of data that was there before the cluster, by a node whose
// Patroni has not started yet: https://patroni.readthedocs.io/en/latest/existing_data.html
type Adoption struct {
	DataDir string
	Version int // of the PostgreSQL that the node runs
	UID     int // of the operating system's user postgres
	Secrets seeds.Secrets

	// What pg_controldata tells of the data, in its words.
	State                string // "shut down" where it was stopped cleanly
	PreparedTransactions string // max_prepared_transactions of the server that used it last
}

// Run gives the data the roles that Patroni makes in a cluster of its own, with the
// passwords of the seed, and leaves it shut down cleanly. No server may work in it. Of
// data that was not, it recovers what its write-ahead log has. It may be interrupted at
// any instant and run again.
//
// It does so with PostgreSQL in single-user mode, as Patroni itself recovers data: one
// process, which nobody can connect to and which asks nobody who he is, so that neither
// pg_hba.conf nor the superuser's name count, nor what a DBA has set for the role or the
// database. It reads none of the configuration that may lie here or in /etc/postgresql,
// and may name what this machine does not have.
// https://www.postgresql.org/docs/current/app-postgres.html#APP-POSTGRES-SINGLE-USER
func (a Adoption) Run(ctx context.Context, say func(string)) error {
	if err := a.check(); err != nil {
		return err
	}
	slots, err := os.ReadDir(filepath.Join(a.DataDir, "pg_replslot"))
	if err != nil {
		return err
	}
	statements, err := rolesOfPatroni(a.Secrets)
	if err != nil {
		return err
	}
	if a.State != "shut down" {
		say(fmt.Sprintf("%s is %q, and is recovered", a.DataDir, a.State))
	}
	postgres := asSuperuser(filepath.Join(facts.BinDir(a.Version), "postgres"), singleUser(a.DataDir, a.PreparedTransactions, len(slots))...)
	postgres.Env = []string{"LC_ALL=C"}
	postgres.Stdin = strings.NewReader(strings.Join(statements, "\n") + "\n")
	if _, err := postgres.Run(ctx); err != nil {
		return fmt.Errorf("%s cannot be taken over, and nothing in it was changed but what PostgreSQL recovered: %w", a.DataDir, err)
	}
	say(a.DataDir + " has the roles of Patroni, and is shut down")
	return nil
}

// check refuses what PostgreSQL could not start on, in words that say what to do.
func (a Adoption) check() error {
	info, err := os.Stat(a.DataDir)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != a.UID {
		return fmt.Errorf("%s is of the user %d, and not of %s, who is %d here: chown -R %[3]s: %[1]s", a.DataDir, stat.Uid, seeds.SuperuserRole, a.UID)
	}
	version, err := os.ReadFile(filepath.Join(a.DataDir, "PG_VERSION"))
	switch has := strings.TrimSpace(string(version)); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s holds something that is no data of PostgreSQL, without a PG_VERSION: move it away", a.DataDir)
	case err != nil:
		return err
	case has != strconv.Itoa(a.Version):
		return fmt.Errorf("%s is of PostgreSQL %s, and this node runs %d: set postgresql.version to one that is installed, or upgrade the data with pg_upgrade first", a.DataDir, has, a.Version)
	}
	return nil
}

// IsReplica tells whether data is to follow a primary, or to be recovered from an archive,
// when a server starts on it. In single-user mode none does.
// https://www.postgresql.org/docs/current/warm-standby.html
func IsReplica(dataDir string) (bool, error) {
	for _, name := range []string{"standby.signal", "recovery.signal", "recovery.conf"} { // the last is of PostgreSQL 11
		_, err := os.Stat(filepath.Join(dataDir, name))
		if !errors.Is(err, fs.ErrNotExist) {
			return err == nil, err
		}
	}
	return false, nil
}

// singleUser are the arguments of a postgres that starts on whatever data there is.
func singleUser(dataDir, preparedTransactions string, slots int) []string {
	args := []string{"--single", "-D", dataDir}
	for _, setting := range [][2]string{
		{"config_file", "/dev/null"},
		// A statement that fails ends it, and nothing of the statement is shown.
		{"exit_on_error", "on"}, {"log_min_messages", "fatal"}, {"log_min_error_statement", "panic"},
		{"log_statement", "none"}, {"log_min_duration_statement", "-1"}, {"log_line_prefix", ""}, {"lc_messages", "C"},
		{"default_transaction_read_only", "off"}, {"statement_timeout", "0"},
		{"synchronous_commit", "local"}, // there is no replica to wait for
		// It has to have room for what the data holds, and refuses logical slots below this level.
		{"max_prepared_transactions", preparedTransactions}, {"max_replication_slots", strconv.Itoa(max(10, slots))}, {"wal_level", "logical"},
		// A segment that is finished meanwhile is marked for the archive, if there is one.
		{"archive_mode", "on"},
	} {
		args = append(args, "-c", setting[0]+"="+setting[1])
	}
	return append(args, home)
}

// rolesOfPatroni are statements, one to a line, that make what post_bootstrap does in
// patroni/postgresql/bootstrap.py, which is alike in 2.0 to 4.0. A password is never in a
// block, since the message of one that fails shows the statement within.
func rolesOfPatroni(secrets seeds.Secrets) ([]string, error) {
	statements := []string{"BEGIN;"}
	for _, role := range []struct {
		name, options string
		password      seeds.Secret
	}{
		{seeds.SuperuserRole, "SUPERUSER", secrets.SuperuserPassword},
		{seeds.ReplicationRole, "REPLICATION", secrets.ReplicationPassword},
		{seeds.RewindRole, "", secrets.RewindPassword},
	} {
		verifier, err := scram.Verifier(role.password, scram.NewSalt())
		if err != nil {
			return nil, err
		}
		name := identifier(role.name)
		statements = append(statements,
			fmt.Sprintf("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_authid WHERE rolname = %s) THEN CREATE ROLE %s; END IF; END $$;", literal(role.name), name),
			strings.Join(strings.Fields(fmt.Sprintf("ALTER ROLE %s WITH LOGIN %s PASSWORD %s;", name, role.options, literal(verifier.Reveal()))), " "))
	}
	for _, function := range []string{
		"pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)", "pg_read_binary_file(text)", "pg_read_binary_file(text, bigint, bigint, boolean)",
	} {
		statements = append(statements, fmt.Sprintf("GRANT EXECUTE ON FUNCTION pg_catalog.%s TO %s;", function, identifier(seeds.RewindRole)))
	}
	return append(statements, "COMMIT;"), nil
}
