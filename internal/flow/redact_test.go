package flow

import (
	"bytes"
	"os"
	"path/filepath"
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

func TestRedact(t *testing.T) {
	redacted := redactedSeed(t)
	another := bytes.Replace(sealed, []byte("pgsql-cl"), []byte("pgsql-c2"), 1)
	// The first sector says that it was planted, the others are as they were.
	cut := append(bytes.Clone(redacted[:512]), sealed[512:]...)
	for name, c := range map[string]struct{ before, after []byte }{
		"the sealed seed":                 {sealed, redacted},
		"cut off after the first sector":  {cut, redacted},
		"cut off before it was shortened": {append(bytes.Clone(redacted), "\n\n\n"...), redacted},
		"done before":                     {redacted, redacted},
		"another seed":                    {another, another},
	} {
		path := filepath.Join(t.TempDir(), "seed.yaml")
		if err := os.WriteFile(path, c.before, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := redact(path, sealed, redacted); err != nil {
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
	if bytes.Contains(redacted, []byte(password)) {
		t.Error("what is left holds a password")
	}
}

func TestRedactWithoutASeed(t *testing.T) {
	if err := redact(filepath.Join(t.TempDir(), "seed.yaml"), sealed, redactedSeed(t)); err != nil {
		t.Error(err)
	}
}
