package ansible

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// place is where something is written.
type place struct {
	file string
	line int
}

func (p place) String() string {
	if p.line == 0 {
		return p.file
	}
	return fmt.Sprintf("%s:%d", p.file, p.line)
}

// kind is what a value is.
type kind int

const (
	null kind = iota
	scalar
	list
	mapping
	unresolved // text says why
)

// value is what a variable holds once its references are resolved.
type value struct {
	kind  kind
	at    place
	text  string   // of a scalar, as Ansible's templates would print it
	items []value  // of a list or mapping
	keys  []string // of a mapping, as many as items
	raw   bool     // a scalar whose references are not resolved yet
}

// member is the value of a key of a mapping; the last one counts, as in PyYAML.
func (v value) member(key string) (value, bool) {
	for i, known := range slices.Backward(v.keys) {
		if known == key {
			return v.items[i], true
		}
	}
	return value{}, false
}

// firstUnresolved is a part of v that could not be resolved.
func (v value) firstUnresolved() (value, bool) {
	if v.kind == unresolved {
		return v, true
	}
	for _, item := range v.items {
		if u, found := item.firstUnresolved(); found {
			return u, true
		}
	}
	return value{}, false
}

// variable is a top-level key of a file of variables, or a variable of the inventory.
type variable struct {
	name string
	at   place
	node *yaml.Node // of a file
	text string     // of the inventory
}

// maxFile bounds a file, in bytes. The largest of pgsql_cluster has 17 KiB.
const maxFile = 256 << 10

func checkText(f File) error {
	switch {
	case len(f.Data) > maxFile:
		return fmt.Errorf("%s: the file is larger than %d KiB: this is none of pgsql_cluster's", f.Name, maxFile>>10)
	case !utf8.Valid(f.Data):
		return fmt.Errorf("%s: the file is not UTF-8", f.Name)
	case bytes.HasPrefix(f.Data, []byte("$ANSIBLE_VAULT")):
		return fmt.Errorf("%s: the file is encrypted: write it out with `ansible-vault decrypt --output FILE %s` first", f.Name, f.Name)
	}
	return nil
}

// anchorName is what yaml.v3 repeats of a file: it may be a password that begins with
// an asterisk and is not quoted.
var anchorName = regexp.MustCompile(`unknown anchor '.*'`)

// readVariables reads a file of variables.
func readVariables(f File) ([]variable, error) {
	if err := checkText(f); err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(f.Data))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s: %s", f.Name, anchorName.ReplaceAllString(err.Error(), "unknown anchor"))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: the file goes on after the end of its document", f.Name)
	}
	root := document.Content[0]
	if root.ShortTag() == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: expected variables, one \"name: value\" on each line", f.Name, root.Line)
	}
	var variables []variable
	for i := 0; i+1 < len(root.Content); i += 2 {
		key := root.Content[i]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			return nil, fmt.Errorf("%s:%d: expected the name of a variable", f.Name, key.Line)
		}
		variables = append(variables, variable{name: key.Value, at: place{f.Name, key.Line}, node: root.Content[i+1]})
	}
	return variables, nil
}

// resolver resolves references among the variables and the inventory.
type resolver struct {
	variables map[string]variable
	inventory *inventory
	known     map[string]value
	open      []string // the variables that are being resolved, for cycles
	depth     int
	budget    int // values and bytes that may yet be made
}

const (
	// maxDepth bounds how deep values and expressions are nested.
	maxDepth = 200
	// maxWork bounds what a few lines that repeat one another make.
	maxWork = 1 << 20
)

func newResolver(variables map[string]variable, inv *inventory) *resolver {
	return &resolver{variables: variables, inventory: inv, known: map[string]value{}, budget: maxWork}
}

// spend tells whether that much work may yet be done.
func (r *resolver) spend(n int) bool {
	r.budget -= n
	return r.budget >= 0
}

func cannot(at place, format string, args ...any) value {
	return value{kind: unresolved, at: at, text: fmt.Sprintf(format, args...)}
}

// lookup is the value of a variable.
func (r *resolver) lookup(name string) (value, bool) {
	if v, ok := r.known[name]; ok {
		return v, true
	}
	variable, ok := r.variables[name]
	if !ok {
		return value{}, false
	}
	if slices.Contains(r.open, name) {
		return cannot(variable.at, "%s refers to itself", strings.Join(append(r.open, name), " -> ")), true
	}
	r.open = append(r.open, name)
	var v value
	if variable.node == nil {
		v = r.template(variable.text, variable.at)
	} else {
		v = r.node(variable.node, variable.at.file)
	}
	r.open = r.open[:len(r.open)-1]
	if v.kind != unresolved {
		v.at = variable.at
	}
	if v.kind != unresolved || len(r.open) == 0 { // in a cycle the answer depends on who asks
		r.known[name] = v
	}
	return v, true
}

// node is what a node of YAML holds.
func (r *resolver) node(n *yaml.Node, file string) value {
	at := place{file, n.Line}
	r.depth++
	defer func() { r.depth-- }()
	if r.depth > maxDepth || !r.spend(1) {
		return cannot(at, "values are nested too deep, or repeated too often")
	}
	switch {
	case n.Kind == yaml.AliasNode:
		return r.node(n.Alias, file)
	case n.Tag == "!vault":
		return cannot(at, "the value is encrypted: decrypt it with ansible-vault first")
	case n.Kind == yaml.ScalarNode && n.Tag == "!unsafe":
		return value{kind: scalar, at: at, text: n.Value}
	case n.Style&yaml.TaggedStyle != 0:
		return cannot(at, "a tag of YAML is not read: where the value begins with an exclamation mark, put it in quotes")
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		return value{at: at}
	case n.Kind == yaml.ScalarNode:
		return r.template(n.Value, at)
	case n.Kind == yaml.SequenceNode:
		v := value{kind: list, at: at}
		for _, item := range n.Content {
			v.items = append(v.items, r.node(item, file))
		}
		return v
	}
	v := value{kind: mapping, at: at}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			return cannot(at, "a merge key, or a key that is no text, is not read")
		}
		item := r.node(n.Content[i+1], file)
		if item.kind != unresolved && item.kind != list && item.kind != mapping {
			item.at = place{file, key.Line}
		}
		v.keys = append(v.keys, key.Value)
		v.items = append(v.items, item)
	}
	return v
}
