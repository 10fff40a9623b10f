package seeds

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
)

// field is a key of the schema: a field of one of the structs of seed.go.
type field struct {
	key      string
	index    int
	required bool
	fallback string // the YAML text of what an absent key means
}

// fieldsOf is the schema of a struct, in the order of its fields.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		fields = append(fields, field{tag.Get("yaml"), i, tag.Get("required") == "true", tag.Get("default")})
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
		if section.Kind() == reflect.Slice {
			section = section.Elem()
		}
		if !isSection(section) {
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

// wanted says, in a person's words, how a value of type t is written.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[netip.Addr]():
		return "an address, such as 172.16.32.1"
	case reflect.TypeFor[netip.Prefix]():
		return "an address with its prefix length, such as 172.16.32.11/24"
	case reflect.TypeFor[MAC]():
		return "the MAC address of an interface, such as 52:54:00:12:34:56"
	case reflect.TypeFor[Seconds]():
		return "a whole number of seconds, such as 30"
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "keys with values, one \"key: value\" on each line"
	case reflect.Slice:
		return "a list, one \"- item\" on each line"
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Interface:
		return "one value: text, a number, true or false"
	case reflect.String:
		return "text"
	}
	panic(fmt.Sprintf("seeds: the schema has no words for %s", t))
}
