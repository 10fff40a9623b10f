// Package namespace gives the builder, and the lab, a mount namespace of its own, so
// that nothing stays mounted whatever ends it, and makes whoever is not root the root
// of a user namespace (user_namespaces(7)) with the ids that subuid(5) gives. It
// is what mmdebstrap's unshare mode does, done once for all the programs that
// work on the tree.
package namespace

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

// entered is in the environment of a program that Enter has run.
const entered = "BANYAN_NAMESPACE"

// ofUser maps root to the user, and the rest of the ids to those of subuid(5).
var ofUser = []string{"--user", "--map-auto", "--map-root-user"}

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

// Enter runs this program again, from its beginning, in its namespaces, and in those
// that more options of unshare(1) name. It returns nil where it is there already;
// otherwise only with an error.
func Enter(ctx context.Context, more ...string) error {
	if os.Getenv(entered) != "" {
		return nil
	}
	args := append([]string{"unshare", "--mount"}, more...)
	if os.Geteuid() != 0 {
		if err := probe(ctx); err != nil {
			return err
		}
		args = append(args, ofUser...)
	}
	unshare, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	err = errors.Join(
		os.Setenv(entered, "1"),
		os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")) // what root needs, a user's need not have
	if err != nil {
		return err
	}
	return unix.Exec(unshare, slices.Concat(args, []string{"--", self}, os.Args[1:]), os.Environ())
}

// probe says why there can be no user namespace, and what to do.
func probe(ctx context.Context) error {
	if _, err := exec.LookPath("newuidmap"); err != nil {
		return errors.New("this needs root, or newuidmap to do without: run it with sudo, or install the package uidmap")
	}
	if _, err := command.Run(ctx, "unshare", append(ofUser, "--mount", "--", "true")...); err != nil {
		return fmt.Errorf("this needs root, or a user namespace with ids from /etc/subuid and /etc/subgid: run it with sudo, or give this user a range there (%w)", err)
	}
	return nil
}
