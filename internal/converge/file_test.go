package converge

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// Who reads a file while it is replaced reads the old one to its end, and no
// other name ever shows up beside it.
func TestFileIsReplaced(t *testing.T) {
	m := machine(t)
	apply(t, m, File{Path: "/etc/hosts", Mode: 0o644, Content: "old\n"})
	reader, err := os.Open(m.path("/etc/hosts"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	apply(t, m, File{Path: "/etc/hosts", Mode: 0o644, Content: "new\n"})

	old, err := io.ReadAll(reader)
	if err != nil || string(old) != "old\n" {
		t.Errorf("the reader got %q, error %v", old, err)
	}
	entries, err := os.ReadDir(m.path("/etc"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), "hosts") && e.Name() != "hosts" {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// A user must not be able to lead root elsewhere with a link.
func TestDirectoryIsNoLink(t *testing.T) {
	m := machine(t)
	if err := os.Symlink("/etc", m.path("/home/link")); err != nil {
		t.Fatal(err)
	}
	_, err := Apply(t.Context(), m, one(
		Directory{Path: "/home/link", Mode: 0o700},
		File{Path: "/home/link/passwd", Mode: 0o600, Content: "mine\n"},
	), nil)
	if err == nil || !strings.Contains(err.Error(), "/home/link: is not a directory: move it away") {
		t.Errorf("the error is %v", err)
	}
}

func TestDirectoryInTheWay(t *testing.T) {
	m := machine(t)
	for _, r := range []Resource{File{Path: "/etc"}, Symlink{Path: "/etc"}} {
		if _, err := Apply(t.Context(), m, one(r), nil); err == nil || !strings.Contains(err.Error(), "/etc: is a directory where a ") {
			t.Errorf("%T: the error is %v", r, err)
		}
	}
}

func TestUnknownOwner(t *testing.T) {
	m := machine(t)
	for want, f := range map[string]File{
		"/etc/x: user nobody: not on this machine":   {Path: "/etc/x", Owner: "nobody"},
		"/etc/x: group nogroup: not on this machine": {Path: "/etc/x", Group: "nogroup"},
	} {
		if _, err := Diff(t.Context(), m, one(f)); err != nil {
			t.Errorf("Diff, before an owner is made: %v", err)
		}
		if _, err := Apply(t.Context(), m, one(f), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %s", err, want)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	f := File{Path: "/x", Content: "hunter2", Secret: true}
	u := User{Name: "dba", PasswordHash: "hunter2"}
	text := fmt.Sprintf("%v %+v %s %v", f, f, f, []Resource{f, u})
	diff, err := f.Diff(t.Context(), Machine{Root: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	created, err := u.Diff(t.Context(), Machine{Root: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if text += fmt.Sprint(diff, created); strings.Contains(text, "hunter2") {
		t.Errorf("a secret is shown: %s", text)
	}
}
