package ansible

import (
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"banyan/internal/strict"
	"banyan/seeds"
)

// leaf is a value of the file, or an item of a list, and what it is a part of, from
// the root on.
type leaf struct {
	path  string
	node  *yaml.Node
	above []*yaml.Node
}

// walk visits every value below n.
func walk(path string, n *yaml.Node, above []*yaml.Node, visit func(leaf)) {
	if path != "" {
		visit(leaf{path, n, above})
	}
	above = append(slices.Clip(above), n)
	for i, child := range n.Content {
		switch {
		case n.Kind == yaml.SequenceNode:
			walk(path+"["+strconv.Itoa(i)+"]", child, above, visit)
		case i%2 == 1:
			walk(strings.TrimPrefix(path+"."+n.Content[i-1].Value, "."), child, above, visit)
		}
	}
}

// drop takes the leaf away, with its key, and returns what puts it back.
func (l leaf) drop() (restore func()) {
	from := l.above[len(l.above)-1]
	whole := from.Content
	at := slices.Index(whole, l.node)
	first := at
	if from.Kind == yaml.MappingNode {
		first--
	}
	if at >= 0 { // else it went with another
		from.Content = slices.Delete(slices.Clone(whole), first, at+1)
	}
	return func() { from.Content = whole }
}

// prune takes away sections that became empty.
func prune(n *yaml.Node) {
	for i := len(n.Content) - 1; i >= 0; i-- {
		v := n.Content[i]
		prune(v)
		if n.Kind == yaml.MappingNode && i%2 == 1 && v.Kind == yaml.MappingNode && len(v.Content) == 0 {
			n.Content = slices.Delete(n.Content, i-1, i+1)
			i--
		}
	}
}

// refusal is a value that the schema does not take.
type refusal struct {
	from    origin
	message string
}

// maxRounds bounds how often leaving out may bring up something else.
const maxRounds = 20

// settle takes away what the schema refuses, one by one, and returns it. Its error
// is what leaving out does not mend.
func (c *cluster) settle(name string) (*seeds.Seed, []refusal, error) {
	var refused []refusal
	for rounds := 1; ; rounds++ {
		prune(c.root)
		data, err := c.render()
		if err != nil {
			return nil, nil, err
		}
		seed, _, err := seeds.ParseCluster(name, data)
		var problems strict.Problems
		if err == nil || !errors.As(err, &problems) || rounds == maxRounds {
			return seed, refused, err
		}
		found, err := c.refuse(data, problems)
		if err != nil {
			return nil, nil, err
		}
		refused = append(refused, found...)
	}
}

// essential are the paths of values that a cluster file may not go without: without
// them it would be another cluster.
var essential = regexp.MustCompile(`^(version|cluster\..*|sites|sites\[\d+\]\.(name|subnet)|nodes|nodes\[\d+\]\.(name|address|services)(\[\d+\])?)$`)

// refuse takes away the values that the problems are with. Where one of them has to
// stay, the error is all the problems.
func (c *cluster) refuse(data []byte, problems strict.Problems) ([]refusal, error) {
	var written yaml.Node
	if err := yaml.Unmarshal(data, &written); err != nil {
		return nil, err
	}
	spots := map[[2]int]leaf{}
	c.locate("", c.root, written.Content[0], nil, spots)
	var refused []refusal
	for _, p := range problems {
		l, ok := spots[[2]int{p.Line, p.Column}]
		if !ok || essential.MatchString(l.path) || l.node.Kind == yaml.MappingNode {
			return nil, problems
		}
		// What is wrong in a section of a list takes the section along.
		for i := len(l.above) - 1; i > 1; i-- {
			if l.above[i].Kind == yaml.MappingNode && l.above[i-1].Kind == yaml.SequenceNode && member(c.root, "nodes") != l.above[i-1] && member(c.root, "sites") != l.above[i-1] {
				l = leaf{"", l.above[i], l.above[:i]}
				break
			}
		}
		from, known := c.originOf(l)
		if !known {
			return nil, problems
		}
		l.drop()
		refused = append(refused, refusal{from, p.Message})
	}
	return refused, nil
}

// originOf is where a leaf comes from, or else what it is the nearest part of.
func (c *cluster) originOf(l leaf) (origin, bool) {
	for _, n := range slices.Backward(append(slices.Clip(l.above), l.node)) {
		if from, ok := c.origins[n]; ok {
			return from, true
		}
	}
	return origin{}, false
}

// locate notes where in the written file each value and its key stand. A key that
// stands where its section does is the section's.
func (c *cluster) locate(path string, ours, written *yaml.Node, above []*yaml.Node, spots map[[2]int]leaf) {
	above = append(slices.Clip(above), ours)
	for i := range ours.Content {
		child := ours.Content[i]
		below := path + "[" + strconv.Itoa(i) + "]"
		if ours.Kind == yaml.MappingNode {
			if i%2 == 0 {
				continue
			}
			below = strings.TrimPrefix(path+"."+ours.Content[i-1].Value, ".")
		}
		l := leaf{below, child, above}
		at := func(n *yaml.Node) [2]int { return [2]int{n.Line, n.Column} }
		spots[at(written.Content[i])] = l
		if ours.Kind == yaml.MappingNode {
			spots[at(written.Content[i-1])] = l
		}
		c.locate(below, child, written.Content[i], above, spots)
	}
}

// leaveOutDefaults takes away what changes nothing, since it is the default, and returns
// it. Nodes have no defaults that are ever written.
func (c *cluster) leaveOutDefaults(name string, seed *seeds.Seed) ([]leaf, error) {
	var candidates []leaf
	walk("", c.root, nil, func(l leaf) {
		parent := l.above[len(l.above)-1]
		single := parent.Kind == yaml.MappingNode && l.node.Kind != yaml.MappingNode && !slices.ContainsFunc(l.above, isList)
		if single && (l.path == "cluster.dcs" || !essential.MatchString(l.path) && !ownValues.MatchString(l.path)) {
			candidates = append(candidates, l)
		}
	})
	defaults, err := c.leaveOut(name, seed, candidates)
	prune(c.root)
	return defaults, err
}

func isList(n *yaml.Node) bool { return n.Kind == yaml.SequenceNode }

// ownValues are the paths of values that have no default.
var ownValues = regexp.MustCompile(`^(nodes|sites|secrets|postgresql\.parameters|system\.sysctl|etcd\.endpoints|postgresql\.pg_(hba|ident))\b`)

// leaveOut takes away those of the candidates that change nothing: all at once, or else
// those of either half.
func (c *cluster) leaveOut(name string, seed *seeds.Seed, candidates []leaf) ([]leaf, error) {
	if len(candidates) == 0 {
		return nil, nil
	}
	var restore []func()
	for _, l := range candidates {
		restore = append(restore, l.drop())
	}
	data, err := c.render()
	if err != nil {
		return nil, err
	}
	if without, _, err := seeds.ParseCluster(name, data); err == nil && reflect.DeepEqual(seed, without) {
		return candidates, nil
	}
	for _, back := range slices.Backward(restore) {
		back()
	}
	if len(candidates) == 1 {
		return nil, nil
	}
	half := len(candidates) / 2
	first, err := c.leaveOut(name, seed, candidates[:half])
	if err != nil {
		return nil, err
	}
	second, err := c.leaveOut(name, seed, candidates[half:])
	return append(first, second...), err
}
