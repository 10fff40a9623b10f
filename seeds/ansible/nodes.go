package ansible

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"banyan/seeds"
)

// node is a host of the inventory that is to be built.
type node struct {
	*host
	name     string
	address  netip.Prefix // of no use where it is missing
	services []string
	yaml     *yaml.Node
}

func (n *node) runs(service string) bool { return slices.Contains(n.services, service) }

// chooseDCS says which store the variables ask for. An etcd that stands already is
// external, unless it runs on the very machines that are to be built anew.
func (im *importer) chooseDCS() {
	kind, exists := im.word("dcs_type"), im.yes("dcs_exists")
	etcd, built := im.inventory.members("etcd_cluster"), im.built()
	v, given := im.find("dcs_type")
	from := origin{"dcs_type", v.at}
	switch {
	case kind == "patroni":
		im.dcs = "raft"
		im.needed(from, "cluster.dcs", "Patroni deprecates its raft: change cluster.dcs to etcd, unless this cluster has to stay as it is")
		if exists {
			im.changed(from, "cluster.dcs", "dcs_exists counts with etcd only")
		}
	case kind != "etcd" && given:
		im.missing("dcs_type", v.at, "expected etcd or patroni")
	case !given:
		im.dcs = "etcd"
		im.note(&im.report.Changed, "dcs_type", place{}, "cluster.dcs", "not given: etcd on the nodes")
	case exists && len(etcd) > 0 && !slices.ContainsFunc(etcd, func(h *host) bool { return !slices.Contains(built, h) }):
		im.dcs = "etcd"
		im.changed(origin{"dcs_exists", im.variables["dcs_exists"].at}, "cluster.dcs",
			"all hosts of [etcd_cluster] are built anew, and their etcd with them: it becomes this cluster's own")
	case exists:
		im.dcs = "external"
	default:
		im.dcs = "etcd"
	}
	im.set(from, text(im.dcs), "cluster", "dcs")
}

// built are the hosts that are built whatever the DCS: those of PostgreSQL, the master
// first, and the balancers.
func (im *importer) built() []*host {
	if im.yes("with_haproxy_load_balancing") {
		return im.hostsOf("master", "replica", "postgres_cluster", "balancers")
	}
	return im.databases()
}

// databases are the hosts of PostgreSQL.
func (im *importer) databases() []*host { return im.hostsOf("master", "replica", "postgres_cluster") }

// hostsOf are the hosts of groups, each once.
func (im *importer) hostsOf(groups ...string) []*host {
	var hosts []*host
	for _, name := range groups {
		for _, h := range im.inventory.members(name) {
			if !slices.Contains(hosts, h) {
				hosts = append(hosts, h)
			}
		}
	}
	return hosts
}

// makeNodes writes the nodes with what they run.
func (im *importer) makeNodes() {
	im.chooseDCS()
	services := map[*host][]string{}
	var hosts []*host
	run := func(service string, groups ...string) {
		for _, group := range groups {
			for _, h := range im.inventory.members(group) {
				if !slices.Contains(services[h], service) {
					services[h] = append(services[h], service)
				}
				if !slices.Contains(hosts, h) {
					hosts = append(hosts, h)
				}
			}
		}
	}
	run("postgresql", "master", "replica", "postgres_cluster")
	if len(hosts) == 0 {
		im.missing("", place{file: im.in.Inventory.Name}, "no host is in [master], [replica] or [postgres_cluster]")
	}
	if im.dcs == "etcd" {
		if run("etcd", "etcd_cluster"); len(im.inventory.members("etcd_cluster")) == 0 {
			run("etcd", "master", "replica", "postgres_cluster")
			im.note(&im.report.Changed, "", place{file: im.in.Inventory.Name}, "nodes[].services", "[etcd_cluster] has no host: etcd runs on the nodes of PostgreSQL")
		}
	}
	if im.dcs == "raft" && im.yes("with_patroni_raft_controller") {
		run("witness", "patroni_raft_controller")
	}
	if im.yes("with_haproxy_load_balancing") {
		run("haproxy", "balancers")
	}
	for _, h := range hosts {
		im.nodes = append(im.nodes, &node{host: h, services: services[h]})
	}
	im.nameNodes()
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, n := range im.nodes {
		from := origin{"", n.at}
		n.address = im.addressOf(n)
		n.yaml = &yaml.Node{Kind: yaml.MappingNode}
		im.cluster.set(n.yaml, from, text(n.name), "name")
		im.cluster.set(n.yaml, from, text(n.address.String()), "address")
		for _, gateway := range im.in.Gateways {
			if n.address.Contains(gateway) {
				im.cluster.set(n.yaml, from, text(gateway.String()), "gateway")
			}
		}
		byDefault := []string{"postgresql"}
		if im.dcs == "etcd" {
			byDefault = append(byDefault, "etcd")
		}
		if !slices.Equal(n.services, byDefault) {
			im.cluster.set(n.yaml, from, words(n.services...), "services")
		}
		list.Content = append(list.Content, n.yaml)
	}
	im.set(origin{"", place{file: im.in.Inventory.Name}}, list, "nodes")
	im.reportHosts(hosts)
	im.checkAnswers()
}

