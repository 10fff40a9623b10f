package seeds

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"banyan/internal/strict"
)

// document is a seed as it was written.
type document struct{ *strict.Document }

// check notes what breaks the rules that types alone cannot say.
func (d document) check(s Seed) {
	d.boundNetwork("network.", &s.Network)
	for i := range s.Nodes {
		d.boundNetwork(fmt.Sprintf("nodes[%d].network.", i), &s.Nodes[i].Network)
	}
	d.checkCluster(s.Cluster)
	d.checkSites(s)
	d.checkDNS(s)
	d.checkDNSCP(s)
	d.checkNodes(s)
	d.checkMembers(s)
	d.checkSections("", s, s.sections())
	byName := map[string]*Node{}
	for i := range s.Nodes {
		byName[s.Nodes[i].Name] = &s.Nodes[i]
	}
	for i, n := range s.Nodes {
		node := fmt.Sprintf("nodes[%d].", i)
		d.checkSections(node, s, n.sections())
		d.checkShared(node)
		d.checkPorts(node, s, n)
		d.checkTags(node, n, byName)
		d.checkVolumes(node, s, n)
		d.checkLinks(node, n)
		d.checkReplicaMethods(node, n)
	}
	d.checkPKI(s)
	d.checkSecrets(s)
}

// sections are those that stand in the document and below each node.
type sections struct {
	PostgreSQL PostgreSQL
	Patroni    Patroni
	Etcd       Etcd
	HAProxy    HAProxy
	System     System
	Firewall   Firewall
	Storage    Storage
	Network    Network
}

func (s Seed) sections() sections {
	return sections{s.PostgreSQL, s.Patroni, s.Etcd, s.HAProxy, s.System, s.Firewall, s.Storage, s.Network}
}

func (n Node) sections() sections {
	return sections{n.PostgreSQL, n.Patroni, n.Etcd, n.HAProxy, n.System, n.Firewall, n.Storage, n.Network}
}

// checkSections checks the sections of the document, or those of a node, whose
// paths begin with prefix. What a node inherits is not given there, so that it is
// refused but once, and a section that it has not is not looked at.
func (d document) checkSections(prefix string, s Seed, of sections) {
	for _, section := range []struct {
		key   string
		check func(prefix string)
	}{
		{"postgresql", func(prefix string) { d.checkPostgreSQL(prefix, of.PostgreSQL) }},
		{"patroni", func(prefix string) { d.checkPatroni(prefix, s, of.Patroni) }},
		{"etcd", func(prefix string) { d.checkEtcd(prefix, s.Cluster.DCS, of.Etcd) }},
		{"haproxy", func(prefix string) { d.checkHAProxy(prefix, of.HAProxy) }},
		{"system", func(prefix string) { d.checkSystem(prefix, of.System) }},
		{"firewall", func(prefix string) { d.checkFirewall(prefix, of.Firewall) }},
		{"storage", func(prefix string) { d.checkStorage(prefix, of.Storage) }},
		{"network", func(prefix string) { d.checkNetwork(prefix, of.Network) }},
	} {
		if d.HasKey(prefix + section.key) {
			section.check(prefix + section.key + ".")
		}
	}
}

// checkComplete notes which secrets the nodes that the seed is for would miss.
func (d document) checkComplete(s Seed) {
	var required []string
	if slices.ContainsFunc(s.Own(), func(n Node) bool { return n.Runs(ServicePostgreSQL) }) {
		required = append(required, "superuser_password", "replication_password", "rewind_password")
		switch s.DNS.Auth {
		case DNSAuthGSSTSIG:
			required = append(required, "dns_password")
		case DNSAuthTSIG:
			required = append(required, "tsig_secret")
		}
	}
	if slices.ContainsFunc(s.Own(), s.IsRaftMember) {
		required = append(required, "raft_password")
	}
	if required != nil && !d.HasKey("secrets") {
		d.Require("secrets", "keys with values, which `build seed mint` makes")
		return
	}
	for _, key := range required {
		d.Require("secrets."+key, "text")
	}
}

// given is the first of paths that the document gives. It is where a rule about
// several values is shown to be broken; if none is given, nothing is shown.
func (d document) given(paths ...string) string {
	i := slices.IndexFunc(paths, func(path string) bool { return path != "" && d.Given(path) })
	return paths[max(i, 0)]
}

// checkRange refuses a number that is not among those from least to most, in a unit.
func (d document) checkRange(path string, value, least, most int64, unit string) {
	if unit != "" {
		unit = " " + unit
	}
	key := path[strings.LastIndexByte(path, '.')+1:]
	switch {
	case value >= least && value <= most:
	case most == math.MaxInt64:
		d.Refuse(path, "%s of %d%s is out of range: use %d%s or more", key, value, unit, least, unit)
	default:
		d.Refuse(path, "%s of %d%s is out of range: use %d to %d%s", key, value, unit, least, most, unit)
	}
}

