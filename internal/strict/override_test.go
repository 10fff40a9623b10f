package strict

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// fleet has sections that its ships override.
type fleet struct {
	Ships []ship            `yaml:"ships"`
	Sail  sail              `yaml:"sail"`
	Flags map[string]string `yaml:"flags"`
}

type ship struct {
	Name  string            `yaml:"name" required:"true"`
	Sail  sail              `yaml:"sail" onto:"sail"`
	Flags map[string]string `yaml:"flags" onto:"flags"`
}

type sail struct {
	Area   int      `yaml:"area" default:"10"`
	Colour colour   `yaml:"colour" default:"white"`
	Masts  []string `yaml:"masts" default:"[main]"`
	Rig    struct {
		Port uint16 `yaml:"port" default:"80"`
	} `yaml:"rig"`
}

type colour string

func (colour) Enum() []string { return []string{"white", "black"} }

var fleets = Kind{Noun: "fleet"}

func TestOverride(t *testing.T) {
	const document = `
ships:
  - name: inherits
  - {name: says nothing, sail: , flags: ~}
  - {name: merges, sail: {area: 20, masts: [fore], rig: {port: 443}}, flags: {pirate: none, guest: red}}
  - {name: deletes, sail: {area: , colour: null, rig: }, flags: {pirate: }}
sail: {area: 15, colour: black, masts: [main, mizzen], rig: {port: 8080}}
flags: {pirate: skull}
`
	var got fleet
	if err := fleets.Decode("f", []byte(document), &got).Err(); err != nil {
		t.Fatal(err)
	}
	base := sail{Area: 15, Colour: "black", Masts: []string{"main", "mizzen"}}
	base.Rig.Port = 8080
	merged, deleted := base, base
	merged.Area, merged.Masts, merged.Rig.Port = 20, []string{"fore"}, 443
	deleted.Area, deleted.Colour, deleted.Rig.Port = 10, "white", 80
	flags := map[string]string{"pirate": "skull"}
	want := fleet{Sail: base, Flags: flags, Ships: []ship{
		{"inherits", base, flags},
		{"says nothing", base, flags},
		{"merges", merged, map[string]string{"pirate": "none", "guest": "red"}},
		{"deletes", deleted, map[string]string{}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestOverrideOfNothing: without a section of the document there are its defaults.
func TestOverrideOfNothing(t *testing.T) {
	var got fleet
	if err := fleets.Decode("f", []byte("ships: [{name: a, sail: {area: 5}}]"), &got).Err(); err != nil {
		t.Fatal(err)
	}
	if s := got.Ships[0].Sail; s.Area != 5 || s.Colour != "white" || s.Rig.Port != 80 || got.Sail.Area != 10 {
		t.Errorf("got %+v", got)
	}
}

func TestProblemsOfAnOverride(t *testing.T) {
	for document, want := range map[string]string{
		"ships: [{name: a, sail: {aera: 1}}]":                 "1:26: unknown key \"aera\", did you mean \"area\"?",
		"area: 1":                                             "1:1: unknown key \"area\": it belongs under \"sail\"",
		"ships: [{name: a, sail: {colour: blak}}]":            "1:34: unknown value \"blak\", did you mean \"black\"?",
		"sail: {colour: 7}":                                   "1:16: unknown value \"7\": known here are white, black",
		"sail: {rig: {port: 0}}":                              "1:20: expected a port from 1 to 65535, found \"0\"",
		"ships: [{name: a, sail: {rig: {port: 65536}}}]":      "1:38: expected a port from 1 to 65535, found \"65536\"",
		"sail: [1]\nships: [{name: a, sail: {area: {b: 1}}}]": "1:7: expected keys with values, one \"key: value\" on each line, found a list\n2:32: expected a whole number, found keys with values",
	} {
		err := fleets.Decode("f", []byte(document), &fleet{}).Err()
		if got := places(err); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", document, got, want)
		}
	}
}

// TestRequiredInAnOverride: what is required may be inherited, and not taken back.
func TestRequiredInAnOverride(t *testing.T) {
	type oars struct {
		Length int `yaml:"length" default:"3"`
	}
	type boat struct {
		Oars oars `yaml:"oars" required:"true"`
	}
	type boats map[string]boat
	type owner struct {
		Boats boats `yaml:"boats" onto:"boats"`
	}
	type harbour struct {
		Boats  boats   `yaml:"boats"`
		Owners []owner `yaml:"owners"`
	}
	const document = "boats: {a: {oars: {length: 4}}}\nowners: [{boats: {%s}}]"
	for override, want := range map[string]string{
		"a: {}":        "",
		"a: {oars: }":  "2:23: missing \"oars\": expected keys with values, one \"key: value\" on each line",
		"b: {}":        "2:19: missing \"oars\": expected keys with values, one \"key: value\" on each line",
		"a: , b: null": "",
	} {
		if got := places(fleets.Decode("f", fmt.Appendf(nil, document, override), &harbour{}).Err()); got != want {
			t.Errorf("%s: got %q, want %q", override, got, want)
		}
	}
}

// places is line, column and message of each problem.
func places(err error) string {
	var problems Problems
	errors.As(err, &problems)
	var lines []string
	for _, p := range problems {
		lines = append(lines, fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Message))
	}
	return strings.Join(lines, "\n")
}

func TestWarnAndRequire(t *testing.T) {
	d := fleets.Decode("f", []byte("sail:\n  area: 1\n  colour:\nships:\n  - name: a\n"), &fleet{})
	d.Warn("sail.area", "%d is little", 1)
	d.Warn("sail.masts", "nobody wrote that here")
	if got, want := places(d.Warnings()), "2:9: 1 is little"; got != want || d.Err() != nil {
		t.Errorf("got %q, %v", got, d.Err())
	}
	d.Require("sail.area", "a number")
	d.Require("sail.colour", "a colour")
	d.Require("sail.masts", "a list")
	d.Require("ships[0].flags", "keys")
	d.Require("flags", "keys")
	const want = "1:1: missing \"flags\": expected keys\n1:1: missing \"masts\": expected a list\n" +
		"3:3: missing \"colour\": expected a colour\n5:5: missing \"flags\": expected keys"
	if got := places(d.Err()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	malformed := fleets.Decode("f", []byte("sail: {area: x}"), &fleet{})
	malformed.Require("sail.area", "a number")
	if got, want := places(malformed.Err()), "1:14: expected a whole number, found \"x\""; got != want {
		t.Errorf("noted twice: %s", got)
	}
}
