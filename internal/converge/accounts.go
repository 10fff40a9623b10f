package converge

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"banyan/internal/facts"
)

// errNoAccount is a user or group that is not in the machine's own files. Under
// Diff it may be one that an earlier resource would have made.
var errNoAccount = errors.New("not on this machine")

// account is a line of passwd(5).
type account struct {
	uid, gid    int
	home, shell string
}

// account looks a user up in the machine's own /etc/passwd: the running
// system's name services know nothing of another root directory.
func (m Machine) account(name string) (account, error) {
	f, err := m.entry("/etc/passwd", name, 7)
	if err != nil {
		return account{}, fmt.Errorf("user %s: %w", name, err)
	}
	uid, err := strconv.Atoi(f[2])
	if err != nil {
		return account{}, fmt.Errorf("/etc/passwd: uid of %s: %w", name, err)
	}
	gid, err := strconv.Atoi(f[3])
	if err != nil {
		return account{}, fmt.Errorf("/etc/passwd: gid of %s: %w", name, err)
	}
	return account{uid: uid, gid: gid, home: f[5], shell: f[6]}, nil
}

// group looks a group's id up in the machine's own /etc/group.
func (m Machine) group(name string) (int, error) {
	f, err := m.entry("/etc/group", name, 4)
	if err != nil {
		return 0, fmt.Errorf("group %s: %w", name, err)
	}
	gid, err := strconv.Atoi(f[2])
	if err != nil {
		return 0, fmt.Errorf("/etc/group: gid of %s: %w", name, err)
	}
	return gid, nil
}

// groupsOf lists, sorted, the groups that name a user as their member.
func (m Machine) groupsOf(user string) ([]string, error) {
	entries, err := facts.AccountEntries(m.path("/etc/group"), 4)
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, f := range entries {
		if slices.Contains(strings.Split(f[3], ","), user) {
			groups = append(groups, f[0])
		}
	}
	slices.Sort(groups)
	return groups, nil
}

// owner resolves an owner and a group. No owner is root, no group is the
// owner's own.
func (m Machine) owner(owner, group string) (uid, gid int, err error) {
	if owner != "" && owner != "root" {
		a, err := m.account(owner)
		if err != nil {
			return 0, 0, err
		}
		uid, gid = a.uid, a.gid
	}
	if group != "" && group != "root" {
		if gid, err = m.group(group); err != nil {
			return 0, 0, err
		}
	} else if group == "root" {
		gid = 0
	}
	return uid, gid, nil
}

// entry finds the line of a colon-separated account file whose first field is name.
func (m Machine) entry(file, name string, fields int) ([]string, error) {
	entries, err := facts.AccountEntries(m.path(file), fields)
	if err != nil {
		return nil, err
	}
	for _, f := range entries {
		if f[0] == name {
			return f, nil
		}
	}
	return nil, errNoAccount
}
