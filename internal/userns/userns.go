// Package userns runs this program again as root of a user namespace
// (user_namespaces(7)), with the ids that subuid(5) gives, so that an image is
// built without root. It is what mmdebstrap's unshare mode does, done once for
// all the programs that work on the tree.
package userns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
)

// unshare maps root to the user, and the rest of the ids to those of subuid(5).
var unshare = []string{"unshare", "--user", "--map-auto", "--map-root-user", "--"}

// IsRoot tells whether this process is root, and not of a user namespace alone.
func IsRoot() (bool, error) {
	if os.Geteuid() != 0 {
		return false, nil
	}
	ids, err := os.ReadFile("/proc/self/uid_map")
	return isWhole(string(ids)), err
}

// isWhole tells whether a uid_map is the machine's own: every id is itself.
func isWhole(ids string) bool {
	f := strings.Fields(ids)
	return len(f) == 3 && f[0] == "0" && f[1] == "0" && f[2] == "4294967295"
}

// Enter runs this program again, from its beginning, as root of a user namespace.
// It returns nil where the process is root already; otherwise only with an error.
func Enter(ctx context.Context) error {
	if os.Geteuid() == 0 {
		return nil
	}
	if err := probe(ctx); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	name, err := exec.LookPath(unshare[0])
	if err != nil {
		return err
	}
	// What root needs, a user's PATH need not have.
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
		return err
	}
	return unix.Exec(name, slices.Concat(unshare, []string{self}, os.Args[1:]), os.Environ())
}

// probe says why there can be no user namespace, and what to do.
func probe(ctx context.Context) error {
	if _, err := exec.LookPath("newuidmap"); err != nil {
		return errors.New("this needs root, or newuidmap to do without: run it with sudo, or install the package uidmap")
	}
	if _, err := command.Run(ctx, unshare[0], append(unshare[1:], "true")...); err != nil {
		return fmt.Errorf("this needs root, or a user namespace with ids from /etc/subuid and /etc/subgid: run it with sudo, or give this user a range there (%w)", err)
	}
	return nil
}
