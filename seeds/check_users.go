package seeds

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	// userName is systemd's strict form of the names of users and groups, in
	// lower case as useradd(8) advises: https://systemd.io/USER_NAMES/
	userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,30}$`)
	shell    = regexp.MustCompile(`^(/[A-Za-z0-9._+-]+)+$`)
	// passwordHash is the form that all methods of crypt(5) share. The bare DES
	// hash has no prefix and is not taken.
	passwordHash = regexp.MustCompile(`^\$[a-z0-9]+\$[!-~]+$`)
)

// systemUsers are the image's own accounts that a person may think of.
var systemUsers = []string{"root", "postgres", "etcd"}

// The uids of people: FIRST_UID and LAST_UID of Debian's adduser.conf(5).
const firstUID, lastUID = 1000, 59999

func (d document) checkUsers(path string, users []User) {
	if !d.HasKey(path) {
		return
	}
	names, uids := map[string]bool{}, map[int]string{}
	for i, u := range users {
		path := fmt.Sprintf("%s[%d]", path, i)
		d.checkUser(path, u)
		if at := path + ".name"; d.Given(at) {
			if names[u.Name] {
				d.Refuse(at, "user %s is listed twice", quote(u.Name))
			}
			names[u.Name] = true
		}
		if at := path + ".uid"; d.Given(at) {
			if owner, taken := uids[u.UID]; taken {
				d.Refuse(at, "uid %d is that of user %s", u.UID, quote(owner))
			}
			uids[u.UID] = u.Name
		}
	}
}

func (d document) checkUser(path string, u User) {
	switch name := path + ".name"; {
	case slices.Contains(systemUsers, u.Name):
		d.Refuse(name, "%s is an account of the system: list people only", u.Name)
	case !userName.MatchString(u.Name):
		d.Refuse(name, "%s is not the name of a user: use 1 to 31 lower-case letters, digits, hyphens and underscores, with a letter first", quote(u.Name))
	}
	if u.UID < firstUID || u.UID > lastUID {
		d.Refuse(path+".uid", "uid %d is not a person's: use %d to %d", u.UID, firstUID, lastUID)
	}
	for i, group := range u.Groups {
		at := fmt.Sprintf("%s.groups[%d]", path, i)
		switch {
		case !userName.MatchString(group):
			d.Refuse(at, "%s is not the name of a group", quote(group))
		case group == u.Name:
			d.Refuse(at, "%s is the user's own group: remove it", group)
		case slices.Contains(u.Groups[:i], group):
			d.Refuse(at, "%s is listed twice", group)
		}
	}
	if !shell.MatchString(u.Shell) {
		d.Refuse(path+".shell", "%s is not the path of a shell, such as /bin/bash", quote(u.Shell))
	}
	hash := u.HashedPasswd.Reveal()
	if !passwordHash.MatchString(hash) || strings.ContainsAny(hash, `:;*!\`) {
		d.Refuse(path+".hashed_passwd", "this is not a hash of crypt(5): write what mkpasswd prints, $y$... or $6$...")
	}
	for i, key := range u.SSHAuthorizedKeys {
		if wrong := unusableKey(key); wrong != "" {
			d.Refuse(fmt.Sprintf("%s.ssh_authorized_keys[%d]", path, i), "%s", wrong)
		}
	}
}

// sudoCommand is a program, or a directory of them, with arguments that sudoers(5)
// takes as they stand.
var sudoCommand = regexp.MustCompile(`^(/[A-Za-z0-9._+-]+)+/?( [^,:=\\#!"]*)?$`)

func (d document) checkSudo(path string, rules []Sudo) {
	if !d.HasKey(path) {
		return
	}
	seen := map[string]bool{}
	for i, rule := range rules {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case rule.Name == "root":
			d.Refuse(at+".name", "root may run everything as it is: remove the item")
		case slices.Contains(systemUsers, rule.Name):
			d.Refuse(at+".name", "%s is a service's account and needs no command of root's: remove the item", rule.Name)
		case !userName.MatchString(rule.Name):
			d.Refuse(at+".name", "%s is not the name of a user", quote(rule.Name))
		case seen[rule.Name]:
			d.Refuse(at+".name", "user %s is listed twice: write all commands in one item", quote(rule.Name))
		}
		seen[rule.Name] = true
		if len(rule.Commands) == 0 {
			d.Refuse(at+".commands", "the list is empty: name the commands, or remove the item")
		}
		for j, command := range rule.Commands {
			if command != "ALL" && !sudoCommand.MatchString(command) {
				d.Refuse(fmt.Sprintf("%s.commands[%d]", at, j), "this is not a command with its absolute path, such as /usr/bin/less, nor ALL; its arguments have none of , : = # ! \" and backslash")
			}
		}
		checkTwice(d, at+".commands", rule.Commands, func(string) string { return "this command" })
	}
}
