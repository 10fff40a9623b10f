package schema

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"banyan/internal/strict"
)

type letter struct {
	Version string           `yaml:"version" required:"true" source:"us"`
	Colour  colour           `yaml:"colour" default:"red" source:"https://www.example.org/colours"`
	Post    post             `yaml:"post" source:"post office"`
	Pages   []page           `yaml:"pages" required:"true"`
	Notes   map[string]any   `yaml:"notes" example:"{to: me}"`
	Routes  map[string]route `yaml:"routes"`
}

type colour string

func (colour) Enum() []string { return []string{"red", "7"} }

type post struct {
	Port   uint16     `yaml:"port" required:"true" example:"25"`
	Sender netip.Addr `yaml:"sender" source:"RFC 791"`
}

type page struct {
	Number int  `yaml:"number" default:"1"`
	Blank  bool `yaml:"blank"`
	Post   post `yaml:"post" onto:"post"`
}

type route struct {
	Via string `yaml:"via" required:"true"`
}

var sources = fstest.MapFS{"letter.go": {Data: []byte(`package letters

// letter is a thing
// of paper.
//
// It is folded.
type letter struct {
	Version string // what it is
	// Which colour.
	Colour colour // not this
	Notes map[string]any // <b>
}

type (
	// post is a service.
	post struct {
		Port, Sender int /* where */
	}
	page struct {}
)
`)}}

func letters(t *testing.T) *Schema {
	t.Helper()
	s, err := Of(strict.Kind{Noun: "letter", Version: "v1"}, reflect.TypeFor[letter](), sources)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJSON(t *testing.T) {
	got, err := letters(t).JSON()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string // short ones, to be read here
	for line := range strings.Lines(string(got)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	const want = `{"$schema": "https://json-schema.org/draft/2020-12/schema","description": "letter is a thing of paper.\n\nIt is folded.","type": "object",` +
		`"properties": {` +
		`"version": {"description": "what it is\n\nSource: us","const": "v1"},` +
		`"colour": {"description": "Which colour.\n\nSource: https://www.example.org/colours","enum": ["red","7",7,null],"default": "red"},` +
		`"post": {"description": "post is a service.\n\nSource: post office","$ref": "#/$defs/post","type": ["object","null"]},` +
		`"pages": {"type": "array","items": {"$ref": "#/$defs/page","type": "object"}},` +
		`"notes": {"description": "<b>","type": ["object","null"],"examples": [{"to": "me"}],` +
		`"additionalProperties": {"type": ["string","boolean","number"],"pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]*$"}},` +
		`"routes": {"type": ["object","null"],"additionalProperties": {"$ref": "#/$defs/route","type": "object"}}},` +
		`"required": ["version","pages"],"additionalProperties": false,` +
		`"$defs": {` +
		`"post": {"description": "post is a service.","properties": {` +
		`"port": {"description": "where\n\nSource: post office","type": "integer","minimum": 1,"maximum": 65535,"examples": [25]},` +
		`"sender": {"description": "where\n\nSource: RFC 791","type": ["string","null"],"pattern": "IP"}},` +
		`"required": ["port"],"additionalProperties": false},` +
		`"page": {"properties": {"number": {"type": ["integer","null"],"default": 1},"blank": {"type": ["boolean","null"]},` +
		`"post": {"description": "post is a service.\n\nSource: post office","$ref": "#/$defs/postOverride","type": ["object","null"]}},"additionalProperties": false},` +
		`"postOverride": {"description": "post is a service.","properties": {` +
		`"port": {"description": "where\n\nSource: post office","type": "integer","minimum": 1,"maximum": 65535,"examples": [25]},` +
		`"sender": {"description": "where\n\nSource: RFC 791","type": ["string","null"],"pattern": "IP"}},"additionalProperties": false},` +
		`"route": {"properties": {"via": {"type": ["string","boolean","number"],"pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]*$"}},"required": ["via"],"additionalProperties": false}}}`
	address := strings.ReplaceAll(strict.PatternOf(reflect.TypeFor[netip.Addr]()), `\`, `\\`)
	if got := strings.ReplaceAll(strings.Join(lines, ""), address, "IP"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestMarkdown(t *testing.T) {
	const want = `# Letters

- [^version^](#version): what it is
- [^colour^](#colour): Which colour
- [^post^](#post): post is a service
- [^pages^](#pages): 
- [^notes^](#notesname): <b>
- [^routes^](#routesname): 

## ^version^

what it is\
^v1^ · **required** · source us

## ^colour^

Which colour.\
one of ^red^, ^7^ · default ^red^ · source [example.org](https://www.example.org/colours)

## ^post^

post is a service.\
the keys below · source post office

- **^post.port^**: where\
  a port from 1 to 65535 · **required** · example ^25^ · source post office
- **^post.sender^**: where\
  an address, such as 172.16.32.1 · source RFC 791

## ^pages[]^

\
a list; each item: the keys below · **required**

- **^pages[].number^**: \
  a whole number · default ^1^
- **^pages[].blank^**: \
  true or false · default ^false^
- **^pages[].post^**: [the keys of ^post^](#post), for this one alone

## ^notes.<name>^

<b>\
names of your own; each with: one value: text, a number, true or false · example ^{to: me}^

## ^routes.<name>^

\
names of your own; each with: the keys below

- **^routes.<name>.via^**: \
  text · **required**
`
	if got := strings.ReplaceAll(string(letters(t).Markdown("# Letters\n")), "`", "^"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
