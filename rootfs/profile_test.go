package rootfs

import (
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
		if p.Name != name {
			t.Errorf("profile %s calls itself %s", name, p.Name)
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
	p := Profile{
		Users:  map[string]User{"etcd": {UID: 903, GID: 903}, "postgres": {UID: 903, GID: 902}},
		Groups: map[string]Group{"ssl-cert": {GID: 902}},
	}
	err := p.check()
	if err == nil {
		t.Fatal("an empty profile passed")
	}
	for _, want := range []string{"suite is missing", "partitions.esp must be a size", "the same uid 903", "the same gid 902"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}

func TestAccounts(t *testing.T) {
	p := Profile{
		Users: map[string]User{
			"sshd":     {UID: 990, GID: nogroup, Comment: "sshd user", Home: "/run/sshd"},
			"postgres": {UID: 902, GID: 902, Comment: "PostgreSQL administrator", Home: "/var/lib/postgresql", Shell: "/bin/bash"},
		},
		Groups: map[string]Group{"ssl-cert": {GID: 911, Members: []string{"postgres"}}},
	}
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
