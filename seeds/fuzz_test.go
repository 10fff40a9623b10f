package seeds

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"banyan/internal/strict"
)

// FuzzParse: Parse never panics; its problems lie inside the file; it agrees with
// ParseCluster; a seed that it takes can be redacted, and then holds the same but for
// the secrets.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml", "testdata/warn/*.yaml", "examples/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatalf("%s: %d files, %v", pattern, len(names), err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		seed, err := Parse("seed.yaml", data)
		checkAgreement(t, data, seed, err)
		if err != nil {
			checkProblems(t, data, err)
			return
		}
		redacted, err := Redacted(data, "pgsql-n1")
		if err != nil || !IsRedacted(redacted) {
			t.Fatalf("redacted: %v\n%s", err, redacted)
		}
		again, d := read("seed.yaml", redacted)
		var problems strict.Problems
		_ = errors.As(d.Err(), &problems)
		for _, p := range problems {
			if !strings.Contains(p.Message, "sealed on the node") {
				t.Errorf("redacting broke the seed: %v\n%s", p, redacted)
			}
		}
		if _, original := read("seed.yaml", data); len(problems) != len(original.Secrets()) {
			t.Errorf("%d of %d secrets are sealed:\n%s", len(problems), len(original.Secrets()), redacted)
		}
		forget(reflect.ValueOf(seed).Elem())
		forget(reflect.ValueOf(again).Elem())
		if !reflect.DeepEqual(seed, again) {
			t.Errorf("redacting changed the seed:\n%+v\n%+v", *seed, *again)
		}
	})
}

// checkAgreement: what Parse takes is a cluster file as well, and a cluster file is
// a seed but for what is missing.
func checkAgreement(t *testing.T, data []byte, seed *Seed, err error) {
	t.Helper()
	cluster, warnings, clusterErr := ParseCluster("seed.yaml", data)
	if len(warnings) > 0 {
		checkProblems(t, data, warnings)
	}
	var problems strict.Problems
	switch {
	case clusterErr != nil && err == nil:
		t.Errorf("a seed that is no cluster file: %v", clusterErr)
	case clusterErr != nil:
		checkProblems(t, data, clusterErr)
	case err == nil && !reflect.DeepEqual(seed, cluster):
		t.Errorf("one file, two meanings:\n%+v\n%+v", *seed, *cluster)
	case errors.As(err, &problems):
		for _, p := range problems {
			if !strings.HasPrefix(p.Message, "missing ") {
				t.Errorf("a cluster file is no seed, though it is complete: %v", p)
			}
		}
	}
}

// maxProblems is how many problems package strict reports at most.
const maxProblems = 100

// checkProblems: each has a place in the file, and its text is a console's.
func checkProblems(t *testing.T, data []byte, err error) {
	t.Helper()
	var problems strict.Problems
	if !errors.As(err, &problems) || len(problems) == 0 || len(problems) > maxProblems {
		t.Fatalf("%d problems: %v", len(problems), err)
	}
	lines := strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n")
	for i, p := range problems {
		if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > utf8.RuneCountInString(lines[p.Line-1])+1 {
			t.Errorf("problem outside the file: %+v", p)
		}
		if p.Message == "" || p.File != "seed.yaml" {
			t.Errorf("problem without a message or a file: %+v", p)
		}
		if i > 0 && (p.Line < problems[i-1].Line || p.Line == problems[i-1].Line && p.Column < problems[i-1].Column) {
			t.Errorf("problem out of order: %+v", p)
		}
	}
	for _, r := range err.Error() {
		if unicode.IsControl(r) && r != '\n' {
			t.Errorf("%U reaches the terminal:\n%q", r, err)
		}
	}
}

// forget empties all secrets below v.
func forget(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[Secret]():
		v.SetString("")
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			forget(v.Field(i))
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			forget(v.Index(i))
		}
	}
}

// FuzzMask: whatever stands before and after them, secrets are not in the error.
func FuzzMask(f *testing.F) {
	const secret = "Xyzzy1Plugh"
	secrets := []string{
		"superuser_password: " + secret,
		"superuser_password: \"" + secret + "\" # " + secret,
		"superuser_password:\n    " + secret,
		"superuser_password: |\n    " + secret + "\n    x: " + secret,
		"superuser_password: >-\n\n    " + secret,
		"superuser_password: \"x\n    " + secret + "\"",
		"superuser_password: [" + secret + ",\n    " + secret + "]",
		"superuser_password:\n    - a: " + secret,
		"superuser_password " + secret + ": x",
		"superuser_password: *" + secret,
	}
	layouts := []string{
		"postgresql:\n  roles:\n    - {name: app, password: " + secret + "}",
		"postgresql: {databases: [{name: app}], roles: [{name: app, password: SCRAM-SHA-256$" + secret + "}]}",
		"etcd:\n  username: patroni\n  password: '" + secret + "'",
		"etcd:\n  key: |\n    " + secret,
		"etcd:\n  endpoints:\n    - https://patroni:" + secret + "@etcd1.example.org:2379",
		"etcd: {endpoints: [\"https://" + secret + "@etcd1\"]}",
		"system: {proxy: {https_proxy: \"http://proxy:" + secret + "@proxy:8080\"}, users: [{name: dba, hashed_passwd: " + secret + "}]}",
	}
	for _, line := range secrets {
		layouts = append(layouts, "secrets:\n  "+line)
	}
	head, _, _ := strings.Cut(minimal, "secrets:")
	for i := range layouts {
		f.Add(i, []byte(head), []byte("  replication_password: short\n  colour: green\n"))
		f.Add(i, []byte("cluster: {name: \""), []byte("\"}\n"))
		f.Add(i, []byte("? |\n  x"), []byte("\t: ["))
	}
	f.Fuzz(func(t *testing.T, layout int, before, after []byte) {
		section := "\n" + layouts[uint(layout)%uint(len(layouts))] + "\n"
		data := slices.Concat(before, []byte(section), after)
		_, err := Parse("seed.yaml", data)
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("shows a secret:\n%v\n--- of\n%s", err, data)
		}
		if _, warnings, _ := ParseCluster("seed.yaml", data); strings.Contains(warnings.Error(), secret) {
			t.Errorf("warns of a secret:\n%v\n--- of\n%s", warnings, data)
		}
	})
}
