package seeds

import (
	"path/filepath"
	"strings"
	"testing"

	"banyan/internal/golden"
)

// TestWarnings: each seed of testdata/warn is allowed and seldom meant, in one way.
// The secrets of all of them have "Hush" in them.
func TestWarnings(t *testing.T) {
	names, err := filepath.Glob("testdata/warn/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d seeds, %v", len(names), err)
	}
	for _, name := range names {
		base := strings.TrimSuffix(name, ".yaml")
		t.Run(filepath.Base(base), func(t *testing.T) {
			data := readTestFile(t, name)
			parse(t, string(data))
			_, warnings, err := ParseCluster("seed.yaml", data)
			if err != nil {
				t.Fatal(err)
			}
			got := warnings.Error() + "\n"
			if strings.Contains(got, "Hush") {
				t.Errorf("shows a secret:\n%s", got)
			}
			if len(warnings) == 0 {
				t.Error("no warning")
			}
			golden.Check(t, base+".golden", got)
		})
	}
}
