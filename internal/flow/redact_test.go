package flow

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"banyan/seeds"
)

const password = "correct horse battery"

var sealed = []byte(`version: banyan/v1
cluster: {name: pgsql-cl}
nodes: [{name: pgsql-n1, address: 10.0.2.15/24}]
secrets: {superuser_password: ` + password + `, replication_password: ` + password + `, rewind_password: ` + password + `}
# long enough to be more than one sector: ` + string(bytes.Repeat([]byte("banyan "), 200)) + "\n")

func redactedSeed(t *testing.T) []byte {
	t.Helper()
	redacted, err := seeds.Redacted(sealed)
	if err != nil {
		t.Fatal(err)
	}
	return redacted
}

func TestWithoutSecrets(t *testing.T) {
	redacted := redactedSeed(t)
	// The first sector says that it was planted, the others are as they were.
	cut := append(bytes.Clone(redacted[:sector]), sealed[sector:]...)
	another := []byte("clutser: x\npassword: " + password + "\n")
	scrubbed := []byte("clutser: x\npassword: " + strings.Repeat("*", len(password)) + "\n")
	// A planted seed that was taken as the pattern for a new one.
	edited := bytes.Replace(redacted, []byte("pgsql-cl"), []byte("pgsql-c2"), 1)
	for name, c := range map[string]struct{ before, after []byte }{
		"the sealed seed":                 {sealed, redacted},
		"cut off after the first sector":  {cut, redacted},
		"cut off before it was shortened": {append(bytes.Clone(redacted), "\n\n\n"...), redacted},
		"done before":                     {redacted, redacted},
		"with a mistake":                  {another, scrubbed},
		"a new one":                       {edited, edited},
	} {
		got, err := withoutSecrets(c.before, sealed, redacted)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(got, c.after) {
			t.Errorf("%s became:\n%s", name, got)
		}
		if bytes.Contains(got, []byte(password)) {
			t.Errorf("%s still holds a password", name)
		}
	}
}

func TestOverwrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seed.yaml")
	for name, c := range map[string]struct{ before, after []byte }{
		"longer":  {redactedSeed(t)[:100], sealed},
		"shorter": {sealed, []byte("short\n")},
		"empty":   {nil, []byte("new\n")},
	} {
		if err := os.WriteFile(path, c.before, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := overwrite(path, c.after); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, c.after) {
			t.Errorf("%s became:\n%s", name, got)
		}
	}
}

func TestEachSeedFindsWhatPeopleCallASeed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"seed.yaml", "SEED.YML", "seed.yaml.txt", "seed.example.yaml", "README.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var found []string
	err := eachSeed(dir, func(path string, _ []byte) error {
		found = append(found, filepath.Base(path))
		return nil
	})
	if want := []string{"SEED.YML", "seed.yaml", "seed.yaml.txt"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("got %v, %v", found, err)
	}
}
