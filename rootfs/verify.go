package rootfs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// verify refuses a tree that holds what no golden image may hold: a database, a
// machine's identity, a password, or an id drawn by chance.
func (p *Profile) verify(ctx context.Context, root string) error {
	var errs []error
	for pattern, what := range map[string]string{
		"var/lib/etcd/*":          "etcd's data",
		"var/lib/postgresql/*/*":  "a PostgreSQL cluster",
		"etc/ssl/private/*":       "a private key",
		"var/lib/dbus/machine-id": "a machine's identity",
		"etc/postgresql/*/*":      "the configuration of a PostgreSQL cluster",
		"etc/ssh/ssh_host_*":      "SSH host keys",
		"var/lib/apt/lists/*":     "apt's lists",
		"usr/sbin/policy-rc.d":    "the builder's policy-rc.d",
	} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		if len(found) > 0 {
			errs = append(errs, fmt.Errorf("the tree holds %s: %s", what, found[0]))
		}
	}
	errs = append(errs,
		p.verifyLocales(ctx, root),
		p.verifyVersions(root),
		p.verifyIDs(root, "passwd"),
		p.verifyIDs(root, "group"),
		verifyLocked(root),
		verifyNoLogs(root))
	return errors.Join(errs...)
}

func (p *Profile) verifyLocales(ctx context.Context, root string) error {
	out, err := inChroot(ctx, root, nil, "localedef", "--list-archive")
	if err != nil {
		return err
	}
	generated := strings.Fields(out)
	for _, locale := range p.Locales {
		if !slices.Contains(generated, strings.Replace(locale, "UTF-8", "utf8", 1)) {
			return fmt.Errorf("the locale %s was not generated; there are: %v", locale, generated)
		}
	}
	return nil
}

// verifyIDs compares the ids of passwd(5) or group(5) with the pinned ones.
func (p *Profile) verifyIDs(root, file string) error {
	pinned := map[string]int{}
	for name, u := range p.Users {
		pinned[name] = u.UID
		if file == "group" {
			pinned[name] = u.GID
		}
	}
	if file == "group" {
		for name, g := range p.Groups {
			pinned[name] = g.GID
		}
	}
	var errs []error
	err := eachEntry(filepath.Join(root, "etc", file), func(fields []string) {
		id, err := strconv.Atoi(fields[2])
		static := id <= 100 || id >= 60000 // base-passwd(8) gives these
		switch pin, ok := pinned[fields[0]]; {
		case err != nil:
			errs = append(errs, err)
		case !ok && !static:
			errs = append(errs, fmt.Errorf("etc/%s gives %s the id %d, which the profile does not pin: add it", file, fields[0], id))
		case ok && !static && id != pin:
			errs = append(errs, fmt.Errorf("etc/%s gives %s the id %d, the profile %d", file, fields[0], id, pin))
		}
	})
	return errors.Join(append(errs, err)...)
}

// verifyLocked makes sure that nobody logs in to a machine that has no seed.
func verifyLocked(root string) error {
	var errs []error
	err := eachEntry(filepath.Join(root, "etc/shadow"), func(fields []string) {
		if !strings.HasPrefix(fields[1], "*") && !strings.HasPrefix(fields[1], "!") {
			errs = append(errs, fmt.Errorf("%s can log in with a password", fields[0]))
		}
	})
	return errors.Join(append(errs, err)...)
}

func verifyNoLogs(root string) error {
	return filepath.WalkDir(filepath.Join(root, "var/log"), func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			err = fmt.Errorf("the tree holds a log: %s", name)
		}
		return err
	})
}

// eachEntry calls f with the fields of every line of a file such as passwd(5).
func eachEntry(name string, f func(fields []string)) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if fields := strings.Split(lines.Text(), ":"); len(fields) > 2 {
			f(fields)
		}
	}
	return lines.Err()
}
