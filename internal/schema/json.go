package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"

	"banyan/internal/strict"
)

// JSON is the schema as a JSON Schema, draft 2020-12. It takes all that the parser
// decodes, and besides only what it has no words for: duplicate keys, anchors and
// tags, how a number is written, texts that a pattern cannot tell from right ones,
// such as 1::2::3, and what an override may leave out because it inherits it.
func (s *Schema) JSON() ([]byte, error) {
	g := generator{Schema: s}
	root, err := g.section(s.root, Key{}, false)
	if err != nil {
		return nil, err
	}
	root.Schema, root.Type, root.Defs = "https://json-schema.org/draft/2020-12/schema", types{"object"}, g.defs
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(root)
	return b.Bytes(), err
}

// generator collects the definitions of one JSON Schema.
type generator struct {
	*Schema
	defs members
}

// section is the schema of t, a struct. Where it overrides another section, no key
// has to be given: what is required may be inherited.
func (g *generator) section(t reflect.Type, parent Key, overrides bool) (*node, error) {
	n := &node{Description: g.comments[t.Name()], AdditionalProperties: false}
	for _, key := range g.keysOf(t, parent) {
		value, err := g.key(key, overrides)
		if err != nil {
			return nil, err
		}
		switch {
		case !key.Required:
			value.takeNull() // a key without a value says nothing
		case !overrides:
			n.Required = append(n.Required, key.Key)
		}
		n.Properties = append(n.Properties, member{key.Key, value})
	}
	return n, nil
}

// key is the schema of the value of a key.
func (g *generator) key(key Key, overrides bool) (*node, error) {
	n, err := g.value(key.Type, key, overrides || key.Onto != "")
	if err != nil {
		return nil, err
	}
	n.Description = key.Description
	if key.Source != "" {
		n.Description += "\n\nSource: " + key.Source
	}
	if key.Path == "version" {
		n = &node{Description: n.Description, Const: g.kind.Version}
	}
	if key.Default != "" && !overrides {
		n.Default, err = value(key.Default)
	}
	if key.Example != "" && err == nil {
		n.Examples = make([]any, 1)
		n.Examples[0], err = value(key.Example)
	}
	if err != nil {
		return nil, fmt.Errorf("default or example of %s: %w", key.Path, err)
	}
	return n, nil
}

// value is what a YAML text is to JSON.
func value(text string) (v any, err error) {
	err = yaml.Unmarshal([]byte(text), &v)
	return v, err
}

// value is the schema of a value of type t, which key holds.
func (g *generator) value(t reflect.Type, key Key, overrides bool) (*node, error) {
	switch strict.FormOf(t) {
	case strict.Section:
		name, err := g.define(t, key, overrides)
		return &node{Ref: "#/$defs/" + name, Type: types{"object"}}, err
	case strict.Dictionary:
		item, err := g.value(t.Elem(), key, overrides)
		if overrides && err == nil {
			item.takeNull()
		}
		return &node{Type: types{"object"}, AdditionalProperties: item}, err
	case strict.List: // an override replaces it, so that its items have to be whole
		item, err := g.value(t.Elem(), key, false)
		return &node{Type: types{"array"}, Items: item}, err
	}
	return single(t), nil
}

// define sees to it that the section t is defined, and returns its name there. The
// type is not part of a definition: it is "object", and "null" too for those
// who refer to it from a key that may stand without a value.
func (g *generator) define(t reflect.Type, key Key, overrides bool) (string, error) {
	name := t.Name()
	if name == "" {
		return "", fmt.Errorf("the section %s has a type without a name", key.Path)
	}
	if overrides {
		name += "Override"
	}
	if slices.ContainsFunc(g.defs, func(m member) bool { return m.name == name }) {
		return name, nil
	}
	at := len(g.defs)
	g.defs = append(g.defs, member{name: name})
	n, err := g.section(t, key, overrides)
	g.defs[at].schema = n
	return name, err
}

// samples are texts that YAML takes for something else, and what that is to JSON.
var samples = []struct{ text, jsonType string }{
	{"true", "boolean"}, {"false", "boolean"}, {"1.5", "number"}, {"5432", "integer"}, {"7", "integer"},
}

// single is the schema of a type that is written as one value. The parser takes
// text as it stands, so that a password may be all digits, which to JSON is a
// number. Which types take what, the parser itself is asked.
func single(t reflect.Type) *node {
	if values := strict.EnumOf(t); values != nil {
		return &node{Enum: choices(values)}
	}
	takes := func(text string) bool {
		_, err := strict.Value(t, text)
		return err == nil
	}
	n := &node{Pattern: strict.PatternOf(t)}
	if strict.TakesText(t) {
		n.Type = types{"string"}
	}
	for _, sample := range samples {
		if takes(sample.text) {
			n.take(sample.jsonType)
		}
	}
	if n.Type.takes("integer") {
		const port = 1<<16 - 1 // the only numbers with a bound to them
		switch {
		case takes("-1"):
		case takes("0"):
			n.Minimum = bound(0)
		default:
			n.Minimum = bound(1)
		}
		if !takes(strconv.Itoa(port + 1)) {
			n.Maximum = bound(port)
		}
	}
	return n
}

func bound(n int) *int { return &n }

// choices are the values of an enumeration, each also as what YAML takes it for.
func choices(texts []string) []any {
	var all []any
	for _, text := range texts {
		all = append(all, text)
		if v, err := value(text); err == nil && v != text {
			all = append(all, v)
		}
	}
	return all
}
