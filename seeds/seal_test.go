package seeds

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSeal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "banyan")
	path := filepath.Join(dir, "seed.yaml")
	for _, data := range []string{"first", "second"} {
		if err := Seal(path, []byte(data)); err != nil {
			t.Fatal(err)
		}
		if got := string(readTestFile(t, path)); got != data {
			t.Errorf("got %q, want %q", got, data)
		}
		mode(t, path, 0o600)
		mode(t, dir, 0o700)

		// As an upgrade may find them.
		for name, perm := range map[string]fs.FileMode{path: 0o644, dir: 0o755} {
			if err := os.Chmod(name, perm); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func mode(t *testing.T, name string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != want {
		t.Errorf("%s has mode %v, want %v", name, info.Mode().Perm(), want)
	}
}

// TestSealReplaces: the new file is another one, so that whoever reads the old
// one, and whatever stops the writing, never sees half a seed.
func TestSealReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "banyan", "seed.yaml")
	if err := Seal(path, []byte("the old seed")); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := Seal(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	var data bytes.Buffer
	if _, err := data.ReadFrom(old); err != nil || data.String() != "the old seed" {
		t.Errorf("the open file now reads %q, %v", data.String(), err)
	}
}

func TestSealFails(t *testing.T) {
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.MkdirAll(filepath.Join(taken, "seed.yaml", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Seal(filepath.Join(taken, "seed.yaml"), []byte("x")); err == nil {
		t.Error("a directory was replaced")
	}
	if entries, err := os.ReadDir(taken); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	err := Seal(filepath.Join(t.TempDir(), "none", "banyan", "seed.yaml"), []byte("x"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a parent directory: %v", err)
	}
}

func TestRedacted(t *testing.T) {
	head, _, _ := strings.Cut(minimal, "secrets:")
	const mark = "# planted on pgsql-n1; its secrets are on that node only\n"
	for name, test := range map[string]struct{ data, want string }{
		"styles, comments and layout": {
			head + "# Hands off.\nsecrets:   # three\n" +
				"    superuser_password:  Hush-superuser   # plain\n\n" +
				"    \"replication_password\":    'it''s: #Hush'# quoted\n" +
				"    rewind_password: \"Hush \\\" \\\\\" # escaped\n# The end, without a line break.",
			head + "# Hands off.\nsecrets:   # three\n" +
				"    superuser_password:  (sealed)   # plain\n\n" +
				"    \"replication_password\":    (sealed)# quoted\n" +
				"    rewind_password: (sealed) # escaped\n# The end, without a line break.",
		},
		"blocks and several lines": {
			head + "secrets:\n  superuser_password: |-\n    Hush: superuser\n\n  # between\n  replication_password: >-\n    Hush\n    replicator\n  rewind_password: Hush\n    rewind\n    and more\n",
			head + "secrets:\n  superuser_password: (sealed)\n\n  # between\n  replication_password: (sealed)\n  rewind_password: (sealed)\n",
		},
		"in braces": {
			head + "secrets: {superuser_password: Hush-superuser, replication_password:\n Hush replicator, rewind_password: \"Hush\\\n  -rewind\"}\n",
			head + "secrets: {superuser_password: (sealed), replication_password:\n (sealed), rewind_password: (sealed)}\n",
		},
		"Windows": {
			"\ufeff" + strings.ReplaceAll(minimal, "\n", "\r\n"),
			strings.ReplaceAll(head+"secrets: {superuser_password: (sealed), replication_password: (sealed), rewind_password: (sealed)}\n", "\n", "\r\n"),
		},
		"planted before": {
			"# planted on another; its secrets are on that node only\n" + minimal,
			head + "secrets: {superuser_password: (sealed), replication_password: (sealed), rewind_password: (sealed)}\n",
		},
		"of a user": {
			strings.Replace(minimal, "{name: dba}", "{name: dba, hashed_passwd: $y$Hush$Hush, sudo: true}", 1),
			strings.Replace(head, "{name: dba}", "{name: dba, hashed_passwd: (sealed), sudo: true}", 1) + "secrets: {superuser_password: (sealed), replication_password: (sealed), rewind_password: (sealed)}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if IsPlanted([]byte(test.data)) != strings.HasPrefix(name, "planted") {
				t.Error("IsPlanted is wrong on the seed itself")
			}
			got, err := Redacted([]byte(test.data))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != mark+test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, mark+test.want)
			}
			if !IsPlanted(got) {
				t.Error("IsPlanted does not tell")
			}
			if _, err := Parse("seed.yaml", got); err == nil || !strings.Contains(err.Error(), "sealed on the node") {
				t.Errorf("Parse takes it again: %v", err)
			}
		})
	}
	if !IsPlanted([]byte("\ufeff" + mark)) {
		t.Error("an editor of Windows makes a planted seed another")
	}
	if got, err := Redacted([]byte("secrets: {superuser_password: Hush}")); err == nil || strings.Contains(err.Error(), "Hush") {
		t.Errorf("not a seed: %s, %v", got, err)
	}
}
