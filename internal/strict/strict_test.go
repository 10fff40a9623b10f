package strict

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

var profiles = Kind{Noun: "profile"}

// profile has a field of every type that is read, but for bool and any.
type profile struct {
	Name     string              `yaml:"name" required:"true"`
	Suite    suite               `yaml:"suite" required:"true"`
	Mirror   netip.Addr          `yaml:"mirror"`
	Packages [][]string          `yaml:"packages" default:"[[base]]"`
	Users    map[string]user     `yaml:"users" required:"true"`
	Members  map[string][]string `yaml:"members"`
	Disk     disk                `yaml:"disk"`
}

type suite string

func (suite) Wanted() string { return "a suite, such as trixie" }

func (s suite) Check() error {
	if s == "lenny" {
		return errors.New("this suite is out of support")
	}
	return nil
}

type user struct {
	UID   int    `yaml:"uid" required:"true"`
	Shell string `yaml:"shell" default:"/bin/false"`
}

type disk struct {
	Root  int64 `yaml:"root" required:"true"`
	State int64 `yaml:"state" default:"64"`
}

func parent() profile {
	return profile{
		Name: "debian-13", Suite: "trixie", Mirror: netip.MustParseAddr("10.0.0.1"), Packages: [][]string{{"udev", "dbus"}, {"sudo"}},
		Users:   map[string]user{"postgres": {UID: 902, Shell: "/bin/bash"}, "etcd": {UID: 903}},
		Members: map[string][]string{"ssl-cert": {"postgres", "etcd"}},
		Disk:    disk{Root: 1536, State: 1024},
	}
}

func TestDecodeOnto(t *testing.T) {
	for name, test := range map[string]struct {
		child string
		want  func(p *profile) // changes what the parent has
	}{
		"absent keys":        {"name: debian-13", func(*profile) {}},
		"keys without value": {"name:\nsuite: ~\nusers:\ndisk: {root: , state: }", func(*profile) {}},
		"a value":            {"suite: forky", func(p *profile) { p.Suite = "forky" }},
		"a value as text":    {"mirror: ::1", func(p *profile) { p.Mirror = netip.IPv6Loopback() }},
		"the zero value":     {"name: ''", func(p *profile) { p.Name = "" }},
		"a list":             {"packages: [[less]]", func(p *profile) { p.Packages = [][]string{{"less"}} }},
		"an empty list":      {"packages: []", func(p *profile) { p.Packages = [][]string{} }},
		"a struct":           {"disk: {root: 9223372036854775807}", func(p *profile) { p.Disk.Root = 1<<63 - 1 }},
		"a map":              {"users: {haproxy: {uid: 904}}", func(p *profile) { p.Users["haproxy"] = user{904, "/bin/false"} }},
		"an empty map":       {"users: {}", func(*profile) {}},
		"a struct of a map":  {"users: {postgres: {shell: /bin/sh}}", func(p *profile) { p.Users["postgres"] = user{902, "/bin/sh"} }},
		"one without shell":  {"users: {etcd: {uid: 913}}", func(p *profile) { p.Users["etcd"] = user{UID: 913} }},
		"a list of a map":    {"members: {ssl-cert: [haproxy], kvm: []}", func(p *profile) { p.Members["ssl-cert"], p.Members["kvm"] = []string{"haproxy"}, []string{} }},
	} {
		t.Run(name, func(t *testing.T) {
			base := parent()
			got, want := base, parent()
			test.want(&want)
			if err := profiles.DecodeOnto("child.yaml", []byte(test.child), &got).Err(); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if !reflect.DeepEqual(base, parent()) {
				t.Errorf("the parent is now %+v", base)
			}
		})
	}
}

