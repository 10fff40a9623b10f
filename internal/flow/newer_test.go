package flow

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"banyan/seeds"
)

// minted is a seed of that generation.
func minted(generation int, more string) string {
	return fmt.Sprintf(`version: banyan/v1
cluster: {name: pgsql-cl, id: 6f1f0d9e-5b0c-4a3e-9a55-2f6f9a2f7f11, generation: %d}
nodes: [{name: pgsql-n1, address: 172.16.32.11/24}]
secrets: {superuser_password: Hush-superuser, replication_password: Hush-replicator, rewind_password: Hush-rewind}
`, generation) + more
}

func text(source, seed string) seeds.Place {
	return seeds.Place{Source: source, Read: func() (string, []byte, error) {
		if seed == "" {
			return "", nil, fs.ErrNotExist
		}
		return "seed.yaml", []byte(seed), nil
	}}
}

// Of several newer seeds the newest counts, wherever it is, and the first of its kind.
func TestNewer(t *testing.T) {
	s := seeds.Search{Node: "pgsql-n1", Fits: func(*seeds.Seed, seeds.Node) error { return nil }}
	const auto = "reconfigure: automatic\n"
	for name, c := range map[string]struct {
		sealed  string
		places  []string
		want    int // the place, or -1
		action  seeds.Action
		reasons []string
	}{
		"nothing": {minted(3, ""), []string{"", minted(3, "")}, -1, "", []string{"not present", "the seed that is sealed here"}},
		"the newest": {minted(3, ""), []string{minted(4, ""), minted(5, ""), minted(5, auto)}, 1, seeds.Stage, []string{
			"newer, and not taken: the seed of 1 comes first", "a newer seed (generation 5) was found", "newer, and not taken: the seed of 1 comes first",
		}},
		"automatic": {minted(3, auto), []string{minted(2, ""), minted(4, "")}, 1, seeds.Apply, []string{
			"refused: its generation 2 is older than 3, which is sealed here",
			"a newer seed (generation 4) takes the place of the sealed one, which says reconfigure: automatic",
		}},
		"one to be kept hides none to be applied": {minted(3, auto), []string{strings.Replace(minted(9, ""), ", id: 6f1f0d9e-5b0c-4a3e-9a55-2f6f9a2f7f11", "", 1), minted(4, "")}, 1, seeds.Apply, []string{
			"newer, and not taken: the seed of 1 comes first",
			"a newer seed (generation 4) takes the place of the sealed one, which says reconfigure: automatic",
		}},
		"a broken one is no reason": {minted(3, auto), []string{"x", minted(4, "")}, 1, seeds.Apply, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var all []seeds.Place
			for i, p := range append(c.places, c.sealed) {
				all = append(all, text(fmt.Sprint(i), p))
			}
			sealed, err := s.Look(all, len(c.places))
			if err != nil {
				t.Fatal(err)
			}
			best, verdict, outcomes := newer(s, *sealed, all[:len(c.places)])
			if c.want < 0 && best != nil || c.want >= 0 && (best == nil || best.Place.Source != fmt.Sprint(c.want)) {
				t.Errorf("found: %t, %+v", best != nil, outcomes)
			}
			if verdict.Action != c.action {
				t.Errorf("got %+v", verdict)
			}
			var reasons []string
			for _, o := range outcomes {
				reasons = append(reasons, o.Reason)
			}
			if c.reasons != nil && !slices.Equal(reasons, c.reasons) {
				t.Errorf("got  %q\nwant %q", reasons, c.reasons)
			}
		})
	}
}
