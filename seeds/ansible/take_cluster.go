package ansible

import (
	"path"
	"regexp"
	"strings"
)

var notInLabel = regexp.MustCompile(`[^a-z0-9-]+`)

// labelOf is a name as a label of DNS, in lower case.
func labelOf(name string) string {
	return strings.Trim(notInLabel.ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// takeClusterName: a seed has the name in lower case, since DNS minds no case.
func takeClusterName(im *importer, from origin, v value) {
	written, ok := im.single(from, v)
	if !ok || im.in.ClusterName != "" {
		return
	}
	name := labelOf(written)
	if name == "" {
		im.missing(from.variable, from.at, "it makes no name: say --cluster-name NAME")
		return
	}
	im.set(from, text(name), "cluster", "name")
	if name != written {
		im.changed(from, "cluster.name", "%s instead of %s, and Patroni minds case: to it this is another cluster, with a state of its own in the DCS. "+
			"Data that is taken over keeps its system identifier; stop the Patroni of the old name everywhere before", name, shown(written))
	}
}

// published are the passwords that pgsql_cluster's own files have.
var published = map[string]bool{"Password": true, "Password2": true, "Password3": true, "Password4": true}

func takeSecret(im *importer, from origin, v value) {
	plain(im, from, v)
	r, _ := tableRow(from.variable)
	if v.kind == scalar && published[v.text] {
		im.needed(from, r.Key, "it is the password that pgsql_cluster publishes: change it")
	}
}

// takeName reports a name that a node has otherwise.
func takeName(ours string) func(*importer, origin, value) {
	return func(im *importer, from origin, v value) {
		r, _ := tableRow(from.variable)
		written, ok := im.single(from, v)
		switch {
		case !ok:
		case written == ours:
			im.none(from, "%s", r.Note)
		default:
			im.needed(from, "", "%s, and these files say %s: what goes by that name has to be changed", r.Note, shown(written))
		}
	}
}

// takeDNS writes the name that follows the leader. pgsql_cluster has one only where
// there is a VIP.
func takeDNS(im *importer, from origin, v value) {
	if im.word("cluster_vip") == "" {
		im.none(from, "without cluster_vip pgsql_cluster writes no name")
		return
	}
	switch from.variable {
	case "dnscp.vcompname":
		written, ok := im.single(from, v)
		if !ok {
			return
		}
		name := labelOf(written)
		im.set(from, text(name), "dns", "name")
		switch {
		case strings.ToLower(written) != name:
			im.needed(from, "dns.name", "%s instead of %s, which is no name of a host: clients, and the account of the virtual computer, have to follow", name, shown(written))
		case written != name:
			im.changed(from, "dns.name", "in lower case: to DNS and to Active Directory it is the same name")
		}
	case "dnscp.dnsserver":
		commas(im, from, v)
	case "dnscp.ttl":
		numeric(im, from, v)
	default:
		plain(im, from, v)
	}
}

func takeDNSPassword(im *importer, from origin, v value) {
	if im.word("cluster_vip") == "" {
		im.none(from, "without cluster_vip pgsql_cluster writes no name")
		return
	}
	takeSecret(im, from, v)
	if v.kind == scalar && v.text != "" {
		im.set(from, text("gss-tsig"), "dns", "auth")
	}
}

// takeRaft writes what only raft has. Its journal cannot be below /etc, which is
// computed anew at every boot.
func takeRaft(im *importer, from origin, v value) {
	switch {
	case im.dcs != "raft":
		im.none(from, "it counts with dcs_type patroni only")
	case from.variable == "patroni_raft_password":
		takeSecret(im, from, v)
	case from.variable == "patroni_raft_port":
		numeric(im, from, v)
	case v.kind == scalar && (path.Clean(v.text) == "/etc" || strings.HasPrefix(path.Clean(v.text), "/etc/")):
		im.changed(from, "patroni.raft.data_dir", "/etc is computed anew at every boot: the default instead")
	default:
		plain(im, from, v)
	}
}

func takeControllerPort(im *importer, from origin, v value) {
	switch {
	case im.dcs != "raft":
		im.none(from, "it counts with dcs_type patroni only")
	case v.text != im.word("patroni_raft_port"):
		im.changed(from, "patroni.raft.port", "all members have the port of patroni_raft_port")
	default:
		im.note(&im.report.Taken, from.variable, from.at, "patroni.raft.port", "")
	}
}

func takeToken(im *importer, from origin, v value) {
	if im.dcs != "etcd" {
		im.none(from, "it counts for an etcd of this cluster only")
		return
	}
	plain(im, from, v)
}

// takeInterface: an image may call an interface otherwise than the system before it.
func takeInterface(im *importer, from origin, v value) {
	written, ok := im.single(from, v)
	switch {
	case !ok:
	case strings.HasPrefix(written, "eth") && !strings.Contains(written, "."):
		im.none(from, "a node takes its only interface; where it has several, write network.interface with the name or the MAC address")
	default:
		im.needed(from, "network.interface", "%s: write how it is made, under network.bonds or network.vlans, or which interface it is", shown(written))
	}
}

func takeFork(im *importer, from origin, v value) {
	written, ok := im.single(from, v)
	switch {
	case !ok:
	case written == "PostgreSQL":
		im.none(from, "PostgreSQL is what an image has")
	default:
		im.needed(from, "", "%s: build the image of a profile that has it, in the version of postgresql_version; data of it cannot be opened by PostgreSQL", shown(written))
	}
}

// takeExternal: see makeDCS.
func takeExternal(im *importer, from origin, _ value) {
	if im.dcs != "external" {
		im.none(from, "it counts for an etcd that stands already only")
		return
	}
	im.note(&im.report.Taken, from.variable, from.at, "etcd.endpoints", "")
}
