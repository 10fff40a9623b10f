package schema_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"banyan/internal/strict"
	"banyan/seeds"
)

// compiled is the JSON Schema of seeds, as an editor has it.
func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := seedSchema(t).JSON()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("seed.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile("seed.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// problems are the parser's, without the rules across fields.
func problems(data []byte) (ps strict.Problems) {
	_ = errors.As(seeds.Kind.Decode("seed.yaml", data, &seeds.Seed{}).Err(), &ps)
	return ps
}

// errNotJSON is that of what YAML has and JSON has not.
var errNotJSON = errors.New("not JSON")

// instance is a tree of YAML as what a JSON Schema is asked about.
func instance(n *yaml.Node) (any, error) {
	if n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		return nil, errNotJSON
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return instance(n.Content[0])
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if _, duplicate := object[key.Value]; duplicate || key.Kind != yaml.ScalarNode || key.Anchor != "" || key.ShortTag() == "!!merge" {
				return nil, errNotJSON
			}
			value, err := instance(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			object[key.Value] = value
		}
		return object, nil
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			value, err := instance(item)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.ScalarNode:
		var value any
		err := n.Decode(&value)
		if f, ok := value.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) || n.ShortTag() == "!!timestamp" {
			value = n.Value
		}
		return value, err
	}
	return nil, errNotJSON
}

// files are the seeds that match the patterns, by name.
func files(t testing.TB, patterns ...string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, pattern := range patterns {
		names, err := filepath.Glob("../../seeds/" + pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(names), err)
		}
		for _, name := range names {
			if all[filepath.Base(name)], err = os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

func TestGoodSeedsAgree(t *testing.T) {
	s := compiled(t)
	for name, data := range files(t, "testdata/good/*.yaml", "examples/*.yaml") {
		checkAgreement(t, s, name, data)
	}
}

// beyond are the problems that a JSON Schema has no words for: how text and numbers
// are written, and which texts of the right form are wrong nevertheless.
var beyond = regexp.MustCompile(`^the file is |^the control character |^a second YAML document |^this secret was sealed` +
	`|^expected .*, found "(0[0-9]+|[0-9]+_[0-9_]+)"$|^expected (the MAC|an) address.*, found ".*:.*"$`)

func TestBadSeedsAgree(t *testing.T) {
	s := compiled(t)
	for name, data := range files(t, "testdata/bad/*.yaml") {
		checkAgreement(t, s, name, data)
	}
}

// checkAgreement fails where only one of schema and parser takes a document, as far
// as it is JSON.
func checkAgreement(t *testing.T, s *jsonschema.Schema, name string, data []byte) {
	t.Helper()
	var tree yaml.Node
	if err := yaml.Unmarshal(data, &tree); err != nil || tree.Kind == 0 {
		return
	}
	document, err := instance(&tree)
	if err != nil {
		return
	}
	refused := s.Validate(document)
	found := problems(data)
	telling := slices.DeleteFunc(slices.Clone(found), func(p strict.Problem) bool { return beyond.MatchString(p.Message) })
	switch {
	case refused != nil && len(found) == 0:
		t.Errorf("%s: only the schema refuses it: %v\n%s", name, refused, data)
	case refused == nil && len(telling) > 0:
		t.Errorf("%s: only the parser refuses it: %v\n%s", name, telling, data)
	}
}

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
	for i := range uint64(1500) {
		m := mutator{rand.New(rand.NewPCG(i, 0))}
		name := names[m.IntN(len(names))]
		var tree yaml.Node
		if err := yaml.Unmarshal(sources[name], &tree); err != nil {
			t.Fatal(err)
		}
		for range 1 + m.IntN(3) {
			m.mutate(&tree)
		}
		data, err := yaml.Marshal(&tree)
		if err != nil {
			t.Fatal(err)
		}
		if checkAgreement(t, s, fmt.Sprintf("%s, %d", name, i), data); t.Failed() {
			return // one is long enough
		}
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

// parsed is the tree of a YAML text, or nil of none.
func parsed(text string) *yaml.Node {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		panic(err)
	}
	if document.Kind == 0 {
		return nil
	}
	return document.Content[0]
}

// mutator changes documents at random.
type mutator struct{ *rand.Rand }

// values are of all types, and no address or certificate that is wrong in its text
// alone.
var values = []string{
	"true", "false", "0", "17", "-3", "65536", "1.5", "word", "two words", "''", "'17'", "'true'", "null", "~", "[]", "{}", "[word]", "[17]", "[null]",
	"[[word]]", "[{}]", "{word: 17}", "{word: null}", "{name: word}", "172.16.32.9", "172.16.32.9/24", "'::1'", "30s", "64MB", "etcd", "quorum", `"a\tb"`,
	"52:54:00:12:34:56", "4c4c4544-0051-3510-8052-b4c04f4a3432", "2001-12-14", ".inf",
}

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

// FuzzSchema: the schema refuses nothing that the parser takes.
func FuzzSchema(f *testing.F) {
	for _, data := range files(f, "testdata/good/*.yaml", "testdata/bad/*.yaml", "examples/*.yaml") {
		f.Add(data)
	}
	s := compiled(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var tree yaml.Node
		if len(problems(data)) > 0 || yaml.Unmarshal(data, &tree) != nil {
			return
		}
		document, err := instance(&tree)
		if err != nil {
			t.Fatalf("the parser takes what is no JSON: %v\n%s", err, data)
		}
		if err := s.Validate(document); err != nil {
			t.Errorf("only the schema refuses it: %v\n%s", err, data)
		}
	})
}
