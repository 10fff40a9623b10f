package seeds

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// exampleWarnings are what an example is warned of, since that is what it is about.
var exampleWarnings = map[string]string{"examples/raft.yaml": "deprecated raft"}

// TestExamples: each is a cluster file that is taken, and has what its first line
// promises without a warning.
func TestExamples(t *testing.T) {
	for name, data := range examples(t) {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := ParseCluster(name, data)
			if err != nil {
				t.Fatal(err)
			}
			expected := exampleWarnings[name]
			for _, w := range warnings {
				if expected == "" || !strings.Contains(w.Message, expected) {
					t.Errorf("is warned of:\n%v", w)
				}
			}
			if expected != "" && len(warnings) == 0 {
				t.Errorf("no warning about %s", expected)
			}
			if _, err := Parse(name, data); (err == nil) != (name == "examples/single.yaml") {
				t.Errorf("as a seed: %v", err)
			}
		})
	}
}

// examples are the files of Examples, by their paths.
func examples(tb testing.TB) map[string][]byte {
	tb.Helper()
	names, err := fs.Glob(Examples, "examples/*.yaml")
	if err != nil || !slices.Contains(names, "examples/single.yaml") {
		tb.Fatalf("%v: %v", names, err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		data, err := Examples.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		files[name] = data
	}
	return files
}
