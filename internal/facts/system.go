package facts

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// accounts reads the users of passwd(5) with their uids.
func accounts(passwd string) (map[string]int, error) {
	entries, err := AccountEntries(passwd, 7)
	if err != nil {
		return nil, err
	}
	uids := map[string]int{}
	for _, f := range entries {
		// What has no number is a compatibility entry of nsswitch.conf(5), "+::::::".
		if uid, err := strconv.Atoi(f[2]); err == nil {
			uids[f[0]] = uid
		}
	}
	return uids, nil
}

// groups reads the names of group(5).
func groups(group string) ([]string, error) {
	entries, err := AccountEntries(group, 4)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range entries {
		names = append(names, f[0])
	}
	return names, nil
}

// AccountEntries reads the lines of a colon-separated account file such as
// passwd(5). Those with another number of fields are compatibility entries of
// nsswitch.conf(5) and skipped. A file that is not there has none.
func AccountEntries(path string, fields int) ([][]string, error) {
	lines, err := readLines(path)
	if err != nil {
		return nil, err
	}
	var entries [][]string
	for _, l := range lines {
		if f := strings.Split(l, ":"); len(f) == fields {
			entries = append(entries, f)
		}
	}
	return entries, nil
}

// shells lists what shells(5) has and is there, and the programs that keep an
// account from a login, which are no shells to it.
func shells(root string) ([]string, error) {
	lines, err := readLines(filepath.Join(root, "etc/shells"))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, shell := range append(lines, "/usr/sbin/nologin", "/bin/false") {
		there, err := exists(filepath.Join(root, shell))
		if err != nil {
			return nil, err
		}
		if there {
			found = append(found, shell)
		}
	}
	return found, nil
}

// timezones lists the zones of a directory of tzfile(5). All begin with a capital,
// as in the IANA database, and what else is there does not: tables, localtime.
func timezones(zoneinfo string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(zoneinfo, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || path == zoneinfo {
			return err
		}
		capital := unicode.IsUpper(rune(e.Name()[0]))
		switch {
		case e.IsDir() && !capital:
			return fs.SkipDir
		case !e.IsDir() && capital:
			names = append(names, strings.TrimPrefix(path, zoneinfo+"/"))
		}
		return nil
	})
	return names, err
}

// locales lists what locale-gen(8) was told to generate, and glibc's own
// C.UTF-8. A locale's name leaves its character set out where there is but one,
// as in "sr_RS@latin UTF-8".
func locales(gen string) ([]string, error) {
	lines, err := readLines(gen)
	if err != nil {
		return nil, err
	}
	names := []string{"C.UTF-8"}
	for _, l := range lines {
		f := strings.Fields(l)
		if len(f) != 2 || f[1] != "UTF-8" {
			continue
		}
		name, modifier, modified := strings.Cut(f[0], "@")
		name = strings.TrimSuffix(name, ".UTF-8") + ".UTF-8"
		if modified {
			name += "@" + modifier
		}
		names = append(names, name)
	}
	return names, nil
}

// sshPorts are those of the lines Port of sshd_config(5) and of the directory that Debian
// includes in it.
func sshPorts(root string) ([]uint16, error) {
	files, err := filepath.Glob(filepath.Join(root, "etc/ssh/sshd_config.d/*.conf"))
	if err != nil {
		return nil, err
	}
	var ports []uint16
	for _, file := range append(files, filepath.Join(root, "etc/ssh/sshd_config")) {
		if file == filepath.Join(root, SSHPortFile) {
			continue
		}
		lines, err := readLines(file)
		if err != nil {
			return nil, err
		}
		for _, l := range lines {
			if f := strings.Fields(strings.Replace(l, "=", " ", 1)); len(f) > 1 && strings.EqualFold(f[0], "Port") {
				// What is no port is sshd's own to refuse.
				if port, err := strconv.ParseUint(strings.Trim(f[1], `"`), 10, 16); err == nil {
					ports = append(ports, uint16(port))
				}
			}
		}
	}
	return ports, nil
}

// readLines reads a file of a host's configuration without its comments and empty
// lines. A file that is not there has none.
func readLines(path string) ([]string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []string
	for l := range strings.Lines(string(content)) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			found = append(found, l)
		}
	}
	return found, nil
}
