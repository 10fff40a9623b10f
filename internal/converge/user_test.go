package converge

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestUser(t *testing.T) {
	m := machine(t)
	write(t, m.path("/etc/skel/.profile"), "# skel\n")
	for _, test := range []struct {
		user                  User
		passwd, group, shadow string
	}{
		{
			User{Name: "dba", UID: 1001, Home: "/home/dba", Shell: "/bin/bash", Groups: []string{"adm"}, PasswordHash: "$6$salt$hash"},
			"dba:x:1001:1001::/home/dba:/bin/bash", "adm:x:4:dba", "dba:$6$salt$hash:",
		},
		{ // the same person moves, gets other groups and no password
			User{Name: "dba", UID: 1002, Home: "/home/dba", Shell: "/bin/sh", Groups: []string{"postgres"}},
			"dba:x:1002:1001::/home/dba:/bin/sh", "postgres:x:107:dba", "dba:!:",
		},
		{ // no password from the start
			User{Name: "elena", UID: 1003, Home: "/home/elena", Shell: "/bin/sh"},
			"elena:x:1003:1003::/home/elena:/bin/sh", "elena:x:1003:", "elena:!:",
		},
	} {
		apply(t, m, test.user)
		for file, want := range map[string]string{"/etc/passwd": test.passwd, "/etc/group": test.group, "/etc/shadow": test.shadow} {
			content, err := os.ReadFile(m.path(file))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(content), "\n"+want) {
				t.Errorf("%s has no line %q:\n%s", file, want, content)
			}
		}
		if again := apply(t, m, test.user); len(changes(again)) != 0 {
			t.Errorf("a second Apply changed %q", changes(again))
		}
	}
	if _, err := os.Stat(m.path("/home/dba/.profile")); err != nil {
		t.Errorf("the home was not made from /etc/skel: %v", err)
	}
}

// A power cut may leave what useradd makes first, and it takes no more care of a
// home that is there.
func TestUserWithInterruptedHome(t *testing.T) {
	m := machine(t)
	if err := os.Mkdir(m.path("/home/dba"), 0); err != nil {
		t.Fatal(err)
	}
	resources := []Resource{
		User{Name: "dba", UID: 1001, Home: "/home/dba", Shell: "/bin/sh"},
		Directory{Path: "/home/dba", Mode: 0o700, Owner: "dba"},
	}
	apply(t, m, resources...)
	info, err := os.Stat(m.path("/home/dba"))
	if err != nil {
		t.Fatal(err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != 1001 || stat.Gid != 1001 || info.Mode().Perm() != 0o700 {
		t.Errorf("the home is %+v", info.Sys())
	}
	if again := apply(t, m, resources...); len(changes(again)) != 0 {
		t.Errorf("a second Apply changed %q", changes(again))
	}
}

func TestUserErrors(t *testing.T) {
	m := machine(t)
	for want, u := range map[string]User{
		"user dba: useradd: exit status 6: useradd: group 'wheel' does not exist": {
			Name: "dba", UID: 1001, Home: "/home/dba", Shell: "/bin/sh", Groups: []string{"wheel"}, PasswordHash: "$6$hunter2",
		},
		"user dba: useradd: exit status 4: useradd: UID 104 is not unique": {
			Name: "dba", UID: 104, Home: "/home/dba", Shell: "/bin/sh", PasswordHash: "$6$hunter2",
		},
	} {
		_, err := Apply(t.Context(), m, one(u), nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error is %v, want %s", err, want)
		}
	}
}

// Arguments can be read by everybody, see proc_pid_cmdline(5).
func TestHashIsNoArgument(t *testing.T) {
	m := machine(t)
	seen := t.TempDir()
	for _, tool := range []string{"useradd", "chpasswd"} {
		script := "#!/bin/sh\necho " + tool + " \"$@\" >>" + seen + "/arguments\ncat >>" + seen + "/input\n"
		if err := os.WriteFile(filepath.Join(seen, tool), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", seen+":"+os.Getenv("PATH"))
	u := User{Name: "dba", UID: 1001, Home: "/home/dba", Shell: "/bin/sh", PasswordHash: "$6$hunter2"}
	if err := u.Apply(t.Context(), m, nil); err != nil { // and not Apply, which would see that nothing was made
		t.Fatal(err)
	}

	for file, want := range map[string]string{
		"arguments": "useradd --root " + m.Root + " --uid 1001 --shell /bin/sh --groups  --home-dir /home/dba --create-home --user-group dba\n" +
			"chpasswd --root " + m.Root + " --encrypted\n",
		"input": "dba:$6$hunter2\n",
	} {
		got, err := os.ReadFile(filepath.Join(seen, file))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, error %v, want %q", file, got, err, want)
		}
	}
}
