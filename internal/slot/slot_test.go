package slot

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"banyan/internal/grubenv"
)

// newESP is an ESP with an image in each of the given slots, as the builder or an upgrade
// leaves it.
func newESP(t *testing.T, filled ...string) ESP {
	t.Helper()
	esp := ESP(t.TempDir())
	write(t, esp.file("grub.cfg"), "the menu")
	writeBlock(t, esp.file("grubenv"), grubenv.Variable{Name: "slot", Value: "a"})
	for _, name := range filled {
		for _, file := range []string{"vmlinuz", "initrd.img", "grub.cfg"} {
			write(t, esp.file(name, file), file)
		}
		writeBlock(t, esp.file(name, "grubenv"), grubenv.Variable{Name: "version", Value: "1" + name},
			grubenv.Variable{Name: "profile", Value: "debian-13"}, grubenv.Variable{Name: "arguments"})
	}
	return esp
}

func writeBlock(t *testing.T, file string, variables ...grubenv.Variable) {
	t.Helper()
	content, err := grubenv.Format(variables...)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, string(content))
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, esp ESP) []Slot {
	t.Helper()
	slots, err := esp.List("a")
	if err != nil {
		t.Fatal(err)
	}
	return slots
}

func TestList(t *testing.T) {
	got := list(t, newESP(t, "a"))
	want := []Slot{
		{Name: "a", Version: "1a", Profile: "debian-13", Arguments: []string{}, Bootable: true, Booted: true, Default: true},
		{Name: "b", Arguments: []string{}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestJSON(t *testing.T) {
	got, err := json.Marshal(list(t, newESP(t, "a"))[1])
	const want = `{"slot":"b","version":"","profile":"","arguments":[],"bootable":false,"booted":false,"default":false}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

// What GRUB boots by itself, whatever is the matter with the files.
func TestDefault(t *testing.T) {
	const header = "# GRUB Environment Block\n"
	for name, test := range map[string]struct {
		filled []string
		block  string // the disk's; empty where it is as it should be, naming a
		remove string
		want   string // empty where nothing can be booted
	}{
		"as built":                 {filled: []string{"a"}, want: "a"},
		"both":                     {filled: []string{"a", "b"}, want: "a"},
		"b alone":                  {filled: []string{"b"}, want: "b"},
		"b chosen":                 {filled: []string{"a", "b"}, block: header + "slot=b\n", want: "b"},
		"b chosen, not there":      {filled: []string{"a"}, block: header + "slot=b\n", want: "a"},
		"b chosen, half there":     {filled: []string{"a", "b"}, block: header + "slot=b\n", remove: "b/initrd.img", want: "a"},
		"nonsense chosen":          {filled: []string{"a", "b"}, block: header + "slot=c\n", want: "a"},
		"nothing chosen":           {filled: []string{"a", "b"}, block: header + "other=b\n", want: "a"},
		"a damaged block":          {filled: []string{"a", "b"}, block: strings.Repeat("\x00", 1024), want: "a"},
		"a missing block":          {filled: []string{"a", "b"}, remove: "grubenv", want: "a"},
		"a slot without its block": {filled: []string{"a", "b"}, block: header + "slot=b\n", remove: "b/grubenv", want: "b"},
		"nothing to boot":          {},
		"a missing, b is there":    {filled: []string{"a", "b"}, remove: "a/vmlinuz", want: "b"},
	} {
		esp := newESP(t, test.filled...)
		if test.block != "" {
			write(t, esp.file("grubenv"), test.block)
		}
		if test.remove != "" {
			if err := os.Remove(esp.file(test.remove)); err != nil {
				t.Fatal(err)
			}
		}
		got := ""
		for _, s := range list(t, esp) {
			if s.Default {
				got += s.Name
			}
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestSetDefault(t *testing.T) {
	esp := newESP(t, "a", "b")
	if err := esp.SetDefault("b"); err != nil {
		t.Fatal(err)
	}
	if slots := list(t, esp); slots[0].Default || !slots[1].Default {
		t.Errorf("got %+v", slots)
	}
	if err := os.Truncate(esp.file("a/vmlinuz"), 0); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "slot a holds no image", "c": `no slot "c"; there are: a, b`, "../a": "no slot"} {
		if err := esp.SetDefault(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSetArguments(t *testing.T) {
	esp := newESP(t, "a")
	for _, arguments := range [][]string{{"console=ttyS1,115200n8", "quiet"}, {"memmap=4G$4G", "isolcpus=1-3,*"}, {}} {
		if err := esp.SetArguments("a", arguments); err != nil {
			t.Fatal(err)
		}
		if s := list(t, esp)[0]; !slices.Equal(s.Arguments, arguments) || s.Version != "1a" || s.Profile != "debian-13" {
			t.Errorf("after %q: %+v", arguments, s)
		}
	}
	if err := esp.SetArguments("b", []string{"quiet"}); err == nil {
		t.Error("an empty slot was given arguments")
	}
}

func TestArgumentsThatAreRefused(t *testing.T) {
	esp := newESP(t, "a")
	for _, a := range []string{"", "a b", "a\tb", "a\nb", "a\x7f", `a="b"`, "a='b'", `a\b`, "pаnic=1" /* a Cyrillic letter */, "/*", "(hd0)", "--",
		"root=/dev/sda1", "root", "boot=local", "banyan.slot=b", "banyan.", strings.Repeat("x", 500)} {
		if err := esp.SetArguments("a", []string{"quiet", a}); err == nil {
			t.Errorf("%q was taken", a)
		}
	}
	if got := list(t, esp)[0].Arguments; len(got) > 0 {
		t.Errorf("the slot has %q now", got)
	}
	if err := esp.SetArguments("a", []string{"rootdelay=5", "bootmem_debug"}); err != nil {
		t.Errorf("what only begins like the image's own: %v", err)
	}
}

func TestTable(t *testing.T) {
	got := Table([]Slot{
		{Name: "a", Version: "0.1.0", Profile: "debian-13", Arguments: []string{"x=y", "z"}, Bootable: true, Booted: true, Default: true},
		{Name: "b"},
	})
	const want = `SLOT  VERSION  PROFILE    STATE            ARGUMENTS
a     0.1.0    debian-13  booted, default  x=y z
b     -        -          not bootable     -
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
}