// nameNodes gives each node a host name: the first label of what the inventory calls
// it, as pgsql_cluster takes ansible_hostname for the name of Patroni's member.
func (im *importer) nameNodes() {
	taken := map[string]int{}
	for _, n := range im.nodes {
		n.name = n.host.name
		if name, given := im.in.Names[n.host.name]; given {
			n.name = name
		} else if net.ParseIP(n.name) != nil {
			im.missing("", n.at, "%s is known by its address only: say --name %s=NAME", n.name, n.name)
			continue
		}
		n.name, _, _ = strings.Cut(n.name, ".")
		taken[strings.ToLower(n.name)]++
	}
	for _, n := range im.nodes {
		if taken[strings.ToLower(n.name)] > 1 {
			n.name = n.host.name
		}
		if _, given := im.in.Names[n.host.name]; !given && n.name != n.host.name {
			im.note(&im.report.Changed, n.host.name, n.at, "nodes[].name", n.name+", as pgsql_cluster names the member of Patroni")
		}
	}
}

// addressOf is the address of a node, with its prefix length.
func (im *importer) addressOf(n *node) netip.Prefix {
	for _, name := range []string{n.host.name, n.name} {
		if p, given := im.in.Addresses[name]; given {
			return p
		}
	}
	written := im.reachedBy(n.host)
	address, err := netip.ParseAddr(written)
	if err != nil {
		im.missing("", n.at, "the address of %s is not known: say --address %s=ADDRESS/PREFIX, such as 172.16.32.11/24", n.host.name, n.host.name)
		return netip.Prefix{}
	}
	for _, subnet := range im.in.Subnets {
		if subnet.Contains(address) {
			return netip.PrefixFrom(address, subnet.Bits())
		}
	}
	im.missing("", n.at, "the subnet of %s, %s, is not known: say --subnet NETWORK/PREFIX, such as 172.16.32.0/24", n.host.name, address)
	return netip.Prefix{}
}

// reachedBy is what Ansible reaches a host by: a name or an address.
func (im *importer) reachedBy(h *host) string {
	for _, name := range []string{"ansible_host", "ansible_ssh_host"} {
		said, ok := h.lookup(name)
		if !ok {
			continue
		}
		v := im.template(said.text, said.at)
		if v.kind == scalar {
			return v.text
		}
		im.warn(origin{name, said.at}, "cannot be resolved: %s", v.text)
	}
	return h.name
}

