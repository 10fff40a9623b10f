package database

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"banyan/internal/golden"
	"banyan/internal/scram"
	"banyan/seeds"
)

func TestRolesOfPatroni(t *testing.T) {
	secrets := seeds.Secrets{SuperuserPassword: "fixture-1", ReplicationPassword: "fixture-2", RewindPassword: "fixture-3"}
	statements, err := rolesOfPatroni(secrets)
	if err != nil {
		t.Fatal(err)
	}
	passwords := []seeds.Secret{secrets.SuperuserPassword, secrets.ReplicationPassword, secrets.RewindPassword}
	var masked []string
	for _, statement := range statements {
		before, verifier, has := strings.Cut(statement, "PASSWORD '")
		if strings.Contains(statement, "\n") {
			t.Errorf("in single-user mode the end of a line is that of the statement: %q", statement)
		}
		if !has {
			masked = append(masked, statement)
			continue
		}
		verifier = strings.TrimSuffix(verifier, "';")
		if made, err := scram.Verifier(passwords[0], scram.Salt(seeds.Secret(verifier))); err != nil || made.Reveal() != verifier {
			t.Errorf("%s is not given the verifier of its password: %v", before, err)
		}
		passwords = passwords[1:]
		masked = append(masked, before+"PASSWORD '(verifier)';")
	}
	got := strings.Join(masked, "\n") + "\n"
	if strings.Contains(got, "fixture-") || len(passwords) > 0 {
		t.Fatalf("a password would come into the golden file, or one was given to no role:\n%s", got)
	}
	golden.Check(t, "testdata/patroni.golden", got)
}

// Data that was used with more than the defaults is started with as much.
func TestSingleUser(t *testing.T) {
	args := singleUser("/data", "7", 12)
	if !slices.Equal(args[:3], []string{"--single", "-D", "/data"}) || args[len(args)-1] != "postgres" {
		t.Errorf("got %q", args)
	}
	for _, want := range []string{"max_prepared_transactions=7", "max_replication_slots=12", "config_file=/dev/null", "log_min_error_statement=panic"} {
		if i := slices.Index(args, want); i < 0 || args[i-1] != "-c" {
			t.Errorf("%s is not among %q", want, args)
		}
	}
	if !slices.Contains(singleUser("/data", "0", 1), "max_replication_slots=10") {
		t.Error("it has fewer slots than PostgreSQL's default")
	}
}

func TestCheckAdoption(t *testing.T) {
	for name, test := range map[string]struct {
		version string // of the data; "" for none
		uid     int
		want    string
	}{
		"data":            {"17\n", os.Getuid(), ""},
		"no data":         {"", os.Getuid(), " holds something that is no data of PostgreSQL, without a PG_VERSION: move it away"},
		"another version": {"15\n", os.Getuid(), " is of PostgreSQL 15, and this node runs 17: set postgresql.version"},
		"another owner":   {"17\n", os.Getuid() + 1, ": chown -R postgres: /"},
	} {
		dir := t.TempDir()
		if test.version != "" {
			write(t, filepath.Join(dir, "PG_VERSION"), test.version)
		}
		err := Adoption{DataDir: dir, Version: 17, UID: test.uid}.check()
		if (test.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIsReplica(t *testing.T) {
	for _, name := range []string{"", "standby.signal", "recovery.signal", "recovery.conf"} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "PG_VERSION"), "17\n")
		if name != "" {
			write(t, filepath.Join(dir, name), "")
		}
		if got, err := IsReplica(dir); err != nil || got != (name != "") {
			t.Errorf("%q: %t, %v", name, got, err)
		}
	}
	if got, err := IsReplica("/nonexistent"); got || err != nil {
		t.Errorf("no directory: %t, %v", got, err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
