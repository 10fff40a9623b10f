package rootfs

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestEveryProfileLoads(t *testing.T) {
	names := ProfileNames()
	if len(names) == 0 {
		t.Fatal("there is no profile")
	}
	for _, name := range names {
		p, err := LoadProfile(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Name != name || p.Description == "" {
			t.Errorf("profile %s: name %q, description %q", name, p.Name, p.Description)
		}
		// What is shown is a profile, and the same one.
		shown, err := p.YAML()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), name+".yaml")
		if err := os.WriteFile(file, shown, 0o644); err != nil {
			t.Fatal(err)
		}
		again, err := LoadProfile(file)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := again.YAML(); err != nil || string(twice) != string(shown) {
			t.Errorf("%s, shown and read again: %v\n%s", name, err, twice)
		}
	}
}

// /var outlives the image, also one of another profile.
func TestIDsAreTheSameInAllProfiles(t *testing.T) {
	uids, gids := map[int]string{}, map[int]string{}
	ids := map[string]int{} // by "user NAME" and "group NAME"
	claim := func(owners map[int]string, kind, name string, id int) {
		if owner, taken := owners[id]; taken && owner != name {
			t.Errorf("%d is the %s of %s and of %s", id, kind, owner, name)
		}
		if other, there := ids[kind+" "+name]; there && other != id {
			t.Errorf("the %s %s is %d and %d", kind, name, other, id)
		}
		owners[id], ids[kind+" "+name] = name, id
	}
	for _, profile := range ProfileNames() {
		p, err := LoadProfile(profile)
		if err != nil {
			t.Fatal(err)
		}
		for name, u := range p.Users {
			claim(uids, "user", name, u.UID)
			if u.GID != nogroup {
				claim(gids, "group", name, u.GID)
			}
		}
		for name, g := range p.Groups {
			claim(gids, "group", name, g.GID)
		}
	}
}

func TestUnknownProfileNamesTheKnown(t *testing.T) {
	_, err := LoadProfile("debian-6")
	if err == nil || !strings.Contains(err.Error(), "debian-13") {
		t.Errorf("got %v", err)
	}
}

func TestCheckFindsWhatIsMissingOrTwice(t *testing.T) {
	p := Profile{Settings: Settings{
		Users:    map[string]User{"etcd": {UID: 903, GID: 903}, "postgres": {UID: 903, GID: 902}},
		Groups:   map[string]Group{"ssl-cert": {GID: 902}},
		Units:    map[string]string{"ssh.service": "start"},
		Versions: Versions{Patroni: "new"},
	}}
	err := p.check()
	if err == nil {
		t.Fatal("an empty profile passed")
	}
	for _, want := range []string{"suite is missing", "partitions.esp must be 64 MiB", "the same uid 903", "the same gid 902", `units.ssh.service is "start"`,
		"versions.postgresql is missing", `versions.patroni is "new"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}

func TestAccounts(t *testing.T) {
	p := Profile{Settings: Settings{
		Users: map[string]User{
			"sshd":     {UID: 990, GID: nogroup, Comment: "sshd user", Home: "/run/sshd"},
			"postgres": {UID: 902, GID: 902, Comment: "PostgreSQL administrator", Home: "/var/lib/postgresql", Shell: "/bin/bash"},
		},
		Groups: map[string]Group{"ssl-cert": {GID: 911, Members: []string{"postgres"}}},
	}}
	const passwd = "postgres:*:902:902:PostgreSQL administrator:/var/lib/postgresql:/bin/bash\n" +
		"sshd:*:990:65534:sshd user:/run/sshd:/usr/sbin/nologin\n"
	if got := p.passwd(); got != passwd {
		t.Errorf("passwd:\n%s", got)
	}
	const group = "postgres:x:902:\nssl-cert:x:911:postgres\n"
	if got := p.group(); got != group {
		t.Errorf("group:\n%s", got)
	}
}

// profile writes a profile into a file of dir and loads it.
func profile(t *testing.T, dir, name, content string) (*Profile, error) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return LoadProfile(file)
}

func TestInheritance(t *testing.T) {
	dir := t.TempDir()
	site, err := profile(t, dir, "site.yaml", "inherits: debian-13\npackages: {tools: [less]}\npartitions: {root: 2048}\n")
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile(t, dir, "ours.yaml", "inherits: site.yaml\npackages: {ours: [postgresql-17-postgis-3]}\nusers: {postgres: {shell: /bin/sh}}\n")
	if err != nil {
		t.Fatal(err)
	}
	debian, err := LoadProfile("debian-13")
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case p.Name != "ours" || site.Name != "site":
		t.Errorf("names %s and %s", p.Name, site.Name)
	case p.Suite != debian.Suite, p.Partitions.ESP != debian.Partitions.ESP, len(p.Packages["cluster"]) == 0:
		t.Error("what is not said is not inherited")
	case p.Partitions.Root != 2048, !reflect.DeepEqual(p.Packages["tools"], []string{"less"}), len(p.Packages["ours"]) != 1:
		t.Errorf("what is said is not so: %+v", p)
	case p.Users["postgres"].Shell != "/bin/sh" || p.Users["postgres"].UID != debian.Users["postgres"].UID:
		t.Errorf("got %+v", p.Users["postgres"])
	case len(site.Packages["ours"]) > 0 || len(debian.Packages["ours"]) > 0:
		t.Error("the heir's packages are in what it inherits")
	}
}

func TestAProfileInheritsNotItself(t *testing.T) {
	if _, err := profile(t, t.TempDir(), "self.yaml", "inherits: self.yaml\n"); err == nil || !strings.Contains(err.Error(), "inherits itself") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsWrongWithAProfileHasItsPlace(t *testing.T) {
	_, err := profile(t, t.TempDir(), "typo.yaml", "inherits: debian-13\npartitions:\n  rot: 2048\n")
	if err == nil || !strings.Contains(err.Error(), `typo.yaml:3:3: unknown key "rot", did you mean "root"?`) {
		t.Errorf("got %v", err)
	}
}

func TestVersions(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{
		"usr/lib/postgresql/17/bin/postgres": "",
		"var/lib/dpkg/status": "Package: patroni\nStatus: install ok installed\nVersion: 4.0.7-1+deb13u1\n\n" +
			"Package: etcd-server\nStatus: install ok installed\nVersion: 3.5.16-4\n\n" +
			"Package: haproxy\nStatus: install ok installed\nVersion: 3.0.11-1+deb13u1\n\n" +
			"Package: systemd\nStatus: install ok installed\nVersion: 257.8-1~deb13u2\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, err := LoadProfile("debian-13")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.verifyVersions(root); err != nil {
		t.Error(err)
	}
	p.Versions.PostgreSQL, p.Versions.Patroni, p.Versions.Systemd = []int{16, 17}, "4.1", "25"
	err = p.verifyVersions(root)
	for _, want := range []string{
		"the tree has PostgreSQL [17], and the profile says versions.postgresql: [16 17]",
		`the tree has patroni 4.0, and the profile says versions.patroni: "4.1"`,
		`the tree has systemd 257.8, and the profile says versions.systemd: "25"`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}
