package seeds

import (
	"bytes"
	"cmp"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Parse reads a seed: it decodes data strictly, fills in the defaults and checks
// the rules across fields. name is what the error calls the file. The error is a
// [Problems] that lists all that is wrong with the seed; it holds no secret.
func Parse(name string, data []byte) (*Seed, error) {
	r := read(newText(name, data))
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return &r.seed, nil
}

// reading is a seed with what became known as it was read.
type reading struct {
	seed     Seed
	secrets  []span // where the secrets stand, in the order of the file
	problems Problems
}

func read(t *text) reading {
	if p := t.check(); p != nil {
		return reading{problems: Problems{*p}}
	}
	root, err := readTree(bytes.NewReader(t.data))
	if err != nil {
		return reading{problems: Problems{t.syntaxProblem(err)}}
	}
	if root == nil || isNull(root) {
		return reading{problems: Problems{t.problem(1, 1, "the file holds no seed: it is empty, or all comments")}}
	}

	var r reading
	d := newDecoder()
	if v := versionOf(root); v != nil && v.Value != Version {
		// Another schema: what it calls its keys is no mistake.
		d.note(v, "unknown version %s: this release reads %s", quote(v.Value), Version)
	} else {
		d.value("", root, reflect.ValueOf(&r.seed).Elem())
		d.check(r.seed)
	}
	r.secrets = t.spans(d.secrets)
	r.problems = t.finish(d.problems, r.secrets)
	return r
}

// versionOf is the value of the key that says which schema a document has, or
// nil where it has none.
func versionOf(root *yaml.Node) *yaml.Node {
	for i := 0; root.Kind == yaml.MappingNode && i+1 < len(root.Content); i += 2 {
		if value := root.Content[i+1]; root.Content[i].Value == "version" && value.Kind == yaml.ScalarNode && !isNull(value) {
			return value
		}
	}
	return nil
}

// maxProblems is how many problems are reported: more than anyone makes by hand.
const maxProblems = 100

// finish puts problems in the order of the file and gives them its lines.
func (t *text) finish(problems Problems, secrets []span) Problems {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Message, b.Message))
	})
	if len(problems) > maxProblems {
		problems = problems[:maxProblems]
		problems[maxProblems-1].Message = "too many problems: the rest is not listed"
	}
	for i, p := range problems {
		problems[i] = t.problem(p.Line, p.Column, p.Message, secrets...)
	}
	return problems
}

// problem is a problem of this file. Its place is moved into the file where
// yaml.v3 puts a node behind its end.
func (t *text) problem(line, column int, message string, secrets ...span) Problem {
	line, column = t.position(t.offset(line, column))
	return Problem{File: t.name, Line: line, Column: column, Message: message, Source: t.source(line, secrets)}
}
