package facts

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"banyan/seeds"
)

// Version is how the version of a program begins. It is zero for a program that
// is of no package: such a one is taken for new.
type Version struct{ Major, Minor int }

// Before tells whether v is known to be older than that.
func (v Version) Before(major, minor int) bool {
	return v != Version{} && (v.Major < major || v.Major == major && v.Minor < minor)
}

// Versions is what is known of the versions on the machine, for a report.
func (f Facts) Versions() map[string]string {
	all := map[string]string{}
	for name, v := range map[string]Version{
		"etcd": f.Etcd, "haproxy": f.HAProxy, "kernel": f.Kernel, "nftables": f.NFTables, "patroni": f.Patroni, "systemd": f.Systemd,
	} {
		if v != (Version{}) {
			all[name] = v.String()
		}
	}
	if len(f.PostgreSQL) > 0 {
		all["postgresql"] = seeds.Words(f.PostgreSQL)
	}
	return all
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// ParseVersion reads the upstream part of a deb-version(7), such as
// 1:3.3.25+dfsg-6. What does not begin with a number has none.
func ParseVersion(s string) (v Version) {
	if _, upstream, ok := strings.Cut(s, ":"); ok {
		s = upstream
	}
	if n, _ := fmt.Sscanf(s, "%d.%d", &v.Major, &v.Minor); n == 0 {
		return Version{}
	}
	return v
}

// installed reads dpkg's database: the versions of the packages whose files are
// there. On a host without dpkg there are none.
func installed(status string) (map[string]Version, error) {
	f, err := os.Open(status)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	versions := map[string]Version{}
	name := ""
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // a list of dependencies is one line
	for lines.Scan() {
		switch key, value, _ := strings.Cut(lines.Text(), ": "); key {
		case "Package":
			name = value
		case "Status": // before the version
			if !strings.HasSuffix(value, " installed") {
				name = ""
			}
		case "Version":
			if name != "" {
				versions[name] = ParseVersion(value)
			}
		}
	}
	return versions, lines.Err()
}
