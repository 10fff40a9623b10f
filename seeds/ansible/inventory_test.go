package ansible

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestInventory(t *testing.T) {
	inv, err := readInventory(File{"inventory", []byte(`# a comment
; another
alone ansible_port=2222
[db]  # with a comment
n[01:03] size='a b' # and here
n02 size="x # y" empty= path=C:\\x
web-[a:c].example.org:2200 name='it''s'
172.16.32.11
[2001:db8::1]:22
[::1]

[more:children]
db
late   # as well
[late]
n9
[more:vars]
size = 'from more'  # comment
plain = one two # three
count=5 # comment
[db:vars]
size=from db
[all:vars]
size="from \"all\""
other=last
`)})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range inv.hosts {
		names = append(names, h.name)
	}
	if got, want := strings.Join(names, " "), "alone n01 n02 n03 web-a.example.org web-b.example.org web-c.example.org 172.16.32.11 2001:db8::1 ::1 n9"; got != want {
		t.Errorf("hosts: got %s, want %s", got, want)
	}
	for _, c := range []struct{ host, name, want string }{
		{"alone", "ansible_port", "2222"}, {"alone", "size", `from "all"`},
		{"n01", "size", "a b"}, {"n02", "size", "x # y"}, {"n02", "empty", ""}, {"n02", "path", `C:\x`},
		{"n03", "plain", "one two # three"}, {"n03", "count", "5"},
		{"web-b.example.org", "ansible_port", "2200"}, {"web-b.example.org", "name", "its"}, {"web-b.example.org", "size", "from db"},
		{"2001:db8::1", "ansible_port", "22"}, {"n9", "size", "from more"}, {"n9", "other", "last"},
	} {
		got, ok := inv.host(c.host).lookup(c.name)
		if !ok || got.text != c.want {
			t.Errorf("%s of %s: got %q, want %q", c.name, c.host, got.text, c.want)
		}
	}
	if got := inv.host("n01").in; !slices.Equal(got, []string{"db", "more", "all"}) {
		t.Errorf("groups of n01: %v", got)
	}
	if got := len(inv.members("more")); got != 10 {
		t.Errorf("more has %d hosts", got)
	}
	if at := inv.host("n9").at.String(); at != "inventory:16" {
		t.Errorf("n9 is at %s", at)
	}
}

func TestBadInventory(t *testing.T) {
	for text, want := range map[string]string{
		"[db]\nn1 x":                    "inventory:2: word 1 after the host is not NAME=VALUE",
		"n1 a=1 =2":                     "inventory:1: word 2 after the host",
		"n1 password='secret":           "inventory:1: a quote is not closed",
		"n1 x=\\":                       "inventory:1: the line ends in a backslash",
		"[db\nn1":                       "inventory:1: this is not the head of a section",
		"[db:hosts]\nn1":                "inventory:1: ",
		"[a:children]\nb":               "inventory:2: there is no group of that name",
		"[a:vars]\nsecret":              "inventory:2: expected NAME=VALUE in [a:vars]",
		"n[1:a]":                        "inventory:1: the range goes from a number to a letter",
		"n[3:1]":                        "inventory:1: the range ends before it begins",
		"n[1:9:0]":                      "inventory:1: the step of the range",
		"n[1:100000]":                   "inventory:1: the range makes more than 1000 hosts",
		"n[1:100][1:100]":               "inventory:1: the range makes more than 1000 hosts",
		"a[1:999]\nb[1:9]":              "inventory:2: there are more than 1000 hosts",
		"n[1:99999999999999999999999]":  "inventory:1: the range goes from a number to a letter, or has a number too large",
		"n1\xff":                        "inventory: the file is not UTF-8",
		"$ANSIBLE_VAULT;1.1;AES256\n31": "inventory: the file is encrypted",
	} {
		_, err := readInventory(File{"inventory", []byte(text)})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows a value: %v", text, err)
		}
	}
}

// TestCircle: groups that are children of one another end somewhere.
func TestCircle(t *testing.T) {
	inv, err := readInventory(File{"inventory", []byte("[a:children]\nb\n[b:children]\na\n[b]\nn1\n")})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(inv.host("n1").in); got != "[b a all]" {
		t.Error(got)
	}
}

func FuzzInventory(f *testing.F) {
	f.Add([]byte("[a:children]\nb\n[b]\nn[1:3:2]:22 x='y' # z\n[all:vars]\np = \"q\" # r\n"))
	f.Add([]byte("[::1]:22\n[x]\nn[a:c][01:09] k=\\ v\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		inv, err := readInventory(File{"inventory", data})
		if err != nil {
			return
		}
		if len(inv.hosts) > maxHosts {
			t.Errorf("%d hosts", len(inv.hosts))
		}
		for _, h := range inv.hosts {
			if h.name == "" || h.at.line < 1 || h.in[len(h.in)-1] != "all" || inv.host(h.name) != h {
				t.Errorf("host %+v", h)
			}
		}
	})
}
