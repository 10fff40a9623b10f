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

// identity is who the node is: its name, those of its peers, time zone, language, and
// what its shells know of the cluster.
func identity(s seeds.Seed, self seeds.Node, f facts.Facts) []converge.Resource {
	return []converge.Resource{
		file("/etc/hostname", self.Name+"\n"),
		converge.Hostname{Name: self.Name},
		file("/etc/hosts", hosts(s)),
		converge.Symlink{Path: "/etc/localtime", Target: "/usr/share/zoneinfo/" + self.System.Timezone},
		file("/etc/timezone", self.System.Timezone+"\n"),
		file("/etc/locale.conf", "LANG="+self.System.Locale+"\n"),
		converge.Symlink{Path: "/etc/default/locale", Target: "../locale.conf"},
		file("/etc/environment", environment(s, self, f)),
	}
}

// hosts names every node by the address that its peers reach it by, so that no
// member needs a name server. Debian's 127.0.1.1 is left out: a member that
// looked itself up would then tell its peers to reach it there.
func hosts(s seeds.Seed) string {
	var b strings.Builder
	b.WriteString(banner)
	b.WriteString("127.0.0.1 localhost\n")
	b.WriteString("::1 localhost ip6-localhost ip6-loopback\n")
	b.WriteString("ff02::1 ip6-allnodes\n")
	b.WriteString("ff02::2 ip6-allrouters\n")
	for _, n := range s.Nodes {
		fmt.Fprintf(&b, "%s %s\n", n.Address.Addr(), n.Name)
	}
	return b.String()
}

// patronictlConfig is the variable by which patronictl(1) finds its configuration.
const patronictlConfig = "PATRONICTL_CONFIG_FILE"

// environment is what all sessions get, see pam_env(8).
func environment(s seeds.Seed, self seeds.Node, f facts.Facts) string {
	text := banner
	if self.Runs(seeds.ServicePostgreSQL) {
		text += patronictlConfig + "=" + patroniConfig + "\n"
	}
	if public(self.System.Proxy) {
		text += proxyVariables(self.System.Proxy)
	}
	return text + lines(etcdctlVariables(s, self, abilities(f)))
}

// checkIdentity refuses a time zone and a locale that this machine lacks: it would
// have UTC and C for them, without a word.
func checkIdentity(s seeds.System, f facts.Facts) error {
	var errs []error
	if !slices.Contains(f.Timezones, s.Timezone) {
		errs = append(errs, fmt.Errorf("system.timezone: this machine has no /usr/share/zoneinfo/%s; write a zone such as Europe/Moscow", s.Timezone))
	}
	if !hasLocale(f.Locales, s.Locale) {
		errs = append(errs, fmt.Errorf("system.locale: %s was not generated; this machine has %s", s.Locale, strings.Join(f.Locales, ", ")))
	}
	return errors.Join(errs...)
}

// hasLocale minds that glibc takes utf8 and UTF-8 for one.
func hasLocale(generated []string, name string) bool {
	return slices.Contains(generated, strings.Replace(name, ".utf8", ".UTF-8", 1))
}
