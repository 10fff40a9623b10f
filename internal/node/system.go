package node

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

// journal is kept over a reboot, whose cause is in it, and within bounds.
func journal() []converge.Resource {
	const conf = "/etc/systemd/journald.conf.d/banyan.conf"
	return []converge.Resource{
		converge.Directory{Path: "/etc/systemd/journald.conf.d", Mode: 0o755},
		file(conf, banner+"[Journal]\nStorage=persistent\nSystemMaxUse=1G\nSystemKeepFree=1G\n"),
		converge.Unit{Name: "systemd-journald.service", Enabled: true, Running: true, RestartOn: []string{conf}},
	}
}

// limits are those of sessions; services have theirs in their units.
func limits(n seeds.NoFile) []converge.Resource {
	return []converge.Resource{file("/etc/security/limits.d/90-banyan.conf", banner+fmt.Sprintf(
		"postgres soft nofile %d\npostgres hard nofile %d\npostgres hard core 0\n", n.Soft, n.Hard))}
}

// clock keeps the time by chrony. A member whose clock is far off fails TLS, and so is
// stepped to the right time at any moment of its first minutes.
func clock(servers []string) []converge.Resource {
	const conf = "/etc/chrony/chrony.conf"
	sources := []string{"pool 2.debian.pool.ntp.org iburst"}
	if len(servers) > 0 {
		sources = nil
	}
	for _, server := range servers {
		sources = append(sources, "server "+server+" iburst")
	}
	text := banner + lines(sources) + `confdir /etc/chrony/conf.d
sourcedir /run/chrony-dhcp
sourcedir /etc/chrony/sources.d
keyfile /etc/chrony/chrony.keys
driftfile /var/lib/chrony/chrony.drift
ntsdumpdir /var/lib/chrony
logdir /var/log/chrony
maxupdateskew 100.0
rtcsync
makestep 1 3
`
	return []converge.Resource{
		file(conf, text),
		converge.Unit{Name: "chrony.service", Enabled: true, Running: true, RestartOn: []string{conf}},
	}
}

// caDir holds what the system trusts besides the distribution's authorities. It is not
// update-ca-certificates' own place, which is in the read-only root.
const caDir = "/etc/banyan/ca-certificates"

// trust adds the cluster's authority, and those of the seed, to those of the system.
func trust(p seeds.PKI, more []seeds.PEM) []converge.Resource {
	resources := []converge.Resource{
		ownDirectory,
		converge.Directory{Path: caDir, Mode: 0o755},
	}
	store := converge.TrustStore{Dir: caDir}
	for _, certificates := range append([]seeds.PEM{p.CA}, more...) {
		for block, rest := pem.Decode([]byte(certificates)); block != nil; block, rest = pem.Decode(rest) {
			// OpenSSL wants one certificate in a file, and no two names for one.
			name := fmt.Sprintf("%x.crt", sha256.Sum256(block.Bytes))
			if !slices.Contains(store.Names, name) {
				store.Names = append(store.Names, name)
				resources = append(resources, file(caDir+"/"+name, string(pem.EncodeToMemory(block))))
			}
		}
	}
	return append(resources, store)
}

// checkSSH refuses a host whose sshd listens elsewhere too: ports add up, and the firewall
// lets in the seed's alone.
func checkSSH(port uint16, f facts.Facts) error {
	for _, other := range f.SSHPorts {
		if other != port {
			return fmt.Errorf("system.ssh_port: it is %d, and /etc/ssh has sshd listen on %d: write that port, or take its Port line away", port, other)
		}
	}
	return nil
}

// proxy is for apt, on a host that has packages of its own. A proxy without a password is
// told to everybody, see environment.
func proxy(p seeds.Proxy) []converge.Resource {
	const apt = "/etc/apt/apt.conf.d/90-banyan-proxy"
	if p.HTTP == "" && p.HTTPS == "" {
		return []converge.Resource{converge.Absent{Path: apt}}
	}
	var conf []string
	for _, v := range []struct{ scheme, proxy string }{{"http", p.HTTP.Reveal()}, {"https", p.HTTPS.Reveal()}} {
		if v.proxy != "" {
			conf = append(conf, fmt.Sprintf("Acquire::%s::Proxy \"%s\";", v.scheme, v.proxy))
		}
	}
	f := file(apt, "//"+strings.TrimPrefix(banner, "#")+lines(conf))
	if !public(p) {
		f.Mode, f.Secret = 0o600, true
	}
	return []converge.Resource{f}
}

// proxyVariables are what programs look for, see curl(1).
func proxyVariables(p seeds.Proxy) string {
	var b strings.Builder
	for _, v := range []struct{ name, value string }{
		{"http_proxy", p.HTTP.Reveal()}, {"https_proxy", p.HTTPS.Reveal()}, {"no_proxy", strings.Join(p.No, ",")},
	} {
		if v.value != "" {
			fmt.Fprintf(&b, "%s=%s\n", v.name, v.value)
		}
	}
	return b.String()
}

// public tells whether no proxy's address has a password in it.
func public(p seeds.Proxy) bool {
	for _, via := range []seeds.Secret{p.HTTP, p.HTTPS} {
		if u, err := url.Parse(via.Reveal()); err != nil || u.User != nil {
			return false
		}
	}
	return true
}
