package schema_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"banyan/internal/golden"
	"banyan/internal/schema"
	"banyan/internal/strict"
	"banyan/seeds"
)

func seedSchema(t testing.TB) *schema.Schema {
	t.Helper()
	s, err := schema.Of(seeds.Kind, reflect.TypeFor[seeds.Seed](), seeds.Sources)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReferenceOfSeeds(t *testing.T) {
	golden.Check(t, "../../docs/seed.md", string(seedSchema(t).Markdown(seeds.Introduction)))
}

var (
	heading = regexp.MustCompile("(?m)^##+ `(.*)`$")
	link    = regexp.MustCompile(`\]\(#(.*?)\)`)
)

// TestLinksOfSeeds: each chapter of the reference has an address of its own, and each
// link within it leads to one.
func TestLinksOfSeeds(t *testing.T) {
	page := string(seedSchema(t).Markdown(""))
	chapters := map[string]string{}
	for _, found := range heading.FindAllStringSubmatch(page, -1) {
		address := strings.Map(func(r rune) rune { // as GitHub makes it
			if strings.ContainsRune("[].<>", r) {
				return -1
			}
			return unicode.ToLower(r)
		}, found[1])
		if chapters[address] != "" {
			t.Errorf("%s and %s are both #%s", chapters[address], found[1], address)
		}
		chapters[address] = found[1]
	}
	links := link.FindAllStringSubmatch(page, -1)
	for _, found := range links {
		if chapters[found[1]] == "" {
			t.Errorf("a link leads to #%s", found[1])
		}
	}
	if len(chapters) < 16 || len(links) < len(chapters)-1 {
		t.Errorf("%d chapters, %d links", len(chapters), len(links))
	}
}

// TestKeysOfSeeds: whoever reads about a key learns what it is for, where that is
// from and, unless its words or its default show it, how it is written.
func TestKeysOfSeeds(t *testing.T) {
	for _, key := range seedSchema(t).Keys() {
		t.Run(key.Path, func(t *testing.T) {
			if key.Description == "" || key.Source == "" {
				t.Errorf("description %q, source %q", key.Description, key.Source)
			}
			item := strict.ItemOf(key.Type)
			_, isSection := key.Section()
			isFree := item.Kind() == reflect.String && strict.EnumOf(item) == nil && strict.Wanted(item) == "text"
			if key.Example == "" && !isSection && (key.Required || isFree) {
				t.Error("no example")
			}
			for what, text := range map[string]string{"example": key.Example, "default": key.Default} {
				if text == "" {
					continue
				}
				if _, err := strict.Value(key.Type, text); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}
