package mint

import (
	"os"
	"path/filepath"
	"testing"

	"banyan/seeds"
)

// FuzzMint: of every cluster file that is taken, seeds are made that nodes take, and they
// say what it says.
func FuzzMint(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "../examples/*.yaml", "../testdata/good/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || names == nil {
			f.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, _, err := Parse("cluster.yaml", text)
		if err != nil || c.seed.PKI.KeyType == seeds.KeyTypeRSA { // which takes seconds
			return
		}
		m, err := c.mint(t.Context(), nil, Options{Now: now})
		if err != nil {
			return // such as lifetimes in the past
		}
		if err := m.check(t.Context()); err != nil {
			t.Fatalf("%v\nof\n%s", err, text)
		}
		for i := range m.nodes {
			seed, err := m.Seed(i)
			if err != nil {
				t.Fatal(err)
			}
			got, err := seeds.Parse("seed.yaml", seed)
			if err != nil {
				t.Fatalf("%v\nof\n%s", err, text)
			}
			same(t, got, c.seed)
		}
	})
}
