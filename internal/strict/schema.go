package strict

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
)

// field is a key of the schema: a field of a struct.
type field struct {
	key      string
	index    int
	required bool
	fallback string // the YAML text of what an absent key means
	onto     string // the key of the document's section that this one overrides
}

// fieldsOf is the schema of a struct, in the order of its fields.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		fields = append(fields, field{tag.Get("yaml"), i, tag.Get("required") == "true", tag.Get("default"), tag.Get("onto")})
	}
	return fields
}

// keysOf lists the keys of a struct.
func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	return keys
}

// homesOf lists the sections below t, such as "patroni", that have a key.
func homesOf(key string, t reflect.Type) []string {
	var homes []string
	for _, f := range fieldsOf(t) {
		section := t.Field(f.index).Type
		for section.Kind() == reflect.Slice || section.Kind() == reflect.Map {
			section = section.Elem()
		}
		if !isSection(section) || f.onto != "" { // an override has its section's keys
			continue
		}
		if slices.Contains(keysOf(section), key) {
			homes = append(homes, f.key)
		}
		for _, home := range homesOf(key, section) {
			homes = append(homes, f.key+"."+home)
		}
	}
	return homes
}

// isSection tells a struct with keys from one that is written as text, such as
// [netip.Addr].
func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) }

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
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

// wanted says, in a person's words, how a value of type t is written.
func wanted(t reflect.Type) string {
	if w, ok := reflect.TypeAssert[Wanter](reflect.Zero(t)); ok {
		return w.Wanted()
	}
	switch kind := t.Kind(); {
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
	for _, f := range fieldsOf(t) {
		if f.key == "" || f.required && f.fallback != "" {
			panic(fmt.Sprintf("strict: %s.%s: key %q, required %t, default %q", t, t.Field(f.index).Name, f.key, f.required, f.fallback))
		}
		for typ := t.Field(f.index).Type; ; typ = typ.Elem() {
			wanted(typ)
			if isSection(typ) {
				vet(typ)
			}
			if kind := typ.Kind(); isText(typ) || kind != reflect.Slice && kind != reflect.Map {
				break
			}
		}
	}
}
