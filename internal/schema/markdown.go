package schema

import (
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"strings"

	"banyan/internal/strict"
)

// Markdown is a reference of all keys after an introduction, which is Markdown too:
// a table of contents, then a chapter for each key of the document.
func (s *Schema) Markdown(introduction string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(introduction))
	chapters := s.keysOf(s.root, Key{})
	for _, key := range chapters {
		first, _, _ := strings.Cut(key.Description, ". ")
		fmt.Fprintf(&b, "- %s: %s\n", link(key), strings.TrimSuffix(first, "."))
	}
	for _, key := range chapters {
		s.chapter(&b, "##", key)
	}
	return []byte(b.String())
}

// chapter says all about a key, then the keys below it, and last those of them
// that hold sections of their own.
func (s *Schema) chapter(b *strings.Builder, heading string, key Key) {
	fmt.Fprintf(b, "\n%s %s\n\n%s\n", heading, code(title(key)), s.entry(key))
	section, ok := key.Section()
	if !ok {
		return
	}
	var chapters []Key
	b.WriteByte('\n')
	for _, below := range s.keysOf(section, key) {
		switch _, ok := below.Section(); {
		case below.Onto != "":
			fmt.Fprintf(b, "- **%s**: [the keys of %s](#%s), for this one alone\n", code(below.Path), code(below.Onto), anchor(below.Onto))
		case ok:
			chapters = append(chapters, below)
			fmt.Fprintf(b, "- **%s**: %s\n", link(below), below.Description)
		default:
			fmt.Fprintf(b, "- **%s**: %s\n", code(below.Path), strings.ReplaceAll(s.entry(below), "\n", "\n  "))
		}
	}
	for _, below := range chapters {
		s.chapter(b, "###", below)
	}
}

// entry says what a key is for, how it is written and where that is from.
func (s *Schema) entry(key Key) string {
	facts := []string{words(key.Type)}
	if key.Path == "version" && s.kind.Version != "" {
		facts[0] = code(s.kind.Version)
	}
	switch {
	case key.Required:
		facts = append(facts, "**required**")
	case key.Default != "":
		facts = append(facts, "default "+code(key.Default))
	case key.Type.Kind() == reflect.Bool:
		facts = append(facts, "default `false`")
	}
	if key.Example != "" {
		facts = append(facts, "example "+code(key.Example))
	}
	if key.Source != "" {
		facts = append(facts, "source "+links(key.Source))
	}
	return key.Description + "\\\n" + strings.Join(facts, " · ")
}

// words says in a person's words how a value of type t is written.
func words(t reflect.Type) string {
	switch strict.FormOf(t) {
	case strict.List:
		return "a list; each item: " + words(t.Elem())
	case strict.Dictionary:
		return "names of your own; each with: " + words(t.Elem())
	case strict.Section:
		return "the keys below"
	}
	if values := strict.EnumOf(t); values != nil {
		return "one of `" + strings.Join(values, "`, `") + "`"
	}
	return strict.Wanted(t)
}

// title is the heading of a key's chapter, after which the keys below it are called.
func title(key Key) string { return key.Path + suffix(key.Type) }

func link(key Key) string { return fmt.Sprintf("[%s](#%s)", code(key.Path), anchor(title(key))) }

var dropped = regexp.MustCompile(`[^a-z0-9_ -]`)

// anchor is what GitHub calls a heading.
func anchor(title string) string { return dropped.ReplaceAllString(strings.ToLower(title), "") }

func code(text string) string { return "`" + text + "`" }

var address = regexp.MustCompile(`https?://\S+`)

// links is a source, each address in it as a link that is called by its host.
func links(source string) string {
	return address.ReplaceAllStringFunc(source, func(text string) string {
		u, err := url.Parse(text)
		if err != nil {
			return text
		}
		return fmt.Sprintf("[%s](%s)", strings.TrimPrefix(u.Host, "www."), text)
	})
}