// checkAnswers reports answers to questions that nobody asked.
func (im *importer) checkAnswers() {
	known := map[string]bool{}
	for _, n := range im.nodes {
		known[n.name] = true
	}
	for _, h := range im.inventory.hosts {
		known[h.name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(im.in.Addresses)) {
		if !known[name] {
			im.missing("", place{}, "--address %s: the inventory has no such host", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(im.in.Names)) {
		if !known[name] {
			im.missing("", place{}, "--name %s: the inventory has no such host", name)
		}
	}
	if len(im.in.Gateways) == 0 {
		im.note(&im.report.Needed, "", place{}, "nodes[].gateway", "the routers are not in these files: say --gateway ADDRESS, or write them")
	}
	im.note(&im.report.Needed, "", place{}, "network.dns", "the name servers are not in these files: write them, and network.domains")
}

// hostVariables are those that the inventory says of a host, and what becomes of them.
var hostVariables = map[string]string{
	"ansible_host":      "nodes[].address",
	"ansible_ssh_host":  "nodes[].address",
	"postgresql_exists": "postgresql.existing",
}

// reportHosts says what becomes of hosts that are not built, and of what the inventory
// says of one host or of a group.
func (im *importer) reportHosts(built []*host) {
	for _, h := range im.inventory.hosts {
		if slices.Contains(built, h) {
			continue
		}
		why := "none of its groups is installed by these variables"
		if im.dcs == "external" && slices.Contains(h.in, "etcd_cluster") {
			why = "its etcd stands already: see etcd.endpoints"
		}
		im.note(&im.report.None, h.name, h.at, "", why)
	}
	reported := map[place]map[string]bool{}
	for _, h := range im.inventory.hosts {
		for _, v := range h.vars {
			if v.group == "all" || reported[v.at][v.name] {
				continue
			}
			if reported[v.at] == nil {
				reported[v.at] = map[string]bool{}
			}
			reported[v.at][v.name] = true
			im.reportHostVariable(h, v)
		}
	}
}

func (im *importer) reportHostVariable(h *host, v hostVar) {
	whose := h.name
	if v.group != "" {
		whose = "[" + v.group + "]"
	}
	found, known := tableRow(v.name)
	key := found.Key
	if i := slices.IndexFunc(table, func(r row) bool { return strings.HasPrefix(r.Variable, v.name+".") }); !known && i >= 0 {
		key, _, _ = strings.Cut(table[i].Key, "."+lastOf(table[i].Key))
	}
	counts, said := im.variables[v.name]
	switch own := hostVariables[v.name]; {
	case own != "nodes[].address" && counts.node != nil:
		if slices.ContainsFunc(im.report.Changed, func(e Entry) bool { return e.Variable == v.name && e.at == v.at }) {
			return // read said so
		}
		im.note(&im.report.Changed, v.name, v.at, "", fmt.Sprintf("%s says it again, which counts", counts.at))
	case own != "":
		im.note(&im.report.Taken, v.name, v.at, own, "")
	case known && found.take == nil && key == "":
		im.note(&im.report.None, v.name, v.at, "", found.Note)
	case said && counts.at == v.at: // it is the cluster's, and reported as such
	case said && counts.text == v.text:
		im.note(&im.report.Taken, v.name, v.at, key, "")
	case (known || hasMembers(v.name)) && !seeds.BelowNode(key):
		im.note(&im.report.Needed, v.name, v.at, key, fmt.Sprintf("said of %s alone, and it is the whole cluster's: write it there if all are meant", whose))
	case known || hasMembers(v.name):
		im.note(&im.report.Needed, v.name, v.at, key, fmt.Sprintf("said of %s alone: write it below its node", whose))
	default:
		im.note(&im.report.None, v.name, v.at, "", unknownVariable)
	}
}

// makeDCS writes what goes with the DCS.
func (im *importer) makeDCS() {
	if im.dcs != "external" {
		return
	}
	port, protocol := im.word("patroni_etcd_hosts.port"), im.word("patroni_etcd_hosts.protocol")
	if port == "" {
		port = strconv.Itoa(seeds.EtcdClientPort)
	}
	if protocol == "" {
		protocol = "https"
	}
	endpoints := &yaml.Node{Kind: yaml.SequenceNode}
	for _, h := range im.inventory.members("etcd_cluster") {
		written := im.reachedBy(h)
		endpoints.Content = append(endpoints.Content, text(protocol+"://"+net.JoinHostPort(written, port)))
	}
	from := origin{"dcs_exists", im.variables["dcs_exists"].at}
	if len(endpoints.Content) == 0 {
		im.missing("dcs_exists", from.at, "an etcd stands already, and [etcd_cluster] does not say where")
		return
	}
	im.set(from, endpoints, "etcd", "endpoints")
	im.needed(from, "etcd.cacert, etcd.cert, etcd.key", "write the certificates that this etcd takes; those of pgsql_cluster are in pki_cert_artifacts_dir")
}

// makeSites writes the subnets of the nodes with their VIPs, where there are VIPs or
// several subnets.
func (im *importer) makeSites() {
	var addresses []netip.Prefix
	for _, n := range im.nodes {
		addresses = append(addresses, n.address)
	}
	made, subnets := seeds.SitesOf(addresses)
	vips := map[netip.Prefix][]string{}
	from := origin{"cluster_vip", im.variables["cluster_vip"].at}
	for written := range strings.SplitSeq(im.word("cluster_vip"), ",") {
		if written = strings.TrimSpace(written); written == "" {
			continue
		}
		address, err := netip.ParseAddr(written)
		at := slices.IndexFunc(subnets, func(p netip.Prefix) bool { return p.Contains(address) })
		switch {
		case err != nil:
			im.needed(from, "sites[].vips", "%q is not an address", written)
		case at < 0 && slices.ContainsFunc(im.nodes, func(n *node) bool { return !n.address.IsValid() }): // that comes first
		case at < 0:
			im.needed(from, "sites[].vips", "%s is in the subnet of no node, and is left out: %s", address, seeds.Words(subnets))
		default:
			vips[subnets[at]] = append(vips[subnets[at]], address.String())
		}
	}
	if len(vips) == 0 && len(subnets) < 2 {
		return
	}
	sites := &yaml.Node{Kind: yaml.SequenceNode}
	for _, m := range made {
		site := &yaml.Node{Kind: yaml.MappingNode}
		im.cluster.set(site, origin{"", place{}}, text(m.Name), "name")
		im.cluster.set(site, origin{"", place{}}, text(m.Subnet.String()), "subnet")
		if vips[m.Subnet] != nil {
			im.cluster.set(site, from, words(vips[m.Subnet]...), "vips")
		}
		sites.Content = append(sites.Content, site)
	}
	im.set(origin{"", place{file: im.in.Inventory.Name}}, sites, "sites")
}
