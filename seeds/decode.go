package seeds

import (
	"cmp"
	"encoding"
	"fmt"
	"iter"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// decoder fills a value of Go from the tree of a document. It notes each problem
// and goes on, so that a person mends them all at once.
type decoder struct {
	problems Problems
	keys     map[string]*yaml.Node // by path, such as "nodes[0].address"
	values   map[string]*yaml.Node // the well-formed ones, by path
	secrets  []*yaml.Node          // the values of Secret fields, well-formed or not
}

func newDecoder() *decoder {
	return &decoder{keys: map[string]*yaml.Node{}, values: map[string]*yaml.Node{}}
}

// note reports a problem where n begins. No argument may hold a secret.
func (d *decoder) note(n *yaml.Node, format string, args ...any) {
	d.problems = append(d.problems, Problem{Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...)})
}

// value decodes n, which stands at path, into v.
func (d *decoder) value(path string, n *yaml.Node, v reflect.Value) {
	if v.Type() == reflect.TypeFor[Secret]() {
		d.secrets = append(d.secrets, n)
	}
	if d.isPlain(n) && d.set(path, n, v) {
		d.values[path] = n
	}
}

const (
	aliasMessage  = "YAML aliases are not read in a seed: write the value out, or quote it if it begins with an asterisk"
	anchorMessage = "YAML anchors are not read in a seed: remove it, or quote the value if it begins with an ampersand"
	tagMessage    = "YAML tags are not read in a seed: remove it, or quote the value if it begins with an exclamation mark"
)

// isPlain refuses what YAML has beyond values. A password that begins with such
// a character and is not quoted would otherwise lose its first part unseen.
func (d *decoder) isPlain(n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.note(n, aliasMessage)
	case n.Anchor != "":
		d.note(n, anchorMessage)
	case n.Style&yaml.TaggedStyle != 0:
		d.note(n, tagMessage)
	default:
		return true
	}
	return false
}

// set is false where n is not of v's kind.
func (d *decoder) set(path string, n *yaml.Node, v reflect.Value) bool {
	t := v.Type()
	kind, decode := yaml.ScalarNode, func() bool { return d.scalar(n, v) }
	switch {
	case isSection(t):
		kind, decode = yaml.MappingNode, func() bool { return d.section(path, n, v) }
	case isText(t):
	case t.Kind() == reflect.Map:
		kind, decode = yaml.MappingNode, func() bool { return d.dictionary(path, n, v) }
	case t.Kind() == reflect.Slice:
		kind, decode = yaml.SequenceNode, func() bool { return d.list(path, n, v) }
	}
	if n.Kind != kind || isNull(n) {
		d.note(n, "expected %s, found %s", wanted(t), shape(n))
		return false
	}
	return decode()
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// shape names what n is and keeps to itself what it says.
func shape(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys with values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	}
	return "a single value"
}

func (d *decoder) section(path string, n *yaml.Node, v reflect.Value) bool {
	setDefaults(v)
	fields := fieldsOf(v.Type())
	given := map[string]bool{}
	for key, value := range d.pairs(n) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == key.Value })
		if i < 0 {
			given[d.unknown(key, v.Type())] = true // not missing, but mistyped
			continue
		}
		below := join(path, key.Value)
		d.keys[below] = key
		if !isNull(value) { // a key without a value says nothing
			given[key.Value] = true
			d.value(below, value, v.Field(fields[i].index))
		}
	}
	for _, f := range fields {
		if f.required && !given[f.key] {
			place := cmp.Or(d.keys[join(path, f.key)], d.keys[path], n)
			d.note(place, "missing %q: expected %s", f.key, wanted(v.Field(f.index).Type()))
		}
	}
	return true
}

// join is the path of a key below path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// setDefaults sets the fields of a section, and of those below it, to what their
// absence means.
func setDefaults(v reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		field := v.Field(f.index)
		if isSection(field.Type()) {
			setDefaults(field)
		}
		if f.fallback == "" {
			continue
		}
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(f.fallback), &document); err != nil {
			panic(fmt.Sprintf("seeds: default of %s.%s: %v", v.Type(), f.key, err))
		}
		d := newDecoder()
		if d.value("", document.Content[0], field); len(d.problems) > 0 {
			panic(fmt.Sprintf("seeds: default of %s.%s: %v", v.Type(), f.key, d.problems))
		}
	}
}

