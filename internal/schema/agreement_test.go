package schema_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
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
	return compile(t, compiler(t), "")
}

// compile compiles a part of it.
func compile(t testing.TB, c *jsonschema.Compiler, part string) *jsonschema.Schema {
	t.Helper()
	s, err := c.Compile("seed.json" + part)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func compiler(t testing.TB) *jsonschema.Compiler {
	t.Helper()
	text, err := seedSchema(t).JSON()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("seed.json", doc); err != nil {
		t.Fatal(err)
	}
	return c
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
		if !checkAgreement(t, s, name, data) {
			t.Errorf("%s is refused", name)
		}
	}
}

// beyond are the problems that a JSON Schema has no words for: how text and numbers
// are written, and which texts of the right form are wrong nevertheless.
var beyond = regexp.MustCompile(`^the file is |^the control character |^a second YAML document |^this secret was sealed` +
	`|^expected .*, found "(0[0-9]+|[0-9]+_[0-9_]+)"$|^expected (the MAC|an) address.*, found ".*:.*"$|^expected a port .*, found "[0-9]+-[0-9]+"$`)

func TestBadSeedsAgree(t *testing.T) {
	s := compiled(t)
	for name, data := range files(t, "testdata/bad/*.yaml") {
		checkAgreement(t, s, name, data)
	}
}

// checkAgreement fails where only one of schema and parser takes a document, as far
// as it is JSON. It returns whether the parser does.
func checkAgreement(t *testing.T, s *jsonschema.Schema, name string, data []byte) bool {
	t.Helper()
	var tree yaml.Node
	if err := yaml.Unmarshal(data, &tree); err != nil || tree.Kind == 0 {
		return false
	}
	document, err := instance(&tree)
	if err != nil {
		return false
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
	return len(found) == 0
}

// values are of all types, and no address or certificate that is wrong in its text
// alone.
var values = []string{
	"true", "false", "0", "17", "-3", "65536", "1.5", "word", "two words", "''", "'17'", "'true'", "null", "~", "[]", "{}", "[word]", "[17]", "[null]",
	"[[word]]", "[{}]", "{word: 17}", "{word: null}", "{name: word}", "172.16.32.9", "172.16.32.9/24", "'::1'", "30s", "64MB", "etcd", "quorum", `"a\tb"`,
	"52:54:00:12:34:56", "4c4c4544-0051-3510-8052-b4c04f4a3432", "2001-12-14", ".inf",
}

// TestKeysAgree: of the values of all types each key takes the same from both.
func TestKeysAgree(t *testing.T) {
	c, sections := compiler(t), map[string]reflect.Type{}
	sectionsOf(reflect.TypeFor[seeds.Seed](), sections)
	for name, section := range sections {
		for _, f := range strict.Fields(section) {
			s := compile(t, c, fmt.Sprintf("#/$defs/%s/properties/%s", name, f.Key))
			for _, text := range values {
				value, err := instance(parsed(text))
				if err != nil {
					t.Fatal(err)
				}
				if value == nil || f.Onto != "" { // both mean something only in a document
					continue
				}
				_, refused := strict.Value(f.Type, text)
				if (refused == nil) != (s.Validate(value) == nil) && !saysBeyond(refused) {
					t.Errorf("%s of %s: %s: parser %v, schema %v", f.Key, name, text, refused, s.Validate(value))
				}
			}
		}
	}
}

// sectionsOf collects the sections below t by name.
func sectionsOf(t reflect.Type, all map[string]reflect.Type) {
	for _, f := range strict.Fields(t) {
		if item := strict.ItemOf(f.Type); strict.FormOf(item) == strict.Section {
			all[item.Name()] = item
			sectionsOf(item, all)
		}
	}
}

// saysBeyond tells whether all problems are beyond JSON.
func saysBeyond(err error) bool {
	var ps strict.Problems
	return errors.As(err, &ps) && !slices.ContainsFunc(ps, func(p strict.Problem) bool { return !beyond.MatchString(p.Message) })
}

// TestOverridesAgree: what a node's own sections may leave out and take back.
func TestOverridesAgree(t *testing.T) {
	const seed = `version: banyan/v1
cluster: {name: a}
nodes: [{name: a, address: 10.0.0.1/8, %s}]
storage: {volumes: {data: {match: {serial: a}}}}
`
	s := compiled(t)
	for section, want := range map[string]bool{
		"storage: {volumes: {data: {path: /a}}}":      true,
		"storage: {volumes: {data: {match: }}}":       false,
		"storage: {volumes: {data: , other: }}":       true,
		"storage: {volumes: }":                        true,
		"storage: ":                                   true,
		"postgresql: {parameters: {jit: }}":           true,
		"postgresql: {roles: [{name: a}]}":            true,
		"postgresql: {roles: [{password: a}]}":        false,
		"postgresql: {roles: [{name: }]}":             false,
		"postgresql: {roles: [{name: a, options: }]}": true,
		"postgresql: {roles: [a]}":                    false,
		"postgresql: {version: a}":                    false,
		"postgresql: {versions: 17}":                  false,
		"secrets: {}":                                 false,
	} {
		if got := checkAgreement(t, s, section, fmt.Appendf(nil, seed, section)); got != want {
			t.Errorf("%s: taken: %t", section, got)
		}
	}
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