// checkTwice refuses what is in a list a second time.
func checkTwice[T comparable](d document, path string, list []T, what func(T) string) {
	if !d.HasKey(path) {
		return
	}
	seen := map[T]bool{}
	for i, item := range list {
		if seen[item] {
			d.Refuse(fmt.Sprintf("%s[%d]", path, i), "%s is listed twice", what(item))
		}
		seen[item] = true
	}
}

// meant is the advice after a value that is none of those known: the one that was
// probably meant, or what to do else.
func meant(given string, known []string, otherwise string) string {
	const most = 1000 // to compare with: what is meant is near, and no file takes long
	if name := strict.Nearest(given, known[:min(len(known), most)]); name != "" {
		return fmt.Sprintf(", did you mean %q?", name)
	}
	return otherwise
}

func plain[T ~string](text T) string { return string(text) }

// checkTogether refuses one of a pair without the other: what a and b are keys of
// has them at these values.
func (d document) checkTogether(prefix, a, valueA, b, valueB string) {
	switch {
	case valueA != "" && valueB == "" && !d.Malformed(prefix+b):
		d.Refuse(prefix+a, "%[1]s needs %[2]s: set both, or remove %[1]s", a, b)
	case valueA == "" && valueB != "" && !d.Malformed(prefix+a):
		d.Refuse(prefix+b, "%[1]s needs %[2]s: set both, or remove %[1]s", b, a)
	}
}

// label is a label of a host name: RFC 952 and RFC 1123, 2.1 for the characters,
// RFC 1035, 2.3.4 for the length.
const label = `[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?`

var (
	clusterName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	hostName    = regexp.MustCompile(`^` + label + `(\.` + label + `)*$`)
	hostLabel   = regexp.MustCompile(`^` + label + `$`)
	allDigits   = regexp.MustCompile(`^([0-9]+\.)*[0-9]+$`)
	// plainPath is an absolute path that means the same to every program.
	plainPath = regexp.MustCompile(`^(/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)+$`)
)

func isDomain(name string) bool { return hostName.MatchString(name) && len(name) <= 253 }

// wrongHost says why a host is neither a name nor an address that can be reached, or "".
func wrongHost(host string) string {
	a, err := netip.ParseAddr(host)
	switch {
	case err == nil && unusable(a) != "":
		return fmt.Sprintf("%s is %s", a, unusable(a))
	case err != nil && (!isDomain(host) || allDigits.MatchString(host)):
		return quote(host) + " is neither an address nor the name of a host"
	}
	return ""
}

// checkHosts holds a list to hosts, each once.
func (d document) checkHosts(path string, hosts []string) {
	if !d.HasKey(path) {
		return
	}
	for i, host := range hosts {
		if wrong := wrongHost(host); wrong != "" {
			d.Refuse(fmt.Sprintf("%s[%d]", path, i), "%s", wrong)
		}
	}
	checkTwice(d, path, hosts, quote)
}

// checkDirectory refuses a path that is relative, or of the system.
func (d document) checkDirectory(path, directory string) {
	switch top, _, below := strings.Cut(strings.TrimPrefix(directory, "/"), "/"); {
	case !plainPath.MatchString(directory):
		d.Refuse(path, "%s is not a directory's absolute path, such as /var/lib/pgdata", quote(directory))
	case !below, systemDirectories[top]:
		d.Refuse(path, "%s is the system's: write a directory of its own, such as /var/lib/pgdata", directory)
	}
}

// systemDirectories are those at the root that no data is kept below.
var systemDirectories = map[string]bool{
	"bin": true, "boot": true, "dev": true, "etc": true, "lib": true, "lib64": true, "proc": true, "run": true, "sbin": true, "sys": true, "tmp": true, "usr": true,
}

// checkCluster holds the name to what all its bearers take: a DNS label, a node of a
// path in etcd, and cluster_name of PostgreSQL (printable ASCII, at most 63
// bytes). Patroni's scope minds case and DNS does not, so there is only one case.
func (d document) checkCluster(c Cluster) {
	if !clusterName.MatchString(c.Name) {
		d.Refuse("cluster.name", "%s cannot name a cluster: use 1 to 63 lower-case letters, digits and hyphens, with no hyphen first or last", quote(c.Name))
	}
	d.checkRange("cluster.generation", int64(c.Generation), 0, math.MaxInt64, "")
	if c.DCS == DCSExternal {
		if !d.HasKey("etcd") {
			d.Require("etcd", "the endpoints of the external etcd below it")
		} else {
			d.Require("etcd.endpoints", "a list of the members of etcd, such as [https://etcd1.example.org:2379]")
		}
	}
}
