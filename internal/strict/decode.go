package strict

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

// note reports a problem where n begins. No argument may hold a secret.
func (d *Document) note(n *yaml.Node, format string, args ...any) {
	d.noteAt(n.Line, n.Column, format, args...)
}

func (d *Document) noteAt(line, column int, format string, args ...any) {
	if len(d.problems) < maxNoted {
		d.problems = append(d.problems, Problem{Line: line, Column: column, Message: fmt.Sprintf(format, args...)})
	}
}

// value decodes n, which stands at path, into v. If n inherits, it is what v holds.
func (d *Document) value(path string, n *yaml.Node, v reflect.Value, inherits bool) {
	if v.Type().Implements(reflect.TypeFor[Secret]()) {
		d.secrets = append(d.secrets, n)
	}
	if !d.refuseMarkup(n) && d.set(path, n, v, inherits) {
		d.values[path] = n
	}
}

const (
	aliasMessage  = "YAML aliases are not read in a %s: write the value out, or quote it if it begins with an asterisk"
	anchorMessage = "YAML anchors are not read in a %s: remove it, or quote the value if it begins with an ampersand"
	tagMessage    = "YAML tags are not read in a %s: remove it, or quote the value if it begins with an exclamation mark"
)

// refuseMarkup notes what YAML has beyond values. A password that begins with such
// a character and is not quoted would otherwise lose its first part unseen.
func (d *Document) refuseMarkup(n *yaml.Node) (refused bool) {
	switch {
	case n.Kind == yaml.AliasNode:
		d.note(n, aliasMessage, d.kind.Noun)
	case n.Anchor != "":
		d.note(n, anchorMessage, d.kind.Noun)
	case n.Style&yaml.TaggedStyle != 0:
		d.note(n, tagMessage, d.kind.Noun)
	default:
		return false
	}
	return true
}

