package schema_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"

	"banyan/internal/strict"
	"banyan/seeds"
)

// TestMutantsAgree: what becomes of good seeds when keys are dropped, mistyped and
// moved and values take the place of others is taken by both or by neither.
func TestMutantsAgree(t *testing.T) {
	s := compiled(t)
	sources := files(t, "testdata/good/*.yaml", "examples/*.yaml")
	every, err := yaml.Marshal(everyKey(reflect.TypeFor[seeds.Seed]()))
	if err != nil {
		t.Fatal(err)
	}
	sources["every key"] = every
	if found := problems(every); len(found) > 0 {
		t.Fatalf("of every key: %v\n%s", found, every)
	}
	names := slices.Sorted(maps.Keys(sources))
	const mutants = 1500
	taken := 0
	for i := range uint64(mutants) {
		m := mutator{rand.New(rand.NewPCG(i, 0))}
		name := names[m.IntN(len(names))]
		var tree yaml.Node
		if err := yaml.Unmarshal(sources[name], &tree); err != nil {
			t.Fatal(err)
		}
		for range 1 + m.IntN(2) {
			m.mutate(&tree)
		}
		data, err := yaml.Marshal(&tree)
		if err != nil {
			t.Fatal(err)
		}
		if checkAgreement(t, s, fmt.Sprintf("%s, %d", name, i), data) {
			taken++
		}
		if t.Failed() {
			return // one is long enough
		}
	}
	if taken < mutants/20 || taken > mutants*19/20 {
		t.Errorf("%d of %d mutants are taken: these prove little", taken, mutants)
	}
}

// everyKey is a section with all keys that have an example or a default, or need none.
func everyKey(t reflect.Type) *yaml.Node {
	section := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range strict.Fields(t) {
		text := f.Example
		switch {
		case text != "":
		case f.Default != "":
			text = f.Default
		case f.Type.Kind() == reflect.Bool:
			text = "true"
		}
		value := parsed(text)
		if item := strict.ItemOf(f.Type); strict.FormOf(item) == strict.Section {
			value = everyKey(item)
			switch strict.FormOf(f.Type) {
			case strict.List:
				value = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{value}}
			case strict.Dictionary:
				value = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{parsed("data"), value}}
			}
		}
		if value != nil {
			section.Content = append(section.Content, parsed(f.Key), value)
		}
	}
	return section
}

// mutator changes documents at random.
type mutator struct{ *rand.Rand }

func (m mutator) mutate(tree *yaml.Node) {
	var mappings, nodes []*yaml.Node
	collect(tree.Content[0], &mappings, &nodes)
	if len(mappings) == 0 || len(nodes) == 0 {
		return
	}
	to, from := pick(m, mappings), pick(m, mappings)
	key := 2 * m.IntN(len(to.Content)/2)
	switch m.IntN(5) {
	case 0: // drop a key
		to.Content = slices.Delete(to.Content, key, key+2)
	case 1: // mistype it
		to.Content[key].Value += "x"
	case 2: // put another section's key there
		i := 2 * m.IntN(len(from.Content)/2)
		if !slices.ContainsFunc(to.Content, func(n *yaml.Node) bool { return n.Value == from.Content[i].Value }) {
			to.Content = append(to.Content, clone(from.Content[i]), clone(from.Content[i+1]))
		}
	case 3: // put another value there
		*pick(m, nodes) = *clone(pick(m, nodes))
	default: // put one of any type there
		*pick(m, nodes) = *parsed(pick(m, values))
	}
}

func pick[T any](m mutator, all []T) T { return all[m.IntN(len(all))] }

// collect lists the mappings that have keys, and all values, below n and n itself.
func collect(n *yaml.Node, mappings, nodes *[]*yaml.Node) {
	isMapping := n.Kind == yaml.MappingNode
	if isMapping && len(n.Content) > 0 {
		*mappings = append(*mappings, n)
	}
	for i, child := range n.Content {
		if !isMapping || i%2 == 1 {
			*nodes = append(*nodes, child)
			collect(child, mappings, nodes)
		}
	}
}

// clone is a copy of n, and of all below it.
func clone(n *yaml.Node) *yaml.Node {
	c := *n
	c.Content = slices.Clone(n.Content)
	for i, child := range c.Content {
		c.Content[i] = clone(child)
	}
	return &c
}
