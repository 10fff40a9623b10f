package dcs

import (
	"strings"
	"testing"

	"banyan/seeds"
)

func TestNewer(t *testing.T) {
	s := func(text string) *string { return &text }
	for name, test := range map[string]struct {
		recorded Recorded
		newer    bool
		err      string
	}{
		"nothing":           {Recorded{}, false, ""},
		"the same":          {Recorded{s("a"), s("10")}, false, ""},
		"an earlier one":    {Recorded{s("a"), s("9")}, false, ""},
		"a later one":       {Recorded{s("a"), s("11")}, true, ""},
		"another cluster":   {Recorded{s("b"), s("1")}, false, "another cluster of the same name"},
		"only the cluster":  {Recorded{ID: s("a")}, false, ""},
		"not a generation":  {Recorded{s("a"), s("x")}, false, "generation"},
		"one without an id": {Recorded{s(""), nil}, false, "another cluster"},
	} {
		newer, err := test.recorded.Newer(seeds.Cluster{Name: "pgsql-cl", ID: "a", Generation: 10})
		if newer != test.newer || (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %t, %v", name, newer, err)
		}
	}
}