func TestDecodeOntoNothing(t *testing.T) {
	var got profile
	if err := profiles.DecodeOnto("p.yaml", []byte("{name: a, suite: b, users: {c: {uid: 1}}, members: {d: [e]}}"), &got).Err(); err != nil {
		t.Fatal(err)
	}
	want := profile{Name: "a", Suite: "b", Users: map[string]user{"c": {1, "/bin/false"}}, Members: map[string][]string{"d": {"e"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestDecodeForgets: only who asks for it inherits.
func TestDecodeForgets(t *testing.T) {
	got := parent()
	if err := profiles.Decode("p.yaml", []byte("{name: a, suite: b, users: {postgres: {uid: 1}}}"), &got).Err(); err != nil {
		t.Fatal(err)
	}
	want := profile{
		Name: "a", Suite: "b", Packages: [][]string{{"base"}},
		Users: map[string]user{"postgres": {1, "/bin/false"}}, Disk: disk{State: 64},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestProblemsOfAChild: line, column and message of each, of a child of parent
// without a suite and with a user without a uid.
func TestProblemsOfAChild(t *testing.T) {
	for child, want := range map[string]string{
		"name: a":                                     "1:1: missing \"suite\": expected a suite, such as trixie",
		"name: a\nsuite:":                             "2:1: missing \"suite\": expected a suite, such as trixie",
		"suite: a\nusers: {etcd: {shell: /x}}":        "2:9: missing \"uid\": expected a whole number",
		"suite: a\nusers: {haproxy: {}}":              "2:9: missing \"uid\": expected a whole number",
		"suite: lenny":                                "1:8: this suite is out of support",
		"suite: a\nnme: b":                            "2:1: unknown key \"nme\", did you mean \"name\"?",
		"suite: a\nusers:\n  etcd: {gid: 1}":          "3:10: unknown key \"gid\", did you mean \"uid\"?",
		"suite: a\nstate: 64":                         "2:1: unknown key \"state\": it belongs under \"disk\"",
		"suite: a\nshell: /x":                         "2:1: unknown key \"shell\": it belongs under \"users\"",
		"suite: a\nname: b\nname: c":                  "3:1: duplicate key \"name\": the first is on line 2",
		"suite: a\nusers: {etcd: }":                   "2:15: expected keys with values, one \"key: value\" on each line, found nothing",
		"suite: a\ndisk: {root: 1e3}":                 "2:14: expected a whole number, found \"1e3\"",
		"suite: a\ndisk: {root: 9223372036854775808}": "2:14: expected a whole number, found \"9223372036854775808\"",
		"suite: a\nmirror: &b":                        "2:9: YAML anchors are not read in a profile: remove it, or quote the value if it begins with an ampersand",
		"suite: a\nmirror: ''":                        `2:9: expected an address, such as 172.16.32.1, found ""`,
		"suite: a\nmirror: !!null":                    "2:9: YAML tags are not read in a profile: remove it, or quote the value if it begins with an exclamation mark",
		"suite: a\nname: &b c":                        "2:7: YAML anchors are not read in a profile: remove it, or quote the value if it begins with an ampersand",
		"suite: a\n<<: {}":                            "2:1: YAML merge keys are not read in a profile: write the keys out",
		"suite: *b":                                   "1:1: YAML aliases are not read in a profile: write the value out, or quote it if it begins with an asterisk",
		"suite: a\n---\nsuite: b":                     "2:1: a second YAML document begins here: a profile is one document",
		"suite: \v":                                   "1:8: the control character U+000B may not stand in a profile: remove it",
		"# suite: a":                                  "1:1: the file holds no profile: it is empty, or all comments",
		"packages: [" + strings.Repeat("[], ", MaxItems+1) + "]\nsuite: a": "1:11: this is longer than anyone writes by hand: 4096 items of a list are read, and 1024 keys",
		strings.Repeat("#", MaxSize+1):                                     "1:1: the file is larger than 1024 KiB: this is not a profile",
	} {
		t.Run(want, func(t *testing.T) {
			p := parent()
			p.Suite = ""
			p.Users["etcd"] = user{}
			var problems Problems
			if err := profiles.DecodeOnto("child.yaml", []byte(child), &p).Err(); !errors.As(err, &problems) {
				t.Fatal(err)
			}
			var got []string
			for _, p := range problems {
				got = append(got, fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Message))
			}
			if got := strings.Join(got, "; "); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestRefuse(t *testing.T) {
	p := parent()
	d := profiles.DecodeOnto("child.yaml", []byte("users:\n  etcd: {uid: 902}\nmembers:"), &p)
	if d.Given("users.postgres.uid") || !d.Given("users.etcd.uid") || d.Given("members") || !d.HasKey("members") || d.HasKey("disk") {
		t.Error("what is given is not what stands there")
	}
	d.Refuse("users.etcd.uid", "uid %d is that of user postgres", p.Users["etcd"].UID)
	d.Refuse("users.etcd", "once more")
	d.RefuseKey("users", "too few")
	d.Refuse("users.postgres.uid", "nobody wrote that here")
	d.RefuseKey("disk", "nobody wrote that here")
	d.RefuseKey("users", "too few") // once more, as for another that inherits it
	if d.Malformed("users.etcd.uid") || d.Malformed("members") || d.Malformed("disk") {
		t.Error("what is well-formed or absent is malformed")
	}
	const want = `child.yaml:1:1: too few
    users:
    ^
child.yaml:2:3: once more
      etcd: {uid: 902}
      ^
child.yaml:2:15: uid 902 is that of user postgres
      etcd: {uid: 902}
                  ^`
	for range 2 { // asking changes nothing
		if err := d.Err(); err == nil || err.Error() != want {
			t.Errorf("got:\n%v\nwant:\n%s", err, want)
		}
	}
}

type hidden string

func (hidden) Reveal() string { return "" }

func TestKind(t *testing.T) {
	kind := Kind{
		Noun: "letter", Version: "v2",
		Quote: func(string) string { return "this" },
		Source: func(lines []string, line int, secrets []Span) string {
			return fmt.Sprint(lines[line-1], secrets)
		},
	}
	type letter struct {
		Version string `yaml:"version"`
		Pages   int    `yaml:"pages"`
		Secret  hidden `yaml:"secret"`
	}
	for data, want := range map[string]string{
		"pages: x\n":                         "1:8: expected a whole number, found this\n    pages: x[]\n           ^",
		"{secret: a b, pages: x}":            "1:22: expected a whole number, found this\n    {secret: a b, pages: x}[{9 12}]\n                         ^",
		"{secret: a\n b, pages: x}":          "2:12: expected a whole number, found this\n     b, pages: x}[{0 2}]\n               ^",
		"colour: red\nversion: v1\npages: x": "2:10: unknown version this: this release reads v2\n    version: v1[]\n             ^",
		"\ufeffsecret: &a b\npages: 1\n":     "1:9: YAML anchors are not read in a letter: remove it, or quote the value if it begins with an ampersand\n    secret: &a b[{8 12}]\n            ^",
	} {
		err := kind.Decode("f", []byte(data), &letter{}).Err()
		if err == nil || err.Error() != "f:"+want {
			t.Errorf("%q: got:\n%v\nwant:\nf:%s", data, err, want)
		}
	}
	d := kind.Decode("f", []byte("\ufeffsecret: 'it''s' # none\n"), &letter{})
	if secrets := d.Secrets(); d.Err() != nil || len(secrets) != 1 || string(d.Data()[secrets[0].Start:secrets[0].End]) != "'it''s'" {
		t.Errorf("secrets at %v, %v", secrets, d.Err())
	}
}

// TestVet: a struct that is no schema is found out by whatever document.
func TestVet(t *testing.T) {
	for name, v := range map[string]any{
		"no key": &struct{ A string }{},
		"below": &struct {
			A []struct{ B string } `yaml:"a"`
		}{},
		"required, by default": &struct {
			A string `yaml:"a" required:"true" default:"b"`
		}{},
		"a type without words": &struct {
			A []map[string]float64 `yaml:"a"`
		}{},
		"text without words": &struct {
			A hexadecimal `yaml:"a"`
		}{},
		"a map of numbers": &struct {
			A map[int]string `yaml:"a"`
		}{},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("was taken")
				}
			}()
			Kind{}.Decode("f", nil, v)
		})
	}
}

type hexadecimal struct{}

func (*hexadecimal) UnmarshalText([]byte) error { return nil }

func TestMaxSize(t *testing.T) {
	larger := profiles
	larger.MaxSize = 2 * MaxSize
	text := "suite: trixie\n" + strings.Repeat("#", MaxSize)
	p := parent()
	if err := larger.DecodeOnto("large.yaml", []byte(text), &p).Err(); err != nil {
		t.Error(err)
	}
	if err := larger.DecodeOnto("large.yaml", []byte(text+text), &p).Err(); err == nil || !strings.Contains(err.Error(), "larger than 2048 KiB") {
		t.Errorf("got %v", err)
	}
}
