package ansible

import (
	"fmt"
	"strings"
	"testing"
)

// resolve is what the variable x is, in a file with others.
func resolve(t testing.TB, file string) value {
	t.Helper()
	inv, err := readInventory(File{"inventory", []byte("[db]\nn1 ansible_host=172.16.32.11 up='{{ loop }}'\nn2\n[all:vars]\nloop={{ hostvars['n1'].up }}\nport=22\n")})
	if err != nil {
		t.Fatal(err)
	}
	im := &importer{in: Input{Vars: []File{{"main.yml", []byte(file)}}}, inventory: inv, seen: map[string]bool{}}
	if err := im.read(); err != nil {
		t.Fatal(err)
	}
	v, _ := im.lookup("x")
	return v
}

// show is a value on one line.
func show(v value) string {
	switch v.kind {
	case list:
		var items []string
		for _, item := range v.items {
			items = append(items, show(item))
		}
		return fmt.Sprint(items)
	case mapping:
		return fmt.Sprint(v.keys)
	case unresolved:
		return "!" + v.text
	}
	return v.text
}

func TestTemplate(t *testing.T) {
	const others = `
name: PGSQL-CL
version: "9.6"
list: [a, b]
map: {key: inner, empty: "", deep: {x: "{{ name }}"}}
missing_inside: "{{ nowhere }}"
b: "{{ a }}"
a: "{{ b }}"
`
	for text, want := range map[string]string{
		`plain`:                                  "plain",
		`"{{ name }}"`:                           "PGSQL-CL",
		`"etcd-{{ name }}-{{version}}"`:          "etcd-PGSQL-CL-9.6",
		`"{{- name -}}"`:                         "PGSQL-CL",
		`"a{# note #}b"`:                         "ab",
		`"{ {a} }"`:                              "{ {a} }",
		`"{{ map.key }}"`:                        "inner",
		`"{{ map['key'] }}"`:                     "inner",
		`"{{ map.deep.x }}"`:                     "PGSQL-CL",
		`"{{ list[1] }}"`:                        "b",
		`"{{ list }}"`:                           "[a b]",
		`"{{ list + ['c'] }}"`:                   "[a b c]",
		`"{{ 1 + 2 }}"`:                          "3",
		`"{{ name ~ '-' ~ version }}"`:           "PGSQL-CL-9.6",
		`"{{ version | replace('.', '') }}"`:     "96",
		`"{{ name|lower }}"`:                     "pgsql-cl",
		`"{{ nowhere | default(5432) }}"`:        "5432",
		`"{{ nowhere | d('') }}"`:                "",
		`"{{ map.nothing | default('x') }}"`:     "x",
		`"{{ map.empty | default('x') }}"`:       "",
		`"{{ map.empty | default('x', true) }}"`: "x",
		`"{{ nowhere.deep[0] | default({}) }}"`:  "[]",
		`"{{ port | default(1) }}"`:              "22",
		`"{{ hostvars[groups['db'][0]].inventory_hostname }}"`: "n1",
		`"{{ hostvars['n1']['ansible_host'] }}"`:               "172.16.32.11",
		`"{{ hostvars.n2.port }}"`:                             "22",
		`!unsafe "{{ name }}"`:                                 "{{ name }}",
		`"{{ '}}' }}"`:                                         "}}",

		`"{{ nowhere }}"`:                  "!{{ nowhere }}: nowhere is not defined in the files given",
		`"{{ map.nothing }}"`:              `!{{ map.nothing }}: "nothing" is not defined in the files given`,
		`"{{ list[2] }}"`:                  `!{{ list[2] }}: "2" is not defined in the files given`,
		`"{{ ansible_os_family }}"`:        "!{{ ansible_os_family }}: ansible_os_family is a fact of a machine and not defined in the files given",
		`"{{ missing_inside }}"`:           "!{{ nowhere }}: nowhere is not defined in the files given",
		`"{{ a }}"`:                        "!x -> a -> b -> a refers to itself",
		`"{{ x }}"`:                        "!x -> x refers to itself",
		`"{{ loop }}"`:                     "!x -> loop -> loop refers to itself",
		`"{{ lookup('env', 'X') }}"`:       "!{{ lookup('...', '...') }}: calls are not read",
		`"{{ lookup('password', '/p') }}"`: "!{{ lookup('...', '...') }}: calls are not read",
		`"{{ name | b64encode }}"`:         "!{{ name | b64encode }}: the filter b64encode is not read",
		`"{{ name 'Xyzzy' }}"`:             "!{{ name '...' }}: this expression is not read to its end",
		`"{{ nowhere['k'].x }}"`:           "!{{ nowhere['k'].x }}: nowhere is not defined in the files given",
		`"{{ nowhere['my_password'] }}"`:   "!{{ nowhere['...'] }}: nowhere is not defined in the files given",
		`"{{ name if true }}"`:             `!{{ name if true }}: this expression is not read from "if" on`,
		`"{{ name"`:                        "!the expression is not closed",
		`"{{ }}"`:                          "!{{ }}: this expression is not read",
		`"{% if x %}{% endif %}"`:          "!statements of Jinja, {% %}, are not read",
		`"x{{ list }}"`:                    "!a list or keys with values stand within text",
		`!vault "abc"`:                     "!the value is encrypted: decrypt it with ansible-vault first",
		`!other "abc"`:                     "!a tag of YAML is not read: where the value begins with an exclamation mark, put it in quotes",
	} {
		v := resolve(t, others+"x: "+text+"\n")
		if got := show(v); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// TestBounds: few lines that repeat one another end soon.
func TestBounds(t *testing.T) {
	var doubling, arguments strings.Builder
	for i := range 60 {
		fmt.Fprintf(&doubling, "v%d: \"{{ v%d }}{{ v%d }}\"\n", i, i+1, i+1)
		fmt.Fprintf(&arguments, "v%d: \"{{ y | default(v%d, v%d) }}\"\n", i, i+1, i+1)
	}
	for name, file := range map[string]string{
		"doubling":  doubling.String() + "v60: ab\nx: \"{{ v0 }}\"\n",
		"arguments": arguments.String() + "v60: \"{{ nowhere }}\"\nx: \"{{ v0 }}\"\n",
		"aliases":   "a: &a [1, 2]\nb: &b [*a, *a]\n" + aliases(60) + "x: *z59\n",
		"deep":      "x: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "\n",
		"nested":    "x: \"{{ " + strings.Repeat("(", 50000) + " }}\"\n",
		"itself":    "x: &x [*x]\n",
		"groups":    "x: \"{{ [" + strings.Repeat("groups, hostvars, ", 10000) + "] }}\"\n",
	} {
		v := resolve(t, file)
		if _, wrong := v.firstUnresolved(); !wrong && name != "groups" {
			t.Errorf("%s: it is resolved", name)
		}
	}
}

func aliases(n int) string {
	var b strings.Builder
	b.WriteString("z0: &z0 [*b, *b]\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "z%d: &z%d [*z%d, *z%d]\n", i, i, i-1, i-1)
	}
	return b.String()
}

func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"{{ a }}", "x{{ m.k ~ l[0] | replace('a', 'b') }}y", "{{ hostvars[groups['db'][0]].up | d({}, true) }}", "{# #}{% %}{{ (", "{{ l + [a, 'b'] | lower }}"} {
		f.Add(text)
	}
	inv, err := readInventory(File{"inventory", []byte("[db]\nn1 up='{{ a }}'\n[all:vars]\na={{ hostvars.n1.up }}\n")})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		im := &importer{in: Input{Vars: []File{{"main.yml", []byte("m: {k: v}\nl: [a, b]\n")}}}, inventory: inv, seen: map[string]bool{}}
		if err := im.read(); err != nil {
			t.Fatal(err)
		}
		v := im.template(text, place{"main.yml", 1})
		if v.kind == unresolved && v.text == "" {
			t.Error("no reason is given")
		}
		if !strings.Contains(text, "{") && show(v) != text {
			t.Errorf("got %s", show(v))
		}
	})
}
