package converge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"banyan/internal/command"
)

// User is a person's account, with a group of its own and a home directory that
// is made from /etc/skel where there is none. It is changed by the programs of
// Debian's passwd package, which lock the account files.
type User struct {
	Name         string
	UID          int
	Home         string
	Shell        string
	Groups       []string // supplementary; the account is in no other
	PasswordHash string   // crypt(5); "" locks the password, not the account
}

// ID is "user" and the name.
func (u User) ID() string { return "user " + u.Name }

// String is the ID, so that no hash comes into a log by accident.
func (u User) String() string { return u.ID() }

// lockedPassword is no hash of any password.
const lockedPassword = "!"

// Diff compares passwd(5), group(5) and shadow(5).
func (u User) Diff(_ context.Context, m Machine, _ Changed) (Difference, error) {
	a, err := m.account(u.Name)
	if errors.Is(err, errNoAccount) {
		return Difference{What: fmt.Sprintf("create uid %d, home %s, shell %s, groups %s", u.UID, u.Home, u.Shell, groupList(u.Groups))}, nil
	}
	if err != nil {
		return Difference{}, err
	}
	var diff []string
	if a.uid != u.UID {
		diff = append(diff, fmt.Sprintf("uid %d to %d", a.uid, u.UID))
	}
	if a.home != u.Home {
		diff = append(diff, fmt.Sprintf("home %s to %s", a.home, u.Home))
	}
	if a.shell != u.Shell {
		diff = append(diff, fmt.Sprintf("shell %s to %s", a.shell, u.Shell))
	}
	groups, err := m.groupsOf(u.Name)
	if err != nil {
		return Difference{}, err
	}
	if want := sorted(u.Groups); !slices.Equal(groups, want) {
		diff = append(diff, fmt.Sprintf("groups %s to %s", groupList(groups), groupList(want)))
	}
	same, err := u.samePassword(m)
	if err != nil {
		return Difference{}, err
	}
	if !same {
		diff = append(diff, "password")
	}
	if len(diff) == 0 {
		return Difference{}, nil
	}
	return Difference{What: "change " + strings.Join(diff, ", ")}, nil
}

// Apply makes or changes the account. The hash goes to chpasswd(8) by its
// standard input: an argument could be read by every user.
func (u User) Apply(ctx context.Context, m Machine, _ Changed) error {
	args := []string{"--uid", strconv.Itoa(u.UID), "--shell", u.Shell, "--groups", strings.Join(u.Groups, ",")}
	_, err := m.account(u.Name)
	switch {
	case errors.Is(err, errNoAccount):
		args = append(args, "--home-dir", u.Home, "--create-home", "--user-group", u.Name)
		err = m.passwdTool(ctx, "", "useradd", args...)
	case err == nil:
		args = append(args, "--home", u.Home, u.Name)
		err = m.passwdTool(ctx, "", "usermod", args...)
	}
	if err != nil {
		return err
	}
	same, err := u.samePassword(m)
	if err != nil || same {
		return err
	}
	return m.passwdTool(ctx, u.Name+":"+u.wantPassword()+"\n", "chpasswd", "--encrypted")
}

func (u User) wantPassword() string {
	if u.PasswordHash == "" {
		return lockedPassword
	}
	return u.PasswordHash
}

func (u User) samePassword(m Machine) (bool, error) {
	f, err := m.entry("/etc/shadow", u.Name, 9)
	if errors.Is(err, errNoAccount) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return f[1] == u.wantPassword(), nil
}

// passwdTool runs a program of the passwd package for the machine's root.
func (m Machine) passwdTool(ctx context.Context, stdin, name string, args ...string) error {
	if m.Root != "/" {
		args = append([]string{"--root", m.Root}, args...)
	}
	_, err := command.Command{Name: name, Args: args, Stdin: strings.NewReader(stdin)}.Run(ctx)
	return err
}

func groupList(groups []string) string {
	if len(groups) == 0 {
		return "none"
	}
	return strings.Join(groups, ",")
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}
