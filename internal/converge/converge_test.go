package converge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// machine is an empty root with root's own account, off line.
func machine(t *testing.T) Machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give files to others")
	}
	m := Machine{Root: t.TempDir()}
	for name, content := range map[string]string{
		"etc/passwd":  "root:x:0:0:root:/root:/bin/bash\npostgres:x:104:107::/var/lib/postgresql:/bin/bash\n",
		"etc/group":   "root:x:0:\nadm:x:4:\nssl-cert:x:101:postgres\npostgres:x:107:\n",
		"etc/shadow":  "root:*:20000:0:99999:7:::\npostgres:!:20000::::::\n",
		"etc/gshadow": "root:*::\nadm:*::\nssl-cert:!::postgres\npostgres:!::\n",
	} {
		write(t, m.path(name), content)
	}
	for _, dir := range []string{"etc/skel", "home", "bin"} {
		if err := os.MkdirAll(m.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, shell := range []string{"bin/sh", "bin/bash", "bin/false"} { // or useradd warns
		if err := os.WriteFile(m.path(shell), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func apply(t *testing.T, m Machine, r ...Resource) Report {
	t.Helper()
	report, err := Apply(t.Context(), m, one(r...), nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func one(r ...Resource) State { return State{Steps: []Step{{Name: "step", Resources: r}}} }

// everything is one of each kind that can be made in a root without PID 1.
func everything() State {
	return State{Steps: []Step{
		{Name: "user", Resources: []Resource{
			User{Name: "dba", UID: 1001, Home: "/home/dba", Shell: "/bin/sh", Groups: []string{"postgres", "adm"}, PasswordHash: "$y$hash"},
			Directory{Path: "/home/dba/.ssh", Mode: 0o700, Owner: "dba"},
			File{Path: "/home/dba/.ssh/authorized_keys", Mode: 0o600, Owner: "dba", Content: "key\n"},
		}},
		{Name: "files", Resources: []Resource{
			Directory{Path: "/etc/patroni", Mode: 0o755},
			File{Path: "/etc/patroni/config.yml", Mode: 0o600, Owner: "postgres", Group: "ssl-cert", Content: "password: hunter2\n", Secret: true},
			Symlink{Path: "/etc/localtime", Target: "/usr/share/zoneinfo/Etc/UTC"},
			Hostname{Name: "not-live"},
		}},
	}}
}

func TestApply(t *testing.T) {
	m := machine(t)
	planned, err := Diff(t.Context(), m, everything())
	if err != nil {
		t.Fatal(err)
	}
	done, err := Apply(t.Context(), m, everything(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(changes(planned)) == 0 || fmt.Sprint(changes(planned)) != fmt.Sprint(changes(done)) {
		t.Errorf("Diff said  %q\nApply did %q", changes(planned), changes(done))
	}
	if got, want := tree(t, m), []string{
		"etc/localtime -> /usr/share/zoneinfo/Etc/UTC",
		"etc/patroni drwxr-xr-x 0:0",
		"etc/patroni/config.yml -rw------- 104:101 password: hunter2",
		"home/dba/.ssh drwx------ 1001:1001",
		"home/dba/.ssh/authorized_keys -rw------- 1001:1001 key",
	}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	again, err := Apply(t.Context(), m, everything(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(changes(again)) != 0 {
		t.Errorf("a second Apply changed %q", changes(again))
	}
}

func changes(r Report) []string {
	var all []string
	for _, s := range r.Steps {
		for _, c := range s.Changes {
			all = append(all, c.ID+": "+c.What)
		}
	}
	return all
}

// tree lists what Apply made, with mode, owner and content.
func tree(t *testing.T, m Machine) []string {
	t.Helper()
	var found []string
	for _, name := range []string{"etc/localtime", "etc/patroni", "home/dba/.ssh"} {
		err := filepath.WalkDir(m.path(name), func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := os.Lstat(path)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(m.Root, path)
			stat, ok := info.Sys().(*syscall.Stat_t)
			if !ok {
				return errors.New("no owner")
			}
			line := fmt.Sprintf("%s %s %d:%d", rel, info.Mode(), stat.Uid, stat.Gid)
			switch {
			case info.Mode().IsRegular():
				content, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				line += " " + strings.TrimSpace(string(content))
			case info.Mode()&fs.ModeSymlink != 0:
				target, err := os.Readlink(path)
				if err != nil {
					return err
				}
				line = rel + " -> " + target
			}
			found = append(found, line)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// Whatever drifts is found, named and mended.
func TestDrift(t *testing.T) {
	tests := map[string]struct {
		drift func(m Machine) error
		want  string
	}{
		"content": {
			func(m Machine) error {
				return os.WriteFile(m.path("/home/dba/.ssh/authorized_keys"), []byte("a\nkey\n"), 0o600)
			},
			"/home/dba/.ssh/authorized_keys: change content",
		},
		"mode": {
			func(m Machine) error { return os.Chmod(m.path("/etc/patroni/config.yml"), 0o644) },
			"/etc/patroni/config.yml: change mode 0644 to 0600",
		},
		"owner": {
			func(m Machine) error { return os.Chown(m.path("/etc/patroni/config.yml"), 0, 0) },
			"/etc/patroni/config.yml: change owner 0:0 to postgres:ssl-cert",
		},
		"directory": {
			func(m Machine) error { return os.Chmod(m.path("/home/dba/.ssh"), 0o777) },
			"/home/dba/.ssh: change mode 0777 to 0700",
		},
		"target": {
			func(m Machine) error {
				return errors.Join(os.Remove(m.path("/etc/localtime")), os.Symlink("elsewhere", m.path("/etc/localtime")))
			},
			"/etc/localtime: change link from elsewhere to /usr/share/zoneinfo/Etc/UTC",
		},
		"file for link": {
			func(m Machine) error {
				return errors.Join(os.Remove(m.path("/etc/localtime")), os.WriteFile(m.path("/etc/localtime"), nil, 0o644))
			},
			"/etc/localtime: replace file by link to /usr/share/zoneinfo/Etc/UTC",
		},
		"link for file": {
			func(m Machine) error {
				path := m.path("/home/dba/.ssh/authorized_keys")
				return errors.Join(os.Remove(path), os.Symlink("/etc/passwd", path))
			},
			"/home/dba/.ssh/authorized_keys: replace what is no regular file, dba:dba 0600",
		},
		"secret": {
			func(m Machine) error {
				return os.WriteFile(m.path("/etc/patroni/config.yml"), []byte("password: old\n"), 0o600)
			},
			"/etc/patroni/config.yml: change content",
		},
		"user": {
			func(m Machine) error {
				return m.passwdTool(t.Context(), "", "usermod", "--shell", "/bin/false", "--groups", "", "dba")
			},
			"user dba: change shell /bin/false to /bin/sh, groups none to adm,postgres",
		},
		"password": {
			func(m Machine) error {
				return m.passwdTool(t.Context(), "dba:$y$other\n", "chpasswd", "--encrypted")
			},
			"user dba: change password",
		},
	}
	m := machine(t)
	if _, err := Apply(t.Context(), m, everything(), nil); err != nil {
		t.Fatal(err)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := test.drift(m); err != nil {
				t.Fatal(err)
			}
			mended, err := Apply(t.Context(), m, everything(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := changes(mended); len(got) != 1 || got[0] != test.want {
				t.Errorf("changes %q, want %q", got, test.want)
			}
			again, err := Apply(t.Context(), m, everything(), nil)
			if err != nil || len(changes(again)) != 0 {
				t.Errorf("afterwards: error %v, changes %q", err, changes(again))
			}
		})
	}
}

// broken is a resource that never works.
type broken struct{}

var errBroken = errors.New("no luck")

func (broken) ID() string { return "broken" }

func (broken) Diff(context.Context, Machine, Changed) (Difference, error) {
	return Difference{What: "mend"}, nil
}

func (broken) Apply(context.Context, Machine, Changed) error { return errBroken }

func TestErrorEndsItsStepOnly(t *testing.T) {
	m := Machine{Root: t.TempDir()}
	file := func(name string) File { return File{Path: "/" + name, Mode: 0o600} }
	var seen []string
	report, err := Apply(t.Context(), m, State{Steps: []Step{
		{Name: "first", Resources: []Resource{broken{}, Symlink{"/never", "x"}}},
		{Name: "second", Resources: []Resource{Symlink{"/made", "x"}}},
		{Name: "third", Resources: []Resource{file("no/such/directory")}},
	}}, func(s StepReport) { seen = append(seen, fmt.Sprint(s.Name, " ", s.Done, " ", s.Err != nil)) })

	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "first: broken: no luck") ||
		!strings.Contains(err.Error(), "third: /no/such/directory: ") {
		t.Errorf("the error is %v", err)
	}
	if len(changes(report)) != 1 || report.Steps[1].Changes[0].ID != "/made" {
		t.Errorf("changes %q, want /made alone", changes(report))
	}
	if _, err := os.Lstat(m.path("/never")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the first step went on after its error")
	}
	if want := []string{
		"first false false", "first true true", "second false false", "second true false", "third false false", "third true true",
	}; !slices.Equal(seen, want) {
		t.Errorf("progress %q, want %q", seen, want)
	}
}

func TestEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := Machine{Root: t.TempDir()}
	report, err := Apply(ctx, m, one(Symlink{"/link", "x"}), nil)
	if !errors.Is(err, context.Canceled) || len(changes(report)) != 0 {
		t.Errorf("error %v, changes %q", err, changes(report))
	}
}
