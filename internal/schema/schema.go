// Package schema shows a schema of package strict to others than the parser: to
// editors as a JSON Schema, to people as Markdown. Both are read off the structs
// that the parser decodes into, and off their comments, so that nothing about a
// key is said twice.
package schema

import (
	"io/fs"
	"reflect"

	"banyan/internal/strict"
)

// Schema is the schema of a kind of document.
type Schema struct {
	kind     strict.Kind
	root     reflect.Type
	comments comments
}

// Of is the schema of a kind of document that is decoded into the struct root.
// sources has the Go files that declare root and the types below it.
func Of(kind strict.Kind, root reflect.Type, sources fs.FS) (*Schema, error) {
	comments, err := readComments(sources)
	return &Schema{kind, root, comments}, err
}

// Key is a key with all that is known of it.
type Key struct {
	strict.Field        // its source may be that of a section that it is in
	Path         string // such as nodes[].address: [] stands for any item, <name> for any key
	Description  string // its comment; "" where it has none
}

// Section is the section that a key holds one or several of.
func (k Key) Section() (reflect.Type, bool) {
	t := strict.ItemOf(k.Type)
	return t, strict.FormOf(t) == strict.Section
}

// Keys lists all keys, each before those below it. What overrides a section is not
// entered: it has the keys of that.
func (s *Schema) Keys() []Key { return s.keysBelow(s.root, Key{}) }

func (s *Schema) keysBelow(t reflect.Type, parent Key) []Key {
	var keys []Key
	for _, key := range s.keysOf(t, parent) {
		keys = append(keys, key)
		if section, ok := key.Section(); ok && key.Onto == "" {
			keys = append(keys, s.keysBelow(section, key)...)
		}
	}
	return keys
}

// keysOf lists the keys of the section t, which parent holds.
func (s *Schema) keysOf(t reflect.Type, parent Key) []Key {
	var keys []Key
	for _, f := range strict.Fields(t) {
		key := Key{Field: f, Path: f.Key, Description: s.comments[t.Name()+"."+f.Name]}
		if parent.Path != "" {
			key.Path = parent.Path + suffix(parent.Type) + "." + f.Key
		}
		if key.Source == "" {
			key.Source = parent.Source
			for _, overridden := range strict.Fields(s.root) {
				if overridden.Key == key.Onto {
					key.Source = overridden.Source
				}
			}
		}
		if section, ok := key.Section(); ok && key.Description == "" {
			key.Description = s.comments[section.Name()]
		}
		keys = append(keys, key)
	}
	return keys
}

// suffix is what stands in a path for any item of t.
func suffix(t reflect.Type) string {
	switch strict.FormOf(t) {
	case strict.List:
		return "[]" + suffix(t.Elem())
	case strict.Dictionary:
		return ".<name>" + suffix(t.Elem())
	}
	return ""
}