func (d *decoder) dictionary(path string, n *yaml.Node, v reflect.Value) bool {
	v.Set(reflect.MakeMap(v.Type()))
	for key, value := range d.pairs(n) {
		below := join(path, key.Value)
		d.keys[below] = key
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(below, value, element)
		v.SetMapIndex(reflect.ValueOf(key.Value), element)
	}
	return true
}

func (d *decoder) list(path string, n *yaml.Node, v reflect.Value) bool {
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		d.value(fmt.Sprintf("%s[%d]", path, i), item, v.Index(i))
	}
	return true
}

// pairs are the keys of a mapping with their values. A duplicate is noted and
// yet among them: what it holds may be a secret, or wrong as well.
func (d *decoder) pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		first := map[string]*yaml.Node{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			switch earlier, ok := first[key.Value]; {
			case !d.isPlain(key):
				continue
			case key.Kind != yaml.ScalarNode:
				d.note(key, "expected a key, found %s", shape(key))
				continue
			case key.ShortTag() == "!!merge":
				d.note(key, "YAML merge keys are not read in a seed: write the keys out")
				continue
			case ok:
				d.note(key, "duplicate key%s: the first is on line %d", named(key.Value), earlier.Line)
			default:
				first[key.Value] = key
			}
			if !yield(key, value) {
				return
			}
		}
	}
}

var identifier = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,63}$`)

// named repeats a key in a message, where it looks like one.
func named(key string) string {
	if !identifier.MatchString(key) {
		return ""
	}
	return fmt.Sprintf(" %q", key)
}

// unknown notes a key that a section does not have, and returns the one that was
// meant, or "".
func (d *decoder) unknown(key *yaml.Node, section reflect.Type) (meant string) {
	meant = nearest(key.Value, keysOf(section))
	homes := homesOf(key.Value, reflect.TypeFor[Seed]())
	advice := ": known here are " + strings.Join(keysOf(section), ", ")
	switch {
	case meant != "":
		advice = fmt.Sprintf(", did you mean %q?", meant)
	case len(homes) == 1:
		advice = fmt.Sprintf(": it belongs under %q", homes[0])
	}
	d.note(key, "unknown key%s%s", named(key.Value), advice)
	return meant
}

// scalar decodes what is written as one value. Text is taken as it stands: a
// password of digits is no number.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value) bool {
	fits := true
	unmarshaler, isText := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	switch t := v.Type(); {
	case isText:
		fits = unmarshaler.UnmarshalText([]byte(n.Value)) == nil
	case t.Kind() == reflect.Bool:
		fits = n.ShortTag() == "!!bool"
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case t.Kind() == reflect.Int:
		var i int
		i, fits = decimal(n)
		v.SetInt(int64(i))
	case strings.ContainsFunc(n.Value, unicode.IsControl):
		d.note(n, "expected text on one line, without control characters")
		return false
	case t == reflect.TypeFor[Secret]() && n.Value == sealed:
		d.note(n, "this secret was sealed on the node that the seed was planted on: write the real value here")
		return false
	case t.Kind() == reflect.Interface:
		v.Set(reflect.ValueOf(untyped(n)))
	default:
		v.SetString(n.Value)
	}
	if !fits {
		quotes := ""
		if n.Style != 0 && !isText {
			quotes = " in quotes"
		}
		d.note(n, "expected %s, found %s%s", wanted(v.Type()), quote(n.Value), quotes)
	}
	return fits
}

// decimal is the number that n is. 010, 0x10 and 1_000 mean different numbers to
// different readers of YAML and are none here.
func decimal(n *yaml.Node) (int, bool) {
	i, err := strconv.Atoi(n.Value)
	return i, err == nil && n.ShortTag() == "!!int" && strconv.Itoa(i) == n.Value
}

// untyped is n as YAML types it. What would not be written again as it is here,
// such as 0640 or 1e3, stays text.
func untyped(n *yaml.Node) any {
	if n.ShortTag() == "!!bool" {
		return strings.EqualFold(n.Value, "true")
	}
	if i, ok := decimal(n); ok {
		return i
	}
	if f, err := strconv.ParseFloat(n.Value, 64); err == nil && n.ShortTag() == "!!float" &&
		strconv.FormatFloat(f, 'f', -1, 64) == n.Value {
		return f
	}
	return n.Value
}

// quote repeats a value in a message, unless it may hold a secret.
func quote(value string) string {
	const longest = 60
	switch {
	case secretWord.MatchString(value):
		return "this value"
	case utf8.RuneCountInString(value) > longest:
		value = string([]rune(value)[:longest]) + "..."
	}
	return strconv.Quote(value)
}
