package strict

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

var defaults sync.Map // of reflect.Type to reflect.Value

// defaultsOf is a section, with those below it, of which no key is given. What it
// holds is shared: maps and lists are replaced in decoding, never written to.
func defaultsOf(t reflect.Type) reflect.Value {
	known, _ := defaults.Load(t)
	if v, ok := known.(reflect.Value); ok {
		return v
	}
	v := reflect.New(t).Elem()
	for _, f := range Fields(t) {
		field := v.Field(f.Index)
		if FormOf(f.Type) == Section && f.Onto == "" {
			field.Set(defaultsOf(f.Type))
		}
		if f.Default == "" {
			continue
		}
		fallback, err := Value(f.Type, f.Default)
		if err != nil {
			panic(fmt.Sprintf("strict: default of %s.%s: %v", t, f.Key, err))
		}
		field.Set(fallback)
	}
	defaults.Store(t, v)
	return v
}

// Value is what the parser makes of the YAML text of one value of type t. The error
// is [Problems].
func Value(t reflect.Type, text string) (reflect.Value, error) {
	v := reflect.New(t).Elem()
	d := newDocument(Kind{Noun: "value"}, t, newText("value", []byte(text)))
	root, err := readTree(strings.NewReader(text))
	switch {
	case err != nil:
		d.problems = Problems{d.text.syntaxProblem(err, d.kind.Noun)}
	case root == nil:
		d.noteAt(1, 1, "expected %s, found nothing", Wanted(t))
	default:
		d.value("", root, v, false)
	}
	return v, d.Err()
}
