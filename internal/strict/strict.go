// Package strict reads a YAML document that a person wrote into a struct of Go,
// and takes nothing that may not be what was meant: no unknown or duplicate key,
// no alias, anchor, tag or merge key, no value of another type. All that is wrong
// is reported at once, each [Problem] with its place, its line and what to write
// instead.
//
// The struct is the schema. Every field has a key, by the tag yaml. The tag
// default is the YAML text of what an absent key means; a key with the tag
// required:"true" has none and has to be there. A field is a string, a bool, an
// int, an int64, any (one value, as YAML types it), a type that is written as
// text ([encoding.TextUnmarshaler]), a struct of its own, or a slice or a map by
// string of these. A type of its own may be a [Wanter], a [Checker] or a
// [Secret].
package strict

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Kind is a kind of document, in what is its own.
type Kind struct {
	// Noun is what a person calls such a document, such as "seed". It stands in
	// messages after an a.
	Noun string
	// Version is what the key version has to say, or "" where the kind has no
	// versions. Of a document that says something else nothing is decoded: what
	// another schema calls its keys is no mistake.
	Version string
	// MaxSize bounds a document, in bytes. By default it is the constant [MaxSize].
	MaxSize int
	// Quote repeats a value in a message. By default it is the function [Quote].
	Quote func(value string) string
	// Source is one of the lines, which count from 1, as a [Problem] may show it.
	// secrets are the parts of that line, in bytes and in order, that are values of
	// a [Secret]. By default a line is shown as it is.
	Source func(lines []string, line int, secrets []Span) string
}

// Document is what [Kind.Decode] or [Kind.DecodeOnto] read. It knows where each
// value stands, so that the rules which types alone cannot say are checked after
// it; a path names a place, such as "nodes[0].address". [Document.Err] has what
// both found.
type Document struct {
	kind     Kind
	schema   reflect.Type // of the whole
	text     *text
	notText  *Problem // what keeps the data from being text at all
	problems Problems
	warnings Problems
	keys     map[string]*yaml.Node // by path
	values   map[string]*yaml.Node // the well-formed ones, by path
	empty    map[string]bool       // keys without a value, by path
	secrets  []*yaml.Node          // the values of secrets, well-formed or not

	overrides []override // in the order of the document, once it is read
	deletes   bool       // whether a key without a value takes back what is inherited
}

// Decode reads data into the struct that v points to, whatever that held: an
// absent key means its default. name is what problems call the file. The struct
// is of use only where [Document.Err] is nil. Decode panics where the struct is
// no schema.
func (k Kind) Decode(name string, data []byte, v any) *Document {
	return k.decode(name, data, v, false)
}

// DecodeOnto is [Kind.Decode] for a document that inherits what the struct holds.
// An absent key means that, and no default; a required one is missing only where
// that is zero. Structs and maps are merged key by key, and the value of a new key
// of a map inherits nothing; all else, lists too, is replaced. Maps and lists that
// the struct shares with the one it is a copy of are not written to.
func (k Kind) DecodeOnto(name string, data []byte, v any) *Document {
	return k.decode(name, data, v, true)
}

func (k Kind) decode(name string, data []byte, v any, inherits bool) *Document {
	target := reflect.ValueOf(v).Elem()
	vet(target.Type())
	if !inherits {
		target.SetZero()
	}
	d := newDocument(k, target.Type(), newText(name, data))
	if d.notText = d.text.check(k.Noun, cmp.Or(k.MaxSize, MaxSize)); d.notText != nil {
		return d
	}
	root, err := readTree(bytes.NewReader(d.text.data))
	switch {
	case err != nil:
		d.problems = Problems{d.text.syntaxProblem(err, k.Noun)}
	case root == nil || isNull(root):
		d.noteAt(1, 1, "the file holds no %s: it is empty, or all comments", k.Noun)
	default:
		if version := versionOf(root); k.Version != "" && version != nil && version.Value != k.Version {
			d.note(version, "unknown version %s: this release reads %s", d.quote(version.Value), k.Version)
		} else {
			d.value("", root, target, inherits)
			d.override(target)
		}
	}
	return d
}

