package grubenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"banyan/internal/golden"
)

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		want    Block
	}{
		"nothing":               {header + "####", nil},
		"one":                   {header + "slot=a\n####", Block{{"slot", "a"}}},
		"an empty value":        {header + "arguments=\n", Block{{"arguments", ""}}},
		"equals signs":          {header + "arguments=a=b c=d\n", Block{{"arguments", "a=b c=d"}}},
		"escapes":               {header + `a=b\\c\` + "\n" + `d\e` + "\nf=g\n", Block{{"a", "b\\c\nde"}, {"f", "g"}}},
		"the last one counts":   {header + "a=1\nb=2\na=3\n", Block{{"a", "3"}, {"b", "2"}}},
		"comments":              {header + "# a=1\na=2\n#b=1\n", Block{{"a", "2"}}},
		"no padding":            {header + "a=1\n", Block{{"a", "1"}}},
		"a line that is no one": {header + "junk\na=1\nb=2\n", Block{{"b", "2"}}}, // for GRUB the name is "junk\na"
		"no end":                {header + "a=1\nb=2", Block{{"a", "1"}}},
		"an escape and no end":  {header + "a=1\nb=2\\", Block{{"a", "1"}}},
		"no value":              {header + "a=1\nb", Block{{"a", "1"}}},
		"a zero byte":           {header + "a=1\x002\nb\x00=3\n", Block{{"a", "1"}}},
	} {
		if got, err := Parse([]byte(test.content)); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	for name, content := range map[string]string{
		"no file": "", "zeros": strings.Repeat("\x00", size), "another": "# GRUB Environment Blocks\n", "half": header[:12],
	} {
		if got, err := Parse([]byte(content)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

// The block is what GRUB's own tool, 2.06 of Debian 12, made of `create`, `set slot=b
// 'arguments=console=ttyS1,115200n8 a\b' profile=debian-13`, `set slot=a` and `unset profile`.
func TestParseWhatGRUBMade(t *testing.T) {
	got, err := Parse(mustRead(t, "testdata/grub-editenv.block"))
	want := Block{{"slot", "a"}, {"arguments", `console=ttyS1,115200n8 a\b`}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

// The golden block was shown to `grub-editenv list`, which said what is set here.
func TestFormat(t *testing.T) {
	got, err := Format(Variable{"version", "0.1.0~git1"}, Variable{"profile", "debian-13"}, Variable{"arguments", "a=b c\\d\ne"})
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/format.block", string(got))
}

func TestSetKeepsOrderAndTheOthers(t *testing.T) {
	b := Block{{"version", "1"}, {"arguments", ""}, {"profile", "debian-13"}}
	before := slices.Clone(b)
	same := b
	if err := b.Set(Variable{"arguments", "quiet"}, Variable{"new", "x"}); err != nil {
		t.Fatal(err)
	}
	if want := (Block{{"version", "1"}, {"arguments", "quiet"}, {"profile", "debian-13"}, {"new", "x"}}); !slices.Equal(b, want) {
		t.Errorf("got %q", b)
	}
	if !slices.Equal(same, before) {
		t.Errorf("a copy from before changed too: %q", same)
	}
	if b.Get("arguments") != "quiet" || b.Get("absent") != "" {
		t.Errorf("Get: %q, %q", b.Get("arguments"), b.Get("absent"))
	}
}

func TestWhatIsRefused(t *testing.T) {
	room := sector - len(header) - len("version=1\n") - len("a=\n")
	for name, test := range map[string]struct {
		variable Variable
		want     string // empty where it is taken
	}{
		"fits exactly":     {Variable{"a", strings.Repeat("x", room)}, ""},
		"one byte too far": {Variable{"a", strings.Repeat("x", room+1)}, "takes 478 bytes of the environment block, of which 477 are left"},
		"escapes count":    {Variable{"a", strings.Repeat("\n", room/2+1)}, "of which 477 are left"},
		"no name":          {Variable{"", "x"}, "no name"},
		"a comment":        {Variable{"#a", "x"}, "no name"},
		"an equals sign":   {Variable{"a=b", "x"}, "no name"},
		"a line break":     {Variable{"a\nb", "x"}, "no name"},
		"a zero byte":      {Variable{"a", "x\x00"}, "zero byte"},
	} {
		b := Block{{"version", "1"}}
		err := b.Set(test.variable)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && !slices.Equal(b, Block{{"version", "1"}}) {
			t.Errorf("%s: the block became %q", name, b)
		}
	}
}

func TestUpdate(t *testing.T) {
	for name, test := range map[string]struct {
		before string
		want   Block
	}{
		"a block":     {string(mustRead(t, "testdata/grub-editenv.block")), Block{{"slot", "b"}, {"arguments", `console=ttyS1,115200n8 a\b`}}},
		"an empty":    {"", Block{{"slot", "b"}}},
		"all zeros":   {strings.Repeat("\x00", size), Block{{"slot", "b"}}},
		"a short one": {header + "a=1\n", Block{{"a", "1"}, {"slot", "b"}}},
	} {
		file := filepath.Join(t.TempDir(), "grubenv")
		if err := os.WriteFile(file, []byte(test.before), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := Update(file, Variable{"slot", "b"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := Read(file)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if n := len(mustRead(t, file)); n != size {
			t.Errorf("%s: the file has %d bytes", name, n)
		}
	}
}

func TestUpdateMakesAMissingFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "grubenv")
	if _, err := Read(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read what is not there: %v", err)
	}
	if err := Update(file, Variable{"slot", "a"}); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(file); err != nil || got.Get("slot") != "a" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestUpdateRefusesALongFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "grubenv")
	before := header + strings.Repeat("#", size) + "\nslot=b\n"
	if err := os.WriteFile(file, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Update(file, Variable{"slot", "a"}); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("got %v", err)
	}
	if string(mustRead(t, file)) != before {
		t.Error("it was changed")
	}
}

// The kernel refuses to make this file shorter or longer, for a moment too.
func TestUpdateWritesInPlace(t *testing.T) {
	fd, err := unix.MemfdCreate("grubenv", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "grubenv")
	defer f.Close()
	block, err := Format(Variable{"slot", "a"}, Variable{"arguments", "quiet"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(block); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		t.Fatal(err)
	}
	file := fmt.Sprintf("/proc/self/fd/%d", fd)
	if err := os.WriteFile(file, block, 0o644); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("a write that truncates: %v", err)
	}
	if err := Update(file, Variable{"slot", "b"}); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(file); err != nil || !slices.Equal(got, Block{{"slot", "b"}, {"arguments", "quiet"}}) {
		t.Errorf("got %q, %v", got, err)
	}
}

// Parse never panics; a block that is set and fits is in the first sector of
// what Format makes, and Parse reads it there.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/grub-editenv.block", "testdata/format.block"} {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, "slot", "b")
	}
	f.Add([]byte(header+"a=\\"), "#", "\n\\\x00")
	f.Fuzz(func(t *testing.T, content []byte, name, value string) {
		b, err := Parse(content)
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
		if b.Set(Variable{name, value}) != nil {
			return
		}
		if b.Get(name) != value {
			t.Fatalf("%q was set to %q and is %q", name, value, b.Get(name))
		}
		formatted, err := Format(b...)
		if err != nil {
			t.Fatalf("Set took what Format does not: %v", err)
		}
		if len(formatted) != size || strings.Trim(string(formatted[sector:]), "#") != "" {
			t.Fatalf("the second sector of %d bytes holds something: %q", len(formatted), formatted)
		}
		if again, err := Parse(formatted); err != nil || !slices.Equal(again, b) {
			t.Fatalf("%q became %q, %v", b, again, err)
		}
	})
}
