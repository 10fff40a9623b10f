package strict

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Field is a key of a section: a field of a struct, and what its tags say.
type Field struct {
	Key      string
	Name     string // of the field in Go
	Type     reflect.Type
	Required bool
	Default  string // the YAML text of what an absent key means
	Onto     string // the key of the document's section that this one overrides
	Example  string // the YAML text of a value; it and Source are for readers, not for the parser
	Source   string // where the key's meaning is from
	Index    int    // of the field in its struct
}

var schemas sync.Map // of reflect.Type to []Field

// Fields is the schema of a section, in the order of its fields. The tags are read
// here, and nowhere else.
func Fields(t reflect.Type) []Field {
	known, _ := schemas.Load(t)
	if fields, ok := known.([]Field); ok {
		return fields
	}
	fields := make([]Field, t.NumField())
	for i := range fields {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",") // what follows is for whoever writes it
		fields[i] = Field{
			Key: key, Name: f.Name, Type: f.Type, Index: i,
			Required: f.Tag.Get("required") == "true", Default: f.Tag.Get("default"), Onto: f.Tag.Get("onto"),
			Example: f.Tag.Get("example"), Source: f.Tag.Get("source"),
		}
	}
	schemas.Store(t, fields)
	return fields
}

// keysOf lists the keys of a struct.
func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range Fields(t) {
		keys = append(keys, f.Key)
	}
	return keys
}

// homesOf lists the sections below t, such as "patroni", that have a key.
func homesOf(key string, t reflect.Type) []string {
	var homes []string
	for _, f := range Fields(t) {
		section := ItemOf(f.Type)
		if FormOf(section) != Section || f.Onto != "" { // an override has its section's keys
			continue
		}
		if slices.Contains(keysOf(section), key) {
			homes = append(homes, f.Key)
		}
		for _, home := range homesOf(key, section) {
			homes = append(homes, f.Key+"."+home)
		}
	}
	return homes
}

// Form is how the values of a type are written in YAML.
type Form int

// The forms.
const (
	Single     Form = iota // one value: text, a number, true or false
	Section                // a mapping, with the keys that a struct has
	Dictionary             // a mapping with any keys
	List                   // a sequence
)

// FormOf is the form of a type.
func FormOf(t reflect.Type) Form {
	switch kind := t.Kind(); {
	case isText(t): // a struct even, such as netip.Addr
		return Single
	case kind == reflect.Struct:
		return Section
	case kind == reflect.Map:
		return Dictionary
	case kind == reflect.Slice:
		return List
	}
	return Single
}

// ItemOf is t without the lists and dictionaries about it.
func ItemOf(t reflect.Type) reflect.Type {
	for FormOf(t) == List || FormOf(t) == Dictionary {
		t = t.Elem()
	}
	return t
}

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// TakesText tells single values that are text, or may be, from numbers and
// bools.
func TakesText(t reflect.Type) bool {
	return isText(t) || t.Kind() == reflect.String || t.Kind() == reflect.Interface
}

// Wanter is a type that says, in a person's words, how its values are written,
// such as "a whole number of seconds, such as 30". It is asked on the zero value.
type Wanter interface{ Wanted() string }

// Enumerator is a type of single values that lists all there are. It is asked on the
// zero value.
type Enumerator interface{ Enum() []string }

// Patterned is a type of single values whose text has a form, which a regular
// expression says that RE2 and ECMA 262 read alike. It is for others to know: the
// type itself reads its text. It is asked on the zero value.
type Patterned interface{ Pattern() string }

// Checker is a type of single values that does not take all of them. Its error
// becomes the [Problem], so it may not repeat what is secret.
type Checker interface{ Check() error }

// Secret is a type of single values that nothing may show, unless it is asked to
// reveal them. Only its kind of document knows what to put in their place, see
// Quote and Source of [Kind].
type Secret interface{ Reveal() string }

// EnumOf lists the values of an [Enumerator]; of other types it is nil.
func EnumOf(t reflect.Type) []string {
	if e, ok := reflect.TypeAssert[Enumerator](reflect.Zero(t)); ok {
		return e.Enum()
	}
	return nil
}

// Addresses as netip takes them; of IPv6 no more than the characters.
const (
	octet = `(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])`
	ipv4  = `(` + octet + `\.){3}` + octet
	ipv6  = `[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*`
)

// PatternOf is a regular expression that matches all texts which t takes, or "".
func PatternOf(t reflect.Type) string {
	if p, ok := reflect.TypeAssert[Patterned](reflect.Zero(t)); ok {
		return p.Pattern()
	}
	switch {
	case t == reflect.TypeFor[netip.Addr]():
		return `^(` + ipv4 + `|` + ipv6 + `(%.+)?)$`
	case t == reflect.TypeFor[netip.Prefix]():
		return `^(` + ipv4 + `/(3[0-2]|[12]?[0-9])|` + ipv6 + `/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$`
	case TakesText(t) && !isText(t):
		return `^[^\x00-\x1f\x7f-\x9f]*$` // one line, without control characters
	}
	return ""
}

// Wanted says, in a person's words, how a value of type t is written.
func Wanted(t reflect.Type) string {
	if w, ok := reflect.TypeAssert[Wanter](reflect.Zero(t)); ok {
		return w.Wanted()
	}
	switch kind := t.Kind(); {
	case EnumOf(t) != nil:
		return "one of " + strings.Join(EnumOf(t), ", ")
	case t == reflect.TypeFor[netip.Addr]():
		return "an address, such as 172.16.32.1"
	case t == reflect.TypeFor[netip.Prefix]():
		return "an address with its prefix length, such as 172.16.32.11/24"
	case isText(t): // only it could say
	case kind == reflect.Struct, kind == reflect.Map && t.Key() == reflect.TypeFor[string]():
		return "keys with values, one \"key: value\" on each line"
	case kind == reflect.Slice:
		return "a list, one \"- item\" on each line"
	case kind == reflect.Uint16:
		return "a port from 1 to 65535"
	case kind == reflect.Int, kind == reflect.Int64:
		return "a whole number"
	case kind == reflect.Bool:
		return "true or false"
	case kind == reflect.Interface:
		return "one value: text, a number, true or false"
	case kind == reflect.String:
		return "text"
	}
	panic(fmt.Sprintf("strict: the schema has no words for %s", t))
}

// vet panics where a struct, or one below it, is no schema. Else nobody would know
// before a document has the key.
func vet(t reflect.Type) {
	for _, f := range Fields(t) {
		if f.Key == "" || f.Required && f.Default != "" {
			panic(fmt.Sprintf("strict: %s.%s: key %q, required %t, default %q", t, f.Name, f.Key, f.Required, f.Default))
		}
		for typ := f.Type; ; typ = typ.Elem() {
			Wanted(typ)
			form := FormOf(typ)
			if form == Section {
				vet(typ)
			}
			if form == Section || form == Single {
				break
			}
		}
	}
}
