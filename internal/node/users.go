package node

import (
	"errors"
	"fmt"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

// The uids of people: FIRST_UID and LAST_UID of Debian's adduser.conf(5).
const firstUID, lastUID = 1000, 59999

// users is the people who log in, and what they may do.
func users(s seeds.Seed, f facts.Facts) ([]converge.Resource, error) {
	uids, err := assignUIDs(s.System.Users, f.Homes)
	if err != nil {
		return nil, err
	}
	var resources []converge.Resource
	for _, u := range s.System.Users {
		home := "/home/" + u.Name
		resources = append(resources,
			converge.User{
				Name:         u.Name,
				UID:          uids[u.Name],
				Home:         home,
				Shell:        u.Shell,
				Groups:       u.Groups,
				PasswordHash: u.HashedPasswd.Reveal(),
			},
			converge.Directory{Path: home + "/.ssh", Mode: 0o700, Owner: u.Name},
			converge.File{
				Path: home + "/.ssh/authorized_keys", Mode: 0o600, Owner: u.Name,
				Content: banner + lines(u.SSHAuthorizedKeys),
			})
	}
	return append(resources, converge.File{Path: "/etc/sudoers.d/banyan", Mode: 0o440, Content: sudoers(s.System.Users)}), nil
}

// sudoers is one file for all, so that none is left behind by a user who goes.
func sudoers(users []seeds.User) string {
	var b strings.Builder
	b.WriteString(banner)
	for _, u := range users {
		if u.Sudo {
			fmt.Fprintf(&b, "%s ALL=(ALL:ALL) NOPASSWD: ALL\n", u.Name)
		}
	}
	return b.String()
}

// assignUIDs gives each user the uid that the seed says, else that of the owner
// of its home, else the next one that is free. /etc is made anew at every boot
// and /home is not: an account has to meet its own files again, whoever was
// added to or taken out of the seed before it.
func assignUIDs(users []seeds.User, homes map[string]int) (map[string]int, error) {
	uids, taken := map[string]int{}, map[int]bool{}
	for _, uid := range homes {
		taken[uid] = true
	}
	for _, u := range users {
		if u.UID != 0 {
			uids[u.Name], taken[u.UID] = u.UID, true
		} else if uid, ok := homes[u.Name]; ok {
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

// checkUIDs refuses a uid that would part a user from the files in its home, or
// give one user's home to another.
func checkUIDs(users []seeds.User, homes map[string]int) error {
	var errs []error
	for _, u := range users {
		if u.UID == 0 {
			continue
		}
		for name, uid := range homes {
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
