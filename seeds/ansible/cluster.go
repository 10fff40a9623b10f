package ansible

import (
	"bytes"
	"reflect"
	"regexp"

	"gopkg.in/yaml.v3"

	"banyan/internal/strict"
	"banyan/seeds"
)

// origin is the variable that a value of the cluster file was made of.
type origin struct {
	variable string
	at       place
}

// cluster is a cluster file in the making.
type cluster struct {
	root    *yaml.Node
	origins map[*yaml.Node]origin // of values and of the items of lists
}

func newCluster() *cluster {
	return &cluster{root: &yaml.Node{Kind: yaml.MappingNode}, origins: map[*yaml.Node]origin{}}
}

// set gives the key at the end of keys below a mapping a value.
func (c *cluster) set(below *yaml.Node, from origin, v *yaml.Node, keys ...string) {
	for _, key := range keys[:len(keys)-1] {
		child := member(below, key)
		if child == nil {
			child = &yaml.Node{Kind: yaml.MappingNode}
			below.Content = append(below.Content, text(key), child)
		}
		below = child
	}
	last := keys[len(keys)-1]
	if old := member(below, last); old != nil { // the later one counts, as in Patroni's YAML
		*old = *v
		v = old
	} else {
		below.Content = append(below.Content, text(last), v)
	}
	c.origins[v] = from
}

func member(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func text(s string) *yaml.Node {
	var n yaml.Node
	n.SetString(s)
	if n.Style == yaml.LiteralStyle { // a line break is refused where it counts, and quoted here
		n.Style = yaml.DoubleQuotedStyle
	}
	return &n
}

// bare is a number, a word of a list or true and false, as YAML types it.
func bare(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

// words is a list on one line.
func words(all ...string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, word := range all {
		n.Content = append(n.Content, text(word))
	}
	return n
}

// sortKeys puts the keys of n into the order that the schema has them in.
func sortKeys(n *yaml.Node, t reflect.Type) {
	switch {
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, item := range n.Content {
			sortKeys(item, t.Elem())
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		var sorted []*yaml.Node
		for _, f := range strict.Fields(t) {
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == f.Key {
					sortKeys(n.Content[i+1], f.Type)
					sorted = append(sorted, n.Content[i], n.Content[i+1])
				}
			}
		}
		n.Content = sorted
	}
}

// topLevel is the first key of a section, but not of the file.
var topLevel = regexp.MustCompile(`\n([a-z])`)

// render writes the file, in the order of the schema.
func (c *cluster) render() ([]byte, error) {
	sortKeys(c.root, reflect.TypeFor[seeds.Seed]())
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(c.root); err != nil {
		return nil, err
	}
	if err := encoder.Close(); err != nil {
		return nil, err
	}
	return topLevel.ReplaceAll(b.Bytes(), []byte("\n\n$1")), nil
}
