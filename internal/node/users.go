package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

// The uids of people: FIRST_UID and LAST_UID of Debian's adduser.conf(5).
const firstUID, lastUID = 1000, 59999

// users is the people who log in, and what they may do. Each is a step, and so is
// sudo: what is wrong with one's home is no matter of the others.
func users(self seeds.Node, f facts.Facts) ([]converge.Step, error) {
	s := self.System
	uids, err := assignUIDs(s.Users, f)
	if err != nil {
		return nil, err
	}
	var steps []converge.Step
	for _, u := range s.Users {
		home := "/home/" + u.Name
		steps = append(steps, converge.Step{Name: "user " + u.Name, Resources: []converge.Resource{
			converge.User{
				Name:         u.Name,
				UID:          uids[u.Name],
				Home:         home,
				Shell:        u.Shell,
				Groups:       u.Groups,
				PasswordHash: u.HashedPasswd.Reveal(),
			},
			// useradd(8) makes it, but leaves one that is there as it is, such as
			// root's that it was making when the power failed. The mode is that of
			// Debian 13, HOME_MODE of login.defs(5).
			converge.Directory{Path: home, Mode: 0o700, Owner: u.Name},
			converge.Directory{Path: home + "/.ssh", Mode: 0o700, Owner: u.Name},
			converge.File{
				Path: home + "/.ssh/authorized_keys", Mode: 0o600, Owner: u.Name,
				Content: banner + lines(u.SSHAuthorizedKeys),
			},
		}})
	}
	return append(steps, converge.Step{Name: "sudo", Resources: []converge.Resource{
		converge.File{
			Path: "/etc/sudoers.d/banyan", Mode: 0o440, Content: sudoers(self),
			// A mistake in one file of them and sudo lets nobody do anything.
			Check: []string{"visudo", "--check", "--quiet", "--file"},
		},
	}}), nil
}

// sudoers is one file for all, so that none is left behind by a user who goes. What
// patronictl(1) and etcdctl(1) find the cluster by outlives sudo(8), which takes most of
// the environment away: without it `sudo patronictl list` knows of no cluster.
func sudoers(self seeds.Node) string {
	var b strings.Builder
	b.WriteString(banner)
	b.WriteString("Defaults env_keep += \"" + patronictlConfig + " ETCDCTL_*\"\n")
	for _, u := range self.System.Users {
		if u.Sudo {
			fmt.Fprintf(&b, "%s ALL=(ALL:ALL) NOPASSWD: ALL\n", u.Name)
		}
	}
	for _, rule := range self.System.Sudo {
		tag := ""
		if rule.NoPasswd {
			tag = "NOPASSWD: "
		}
		fmt.Fprintf(&b, "%s ALL=(root) %s%s\n", rule.Name, tag, strings.Join(rule.Commands, ", "))
	}
	return b.String()
}

// assignUIDs gives each user the uid that the seed says, else that of the owner
// of its home, else the next one that is free. /etc is made anew at every boot
// and /home is not: an account has to meet its own files again, whoever was
// added to or taken out of the seed before it. Accounts that are not the seed's
// keep theirs; its own, which are there once it is planted, decide nothing.
func assignUIDs(users []seeds.User, f facts.Facts) (map[string]int, error) {
	uids, taken := map[string]int{}, map[int]bool{}
	for _, uid := range f.Homes {
		taken[uid] = true
	}
	for name, uid := range f.Accounts {
		if !slices.ContainsFunc(users, func(u seeds.User) bool { return u.Name == name }) {
			taken[uid] = true
		}
	}
	for _, u := range users {
		if u.UID != 0 {
			uids[u.Name], taken[u.UID] = u.UID, true
		} else if uid, ok := f.Homes[u.Name]; ok {
			uids[u.Name] = uid
		}
	}
	next := firstUID
	for _, u := range users {
		if uids[u.Name] != 0 {
			continue
		}
		for taken[next] {
			next++
		}
		if next > lastUID {
			return nil, fmt.Errorf("system.users: no uid from %d to %d is left for %s", firstUID, lastUID, u.Name)
		}
		uids[u.Name], taken[next] = next, true
	}
	return uids, nil
}

// checkAccounts refuses what useradd(8) would: an account that is not made leaves
// nobody to mend the seed.
func checkAccounts(users []seeds.User, f facts.Facts) error {
	var errs []error
	for _, u := range users {
		refuse := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("system.users: %s: %s", u.Name, fmt.Sprintf(format, args...)))
		}
		uid, exists := f.Accounts[u.Name]
		switch {
		case exists && (uid < firstUID || uid > lastUID):
			refuse("is an account of the system; give the person another name")
		case !exists && slices.Contains(f.Groups, u.Name):
			refuse("is a group of this machine, and a user has one of that name; give the person another name")
		}
		for _, g := range u.Groups {
			if !slices.Contains(f.Groups, g) {
				refuse("this machine has no group %s", g)
			}
		}
		if !slices.Contains(f.Shells, u.Shell) {
			refuse("this machine has no shell %s; it has %s", u.Shell, strings.Join(f.Shells, ", "))
		}
	}
	return errors.Join(errs...)
}

// checkUIDs refuses a uid that would part a user from the files in its home, or
// give one user's home, or another account's uid, to another.
func checkUIDs(users []seeds.User, f facts.Facts) error {
	var errs []error
	for _, u := range users {
		if u.UID == 0 {
			continue
		}
		for name, uid := range f.Accounts {
			if _, atHome := f.Homes[name]; name != u.Name && uid == u.UID && !atHome {
				errs = append(errs, fmt.Errorf("system.users: %s: uid %d is that of the account %s", u.Name, u.UID, name))
			}
		}
		for name, uid := range f.Homes {
			if name == u.Name && uid != u.UID {
				errs = append(errs, fmt.Errorf("system.users: %s: uid is %d, but /home/%s belongs to %d; "+
					"give it that uid, or change the owner of its files first", u.Name, u.UID, name, uid))
			}
			if name != u.Name && uid == u.UID {
				errs = append(errs, fmt.Errorf("system.users: %s: uid %d already owns /home/%s", u.Name, u.UID, name))
			}
		}
	}
	return errors.Join(errs...)
}

func lines(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return strings.Join(s, "\n") + "\n"
}
