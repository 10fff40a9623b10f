package converge

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"banyan/internal/durable"
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

// A content that its program refuses never has the file's name, and the old one stays.
func TestFileIsChecked(t *testing.T) {
	m := machine(t)
	f := File{Path: "/etc/sudoers", Mode: 0o440, Content: "good\n", Check: []string{"grep", "--quiet", "good"}}
	apply(t, m, f)
	f.Content = "bad\n"
	_, err := Apply(t.Context(), m, one(f), nil)
	if err == nil || !strings.Contains(err.Error(), "/etc/sudoers: the new content is refused, and the old one stays: grep: exit status 1") {
		t.Errorf("the error is %v", err)
	}
	if got := content(t, m.path(f.Path)); got != "good\n" {
		t.Errorf("it holds %q", got)
	}
	entries, err := os.ReadDir(m.path("/etc"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), "sudoers") && e.Name() != "sudoers" {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestAbsent(t *testing.T) {
	m := machine(t)
	write(t, m.path("/etc/file"), "")
	for _, link := range []string{"/etc/link", "/etc/lost"} {
		if err := os.Symlink(strings.Replace(link, "link", "passwd", 1), m.path(link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/etc/file", "/etc/link", "/etc/lost", "/etc/none", "/none/at/all"} {
		want := path + ": remove"
		if strings.Contains(path, "none") {
			want = ""
		}
		for _, want := range []string{want, ""} {
			if got := strings.Join(changes(apply(t, m, Absent{path})), "\n"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		if there, err := durable.Exists(m.path(path)); there || err != nil {
			t.Errorf("%s is there, %v", path, err)
		}
	}
	content(t, m.path("/etc/passwd")) // what a link led to stays
	if _, err := Apply(t.Context(), m, one(Absent{"/etc"}), nil); err == nil || !strings.Contains(err.Error(), "/etc: is a directory where no file belongs") {
		t.Errorf("the error is %v", err)
	}
}

// What is on a volume is left alone where that is not mounted yet.
func TestDirectoryOnAVolume(t *testing.T) {
	m := machine(t)
	d := Directory{Path: "/data", Mode: 0o700, Owner: "postgres", On: "/data"}
	if got := changes(apply(t, m, d)); len(got) > 0 {
		t.Errorf("off line: %q", got)
	}
	m.Live = true
	if got := changes(apply(t, m, d)); len(got) != 1 || got[0] != "/data: create postgres:postgres 0700" {
		t.Errorf("%q", got)
	}
}