func newDocument(k Kind, schema reflect.Type, t *text) *Document {
	return &Document{kind: k, schema: schema, text: t, keys: map[string]*yaml.Node{}, values: map[string]*yaml.Node{}, empty: map[string]bool{}}
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

// HasKey reports whether the document has the key at path, with whatever value.
func (d *Document) HasKey(path string) bool { return d.keys[path] != nil }

// Given reports whether the document has a well-formed value at path.
func (d *Document) Given(path string) bool { return d.values[path] != nil }

// Malformed reports whether the document has a value at path that could not be read,
// which was noted before.
func (d *Document) Malformed(path string) bool {
	return d.keys[path] != nil && !d.empty[path] && d.values[path] == nil
}

// Refuse notes a problem with the value at path: at a single value itself, else
// at its key. A value that is not given breaks no rule; where it ought to be
// given, or well-formed, that was noted before. No argument may hold a secret.
func (d *Document) Refuse(path, format string, args ...any) {
	if n := d.place(path); n != nil {
		d.note(n, format, args...)
	}
}

// Warn is Refuse for what is allowed and seldom meant, see [Document.Warnings].
func (d *Document) Warn(path, format string, args ...any) {
	if n := d.place(path); n != nil {
		if len(d.warnings) < maxNoted {
			d.warnings = append(d.warnings, Problem{Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...)})
		}
	}
}

// Require notes that the value at path, the path of a key, is missing, unless it is
// given, or malformed, which was noted before. It is for what only some documents
// have to have; wanted says how the value is written.
func (d *Document) Require(path, wanted string) {
	if d.Given(path) || d.Malformed(path) {
		return
	}
	section, key := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		section, key = path[:i], path[i+1:]
	}
	if n := cmp.Or(d.keys[path], d.keys[section], d.values[section], d.values[""]); n != nil {
		d.note(n, "missing %q: expected %s", key, wanted)
	}
}

// place is the node at which a problem with the value at path is shown.
func (d *Document) place(path string) *yaml.Node {
	n := d.values[path]
	if key := d.keys[path]; n != nil && key != nil && n.Kind != yaml.ScalarNode {
		return key
	}
	return n
}

// RefuseKey notes a problem with the key at path, where there is one. No argument
// may hold a secret.
func (d *Document) RefuseKey(path, format string, args ...any) {
	if key := d.keys[path]; key != nil {
		d.note(key, format, args...)
	}
}

// Data is the document, without the byte order mark that it may have had.
func (d *Document) Data() []byte { return d.text.data }

// Span is a stretch of bytes, its end excluded.
type Span struct{ Start, End int }

// Secrets is where the values of each [Secret] stand in Data, in order and apart
// from each other. One whose end is not known, since it is no plain value, takes
// the rest.
func (d *Document) Secrets() []Span {
	var spans []Span
	for _, n := range d.secrets {
		s, ok := d.text.span(n)
		if !ok {
			s.End = len(d.text.data)
		}
		spans = append(spans, s)
	}
	// Overrides are read last, wherever they stand.
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	var apart []Span
	for _, s := range spans {
		if last := len(apart) - 1; last >= 0 && s.Start < apart[last].End {
			apart[last].End = max(apart[last].End, s.End)
			continue
		}
		apart = append(apart, s)
	}
	return apart
}

// maxProblems is how many problems are reported: more than anyone makes by hand.
const maxProblems = 100

// maxNoted bounds the memory that a document takes which breaks a rule everywhere.
const maxNoted = 100 * maxProblems

// Err is nil, or the [Problems] of the document as far as they are noted.
func (d *Document) Err() error {
	switch {
	case d.notText != nil:
		return Problems{*d.notText}
	case len(d.problems) == 0:
		return nil
	}
	return d.located(d.problems)
}

// Warnings is what was noted by [Document.Warn]; no error, but to be shown.
func (d *Document) Warnings() Problems { return d.located(d.warnings) }

// located is problems in the order of the document, with their places.
func (d *Document) located(problems Problems) Problems {
	problems = slices.SortedStableFunc(slices.Values(problems), func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Message, b.Message))
	})
	problems = slices.Compact(problems) // what many inherit is wrong once
	if len(problems) > maxProblems {
		problems = problems[:maxProblems]
		problems[maxProblems-1].Message = "too many problems: the rest is not listed"
	}
	secrets := d.Secrets()
	for i, p := range problems {
		// yaml.v3 puts some nodes behind the end of the file.
		line, column := d.text.position(d.text.offset(p.Line, p.Column))
		problems[i] = Problem{File: d.text.name, Line: line, Column: column, Message: p.Message}
		if i > 0 && problems[i-1].Line == line { // a line may be long
			problems[i].Source = problems[i-1].Source
		} else {
			problems[i].Source = d.source(line, secrets)
		}
	}
	return problems
}

// source is a line as it may be shown.
func (d *Document) source(line int, secrets []Span) string {
	whole := d.text.lines[line-1]
	if d.kind.Source == nil {
		return whole
	}
	start := d.text.start[line-1]
	var parts []Span
	for _, s := range secrets {
		if part := (Span{max(s.Start-start, 0), min(s.End-start, len(whole))}); part.Start < part.End {
			parts = append(parts, part)
		}
	}
	return d.kind.Source(d.text.lines, line, parts)
}