// set is false where n is not of v's kind.
func (d *Document) set(path string, n *yaml.Node, v reflect.Value, inherits bool) bool {
	kind, decode := yaml.ScalarNode, func() bool { return d.scalar(n, v) }
	switch FormOf(v.Type()) {
	case Section:
		kind, decode = yaml.MappingNode, func() bool { return d.section(path, n, v, inherits) }
	case Dictionary:
		kind, decode = yaml.MappingNode, func() bool { return d.dictionary(path, n, v, inherits) }
	case List:
		kind, decode = yaml.SequenceNode, func() bool { return d.list(path, n, v) }
	}
	if n.Kind != kind || isNull(n) {
		d.note(n, "expected %s, found %s", Wanted(v.Type()), shape(n))
		return false
	}
	most := MaxItems
	if n.Kind == yaml.MappingNode {
		most = 2 * maxKeys // key and value each
	}
	if len(n.Content) > most {
		d.note(n, "this is longer than anyone writes by hand: %d items of a list are read, and %d keys", MaxItems, maxKeys)
		return false
	}
	return decode()
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// isEmpty is isNull for n without markup. An anchor with nothing behind it may be a
// password that begins with an ampersand.
func isEmpty(n *yaml.Node) bool {
	return isNull(n) && n.Anchor == "" && n.Style&yaml.TaggedStyle == 0
}

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

func (d *Document) section(path string, n *yaml.Node, v reflect.Value, inherits bool) bool {
	if !inherits {
		v.Set(defaultsOf(v.Type()))
	}
	fields := Fields(v.Type())
	given, overrides := map[string]bool{}, map[string][]*yaml.Node{}
	for key, value := range d.pairs(n) {
		i := slices.IndexFunc(fields, func(f Field) bool { return f.Key == key.Value })
		if i < 0 {
			given[d.unknown(key, v.Type())] = true // not missing, but mistyped
			continue
		}
		below := join(path, key.Value)
		d.keys[below] = key
		d.empty[below] = isEmpty(value)
		field := v.Field(fields[i].Index)
		switch {
		case isEmpty(value) && d.deletes:
			field.Set(defaultsOf(v.Type()).Field(fields[i].Index))
		case isEmpty(value): // a key without a value says nothing
		case fields[i].Onto != "":
			overrides[below] = append(overrides[below], value)
		default:
			given[key.Value] = true
			d.value(below, value, field, inherits)
		}
	}
	for _, f := range fields {
		if f.Onto != "" {
			below := join(path, f.Key)
			d.overrides = append(d.overrides, override{below, overrides[below], v.Field(f.Index), f.Onto})
		}
		takenBack := d.deletes && d.empty[join(path, f.Key)]
		inherited := inherits && !takenBack && !v.Field(f.Index).IsZero()
		if f.Required && !given[f.Key] && !inherited {
			place := cmp.Or(d.keys[join(path, f.Key)], d.keys[path], n)
			d.note(place, "missing %q: expected %s", f.Key, Wanted(v.Field(f.Index).Type()))
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

// override is a section that is written onto a copy of one of the document's own,
// once that is read, wherever in the document it stands.
type override struct {
	path  string
	nodes []*yaml.Node // one, none where it is not given, more where its key is there twice
	to    reflect.Value
	onto  string
}

// override makes each section that overrides another what it is with it. Here, and
// only here, a key without a value takes back what is inherited.
func (d *Document) override(root reflect.Value) {
	d.deletes = true
	for _, o := range d.overrides {
		for _, f := range Fields(root.Type()) {
			if f.Key == o.onto {
				o.to.Set(root.Field(f.Index))
			}
		}
		for _, n := range o.nodes {
			d.value(o.path, n, o.to, true)
		}
	}
	d.deletes = false
}

// dictionary makes a map of its own: the one in v may be somebody else's too.
func (d *Document) dictionary(path string, n *yaml.Node, v reflect.Value, inherits bool) bool {
	merged := reflect.MakeMap(v.Type())
	if inherits {
		for key, element := range v.Seq2() {
			merged.SetMapIndex(key, element)
		}
	}
	for key, value := range d.pairs(n) {
		below, name := join(path, key.Value), reflect.ValueOf(key.Value)
		d.keys[below] = key
		if isEmpty(value) && d.deletes {
			merged.SetMapIndex(name, reflect.Value{})
			continue
		}
		element := reflect.New(v.Type().Elem()).Elem()
		inherited := inherits && v.MapIndex(name).IsValid()
		if inherited {
			element.Set(v.MapIndex(name))
		}
		d.value(below, value, element, inherited)
		merged.SetMapIndex(name, element)
	}
	v.Set(merged)
	return true
}

func (d *Document) list(path string, n *yaml.Node, v reflect.Value) bool {
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		d.value(fmt.Sprintf("%s[%d]", path, i), item, v.Index(i), false)
	}
	return true
}

// pairs are the keys of a mapping with their values. A duplicate is noted and
// yet among them: what it holds may be a secret, or wrong as well.
func (d *Document) pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		first := map[string]*yaml.Node{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if d.refuseMarkup(key) {
				continue
			}
			earlier, duplicate := first[key.Value]
			switch {
			case key.Kind != yaml.ScalarNode:
				d.note(key, "expected a key, found %s", shape(key))
				continue
			case key.ShortTag() == "!!merge":
				d.note(key, "YAML merge keys are not read in a %s: write the keys out", d.kind.Noun)
				continue
			case duplicate:
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

// IsKey reports whether text looks like a key. What does not may be a value that
// was pasted in its place, a secret even, so that no message repeats it.
func IsKey(text string) bool { return identifier.MatchString(text) }

// named repeats a key in a message, where it looks like one.
func named(key string) string {
	if !IsKey(key) {
		return ""
	}
	return fmt.Sprintf(" %q", key)
}

// unknown notes a key that a section does not have, and returns the one that was
// meant, or "".
func (d *Document) unknown(key *yaml.Node, section reflect.Type) (meant string) {
	meant = Nearest(key.Value, keysOf(section))
	homes := homesOf(key.Value, d.schema)
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
func (d *Document) scalar(n *yaml.Node, v reflect.Value) bool {
	fits := true
	unmarshaler, isText := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	switch t := v.Type(); {
	case isText:
		// Of nothing netip makes an address that is none.
		fits = n.Value != "" && unmarshaler.UnmarshalText([]byte(n.Value)) == nil
	case t.Kind() == reflect.Bool:
		fits = n.ShortTag() == "!!bool"
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case v.CanInt():
		var i int64
		i, fits = decimal(n, t.Bits())
		v.SetInt(i)
	case v.CanUint():
		var i int64
		i, fits = decimal(n, 64)
		fits = fits && i > 0 && !v.OverflowUint(uint64(i))
		v.SetUint(uint64(i))
	case strings.ContainsFunc(n.Value, unicode.IsControl):
		d.note(n, "expected text on one line, without control characters")
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
		d.note(n, "expected %s, found %s%s", Wanted(v.Type()), d.quote(n.Value), quotes)
		return false
	}
	if known := EnumOf(v.Type()); known != nil && !slices.Contains(known, n.Value) {
		d.note(n, "unknown value %s%s", d.quote(n.Value), OneOf(n.Value, known))
		return false
	}
	if c, ok := reflect.TypeAssert[Checker](v); ok {
		if err := c.Check(); err != nil {
			d.note(n, "%v", err)
			return false
		}
	}
	return true
}

// decimal is the number of that many bits that n is. 010, 0x10 and 1_000 mean
// different numbers to different readers of YAML and are none here.
func decimal(n *yaml.Node, bits int) (int64, bool) {
	i, err := strconv.ParseInt(n.Value, 10, bits)
	return i, err == nil && n.ShortTag() == "!!int" && strconv.FormatInt(i, 10) == n.Value
}

// untyped is n as YAML types it. What would not be written again as it is here,
// such as 0640 or 1e3, stays text.
func untyped(n *yaml.Node) any {
	if n.ShortTag() == "!!bool" {
		return strings.EqualFold(n.Value, "true")
	}
	if i, ok := decimal(n, strconv.IntSize); ok {
		return int(i)
	}
	if f, err := strconv.ParseFloat(n.Value, 64); err == nil && n.ShortTag() == "!!float" &&
		strconv.FormatFloat(f, 'f', -1, 64) == n.Value {
		return f
	}
	return n.Value
}

// quote is Quote, as the kind of document has it.
func (d *Document) quote(value string) string {
	if d.kind.Quote == nil {
		return Quote(value)
	}
	return d.kind.Quote(value)
}

// Quote repeats a value in a message, the beginning of a long one.
func Quote(value string) string {
	const longest = 60
	if utf8.RuneCountInString(value) > longest {
		value = string([]rune(value)[:longest]) + "..."
	}
	return strconv.Quote(value)
}
