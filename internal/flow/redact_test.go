package flow

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

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
	redacted, err := seeds.Redacted(sealed, "pgsql-n1")
	if err != nil {
		t.Fatal(err)
	}
	return redacted
}

func TestWithoutSecrets(t *testing.T) {
	redacted := redactedSeed(t)
	// The first sector says that it was planted, the others are as they were.
	cut := append(bytes.Clone(redacted[:sector]), sealed[sector:]...)
	// So does the file that was made longer for it, with zeros behind what it was.
	grown := append(bytes.Clone(cut), make([]byte, len(redacted)-len(cut))...)
	another := []byte("clutser: x\npassword: " + password + "\n")
	scrubbed := []byte("clutser: x\npassword: " + strings.Repeat("*", len(password)) + "\n")
	staged := bytes.Replace(sealed, []byte(password), []byte("Hush-staged"), 1)
	redactedStaged, err := seeds.Redacted(staged, "pgsql-n1")
	if err != nil {
		t.Fatal(err)
	}
	ofPeer := bytes.Replace(sealed, []byte("pgsql-n1"), []byte("pgsql-n2"), 1)
	peer := bytes.Replace(redacted, []byte("name: pgsql-n1"), []byte("name: pgsql-n2"), 1)
	foreign := bytes.ReplaceAll(sealed, []byte(password), []byte("Hush-foreign"))
	unrelated := []byte(strings.Replace(string(foreign), "# long", "# the "+password+"s, and long", 1))
	appended := append(bytes.Clone(redacted), "# what somebody wrote since\n"...)
	encrypted := []byte("-----BEGIN AGE ENCRYPTED FILE-----\n" + password)
	// A planted seed that was taken as the pattern for a new one.
	edited := bytes.Replace(redacted, []byte("pgsql-cl"), []byte("pgsql-c2"), 1)
	for name, c := range map[string]struct{ before, after []byte }{
		"the sealed seed":                 {sealed, redacted},
		"cut off after the first sector":  {cut, redacted},
		"cut off before it was shortened": {append(bytes.Clone(redacted), "\n\n\n"...), redacted},
		"cut off as it grew":              {grown, redacted},
		"done before":                     {redacted, redacted},
		"with a mistake":                  {another, scrubbed},
		"a new one":                       {edited, edited},
		"the staged seed":                 {staged, redactedStaged},
		"another node's":                  {ofPeer, peer},
		"of another cluster":              {foreign, foreign},
		"which mentions it":               {unrelated, unrelated},
		"edited behind the first sector":  {appended, appended},
		"encrypted":                       {encrypted, encrypted},
	} {
		got, err := withoutSecrets(c.before, "pgsql-n1", []keptSeed{{sealed, redacted}, {staged, redactedStaged}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(got, c.after) {
			t.Errorf("%s became:\n%s", name, got)
		}
		if bytes.Contains(got, []byte(password)) && name != "encrypted" && name != "which mentions it" {
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
	files := fstest.MapFS{}
	for _, name := range []string{
		"seed.yaml", "SEED.YML", "seed.yaml.txt", "seed.example.yaml", "README.txt", "52-54-00-00-00-01.yaml", "seed.yaml.age",
		"Seeds/cz1.yaml", "Seeds/cz1.yaml.txt", "Seeds/deeper/cz1.yaml", "other/cz1.yaml",
	} {
		files[name] = &fstest.MapFile{}
	}
	files["link.yaml"] = &fstest.MapFile{Mode: fs.ModeSymlink}
	var found []string
	err := eachSeed(files, func(name string, _ []byte) error {
		found = append(found, name)
		return nil
	})
	want := []string{"52-54-00-00-00-01.yaml", "SEED.YML", "Seeds/cz1.yaml", "seed.example.yaml", "seed.yaml", "seed.yaml.age", "seed.yaml.txt"}
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("got %v, %v", found, err)
	}
}
