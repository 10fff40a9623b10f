package seeds

import (
	"fmt"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	const (
		id      = ", id: 6f1f0d9e-5b0c-4a3e-9a55-2f6f9a2f7f11"
		foreign = ", id: 6f1f0d9e-5b0c-4a3e-9a55-2f6f9a2f7f12"
		auto    = "reconfigure: automatic\n"
	)
	generation := func(n int) string { return fmt.Sprintf(", generation: %d", n) }
	seed := func(cluster, more string) string {
		return strings.Replace(minimal, "{name: pgsql-cl}", "{name: pgsql-cl"+cluster+"}", 1) + more
	}
	other := func(s string) string { return s + "# another\n" }
	_, key := newKey(t, 1)
	for name, c := range map[string]struct {
		sealed, found string
		want          Action
		reason        string
	}{
		"the same":                 {minimal, minimal, Leave, "the seed that is sealed here"},
		"the same, signed":         {minimal, sign(t, minimal, key), Leave, "the seed that is sealed here"},
		"newer":                    {seed(id+generation(3), ""), seed(id+generation(4), ""), Stage, "a newer seed (generation 4) was found"},
		"newer, automatic":         {seed(id+generation(3), auto), seed(id+generation(4), ""), Apply, "a newer seed (generation 4) takes the place"},
		"found one asks for it":    {seed(id+generation(3), ""), seed(id+generation(4), auto), Stage, "a newer seed (generation 4) was found"},
		"older":                    {seed(id+generation(3), auto), seed(id+generation(2), ""), Leave, "refused: its generation 2 is older than 3"},
		"as old, other text":       {seed(id+generation(3), auto), other(seed(id+generation(3), auto)), Leave, "refused: its text differs, though it has the generation 3"},
		"another cluster":          {seed(id+generation(3), auto), seed(foreign+generation(9), auto), Leave, "refused: it is of another cluster: its cluster.id is 6f1f0d9e-5b0c-4a3e-9a55-2f6f9a2f7f12"},
		"another name":             {minimal, strings.Replace(minimal, "pgsql-cl", "pgsql-c2", 1), Leave, "refused: it is of the cluster pgsql-c2, and this node of pgsql-cl"},
		"another node's":           {minimal, strings.Replace(minimal, "pgsql-n1", "pgsql-n2", 1), Leave, "refused: it has no node pgsql-n1"},
		"for another node":         {rack + "node: pgsql-n1\n", rack + "node: pgsql-n2\n", Leave, "refused: it is for the node pgsql-n2, and this machine is pgsql-n1"},
		"nothing claimed":          {minimal, other(minimal), Stage, "another seed, which gives no generation, was found"},
		"nothing claimed, auto":    {minimal + auto, other(minimal), Stage, "another seed, which gives no generation, was found"},
		"claim for the first time": {minimal + auto, seed(id+generation(1), ""), Apply, "a newer seed (generation 1) takes the place"},
		"claim lost":               {seed(id+generation(3), auto), other(minimal), Stage, "another seed, which gives no generation, was found"},
		"claim of an id lost":      {seed(id+generation(3), auto), seed(generation(4), ""), Stage, "a newer seed (generation 4) was found"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Judge(found(t, c.sealed), found(t, c.found))
			if got.Action != c.want || !strings.HasPrefix(got.Reason, c.reason) {
				t.Errorf("got  %+v\nwant %v, %s", got, c.want, c.reason)
			}
		})
	}
}

func found(t *testing.T, text string) Found {
	t.Helper()
	s, err := Parse("seed.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	n := s.Nodes[0]
	if s.Node != "" {
		n, _ = s.ByName(s.Node)
	}
	return Found{Data: []byte(text), Seed: s, Node: n}
}
