package ansible

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"banyan/seeds"
)

// imageLocales are those that pgsql_cluster makes, and every image has.
var imageLocales = []string{"en_US.UTF-8", "ru_RU.UTF-8"}

func takeLocales(im *importer, from origin, v value) {
	for _, entry := range im.entries(from, v) {
		name := field(entry, "language_country") + "." + field(entry, "encoding")
		if slices.Contains(imageLocales, utf8Name(name)) {
			im.none(origin{from.variable, entry.at}, "%s: the image has it", name)
			continue
		}
		im.needed(origin{from.variable, entry.at}, "", "%s: build the image of a profile that has it", shown(name))
	}
}

// utf8Name writes the encoding as a seed has it.
func utf8Name(locale string) string {
	language, encoding, _ := strings.Cut(locale, ".")
	if e := strings.ToLower(encoding); e == "utf-8" || e == "utf8" {
		return language + ".UTF-8"
	}
	return locale
}

func takeLocale(im *importer, from origin, v value) {
	im.put(from, v, func(s string) (*yaml.Node, error) { return text(utf8Name(s)), nil })
}

func takeSwap(im *importer, from origin, v value) {
	if is, ok := truth(v.text); ok && !is {
		im.set(from, text("0MB"), "system", "swap")
		return
	}
	im.note(&im.report.Taken, from.variable, from.at, "system.swap", "")
}

func takeSwapSize(im *importer, from origin, v value) {
	if is, ok := truth(im.word("swap_file_create")); ok && !is {
		im.none(from, "there is no swap file")
		return
	}
	im.put(from, v, func(s string) (*yaml.Node, error) { return size(s + "m") })
}

// takeAlways reports a switch that was off.
func takeAlways(im *importer, from origin, v value) {
	r, _ := tableRow(from.variable)
	if is, ok := truth(v.text); ok && !is {
		im.changed(from, r.Key, "%s", r.Note)
		return
	}
	im.none(from, "%s", r.Note)
}

func takeSetScheduler(im *importer, from origin, v value) {
	if is, ok := truth(v.text); ok && !is {
		im.set(from, words(), "system", "io_scheduler")
		return
	}
	im.note(&im.report.Taken, from.variable, from.at, "system.io_scheduler", "")
}

// multiQueue are the schedulers that took the place of those of older kernels.
var multiQueue = map[string]string{"noop": "none", "deadline": "mq-deadline", "cfq": "bfq"}

func takeScheduler(im *importer, from origin, v value) {
	if set, given := im.find("set_scheduler"); given {
		if is, ok := truth(set.text); ok && !is {
			im.none(from, "set_scheduler is false")
			return
		}
	}
	schedulers := &yaml.Node{Kind: yaml.SequenceNode}
	for _, entry := range im.entries(from, v) {
		at := origin{from.variable, entry.at}
		name, device := field(entry, "sched"), field(entry, "device")
		if name == "" || device == "" {
			im.none(at, "it names no scheduler or no device")
			continue
		}
		if newer := multiQueue[name]; newer != "" {
			im.changed(at, "system.io_scheduler", "%s is gone from the kernel: %s", name, newer)
			name = newer
		}
		n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		im.cluster.set(n, at, text(device), "device")
		im.cluster.set(n, at, text(name), "scheduler")
		if requests := field(entry, "nr_requests"); requests != "" {
			if r, err := number(requests); err == nil {
				im.cluster.set(n, at, r, "nr_requests")
			} else {
				im.needed(at, "system.io_scheduler", "nr_requests: %v", err)
			}
		}
		im.origins[n] = at
		schedulers.Content = append(schedulers.Content, n)
	}
	if len(schedulers.Content) > 0 {
		im.set(from, schedulers, "system", "io_scheduler")
	}
}

func takeSudo(im *importer, from origin, v value) {
	sudo := &yaml.Node{Kind: yaml.SequenceNode}
	for _, entry := range im.entries(from, v) {
		at, name, commands := origin{from.variable, entry.at}, field(entry, "name"), field(entry, "commands")
		switch name {
		case "postgres":
			im.none(at, "postgres needs no sudo on a node, and must not have it: it would be root for whoever is superuser of a database")
			continue
		case "":
			im.needed(at, "", "expected the name of a user")
			continue
		}
		n := &yaml.Node{Kind: yaml.MappingNode}
		if commands == "" { // as in pgsql_cluster
			commands = "ALL"
		}
		list := words()
		for command := range strings.SplitSeq(commands, ",") {
			list.Content = append(list.Content, text(strings.TrimSpace(command)))
		}
		im.cluster.set(n, at, text(name), "name")
		im.cluster.set(n, at, list, "commands")
		if is, _ := truth(field(entry, "nopasswd")); is {
			im.cluster.set(n, at, bare("true"), "nopasswd")
		}
		im.origins[n] = at
		sudo.Content = append(sudo.Content, n)
		im.needed(at, "system.users", "%s: write the account too", shown(name))
	}
	if len(sudo.Content) > 0 {
		im.set(from, sudo, "system", "sudo")
	}
}

func takeAccount(im *importer, from origin, _ value) {
	im.needed(from, "system.users", "an image has no account of a person: write one, with an SSH key, or nobody can log in")
}

// perGroup reports the members of a variable that has something for each group of the
// inventory, and returns their items.
func (im *importer) perGroup(from origin, v value) map[string][]value {
	if v.kind != mapping {
		im.warn(from, "expected keys with values")
		return nil
	}
	groups := map[string][]value{}
	for i, name := range v.keys {
		at := origin{from.variable + "." + name, v.items[i].at}
		items := v.items[i]
		if u, found := items.firstUnresolved(); found {
			im.needed(at, "", "cannot be resolved: %s", u.text)
		}
		switch {
		case items.kind == unresolved:
		case items.kind != list && items.kind != null:
			im.needed(at, "", "expected a list")
		case len(items.items) > 0 && !slices.ContainsFunc(im.nodes, func(n *node) bool { return slices.Contains(n.in, name) }):
			im.none(at, "no node is in [%s]", shown(name))
		default:
			groups[name] = slices.DeleteFunc(slices.Clone(items.items), func(item value) bool {
				_, found := item.firstUnresolved()
				return found
			})
		}
	}
	return groups
}

// takePorts writes the ports of each node that it does not open by itself. Lists of a
// node replace that of the cluster, which is the first node's.
func takePorts(im *importer, from origin, v value) {
	groups := im.perGroup(from, v)
	if groups == nil {
		return
	}
	own := []string{"22", strconv.Itoa(seeds.EtcdClientPort), strconv.Itoa(seeds.EtcdPeerPort)}
	for _, r := range table {
		if strings.HasPrefix(r.Variable, "haproxy_listen_port.") || slices.Contains([]string{"postgresql_port", "patroni_restapi_port",
			"patroni_raft_port", "patroni_raft_controller.port", "ansible_port", "ansible_ssh_port"}, r.Variable) {
			own = append(own, im.word(r.Variable))
		}
	}
	var first []string
	for i, n := range im.nodes {
		open := map[string]bool{}
		for _, name := range n.in {
			for _, item := range groups[name] {
				port := strings.ReplaceAll(item.text, ":", "-") // as iptables writes a range
				open[port] = !slices.Contains(own, port)
			}
		}
		maps.DeleteFunc(open, func(_ string, further bool) bool { return !further })
		ports := slices.SortedFunc(maps.Keys(open), func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
		section := im.root
		if i == 0 {
			first = ports
		} else if section = n.yaml; slices.Equal(ports, first) {
			continue
		}
		allow := &yaml.Node{Kind: yaml.SequenceNode}
		for _, port := range ports {
			item := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
			im.cluster.set(item, from, bareOrText(port), "port")
			allow.Content = append(allow.Content, item)
		}
		if len(ports) == 0 {
			allow.Style = yaml.FlowStyle
		}
		im.cluster.set(section, from, allow, "firewall", "allow")
	}
}

func bareOrText(s string) *yaml.Node {
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		return bare(s)
	}
	return text(s)
}

func takeRules(im *importer, from origin, v value) {
	groups := im.perGroup(from, v)
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		for _, item := range groups[name] {
			im.needed(origin{from.variable + "." + name, item.at}, "firewall.rules", "write this rule anew for nftables: %s", shown(item.text))
		}
	}
	if !im.seen[from.variable] {
		im.note(&im.report.Taken, from.variable, from.at, "firewall.rules", "")
	}
}

// reference are the kernel parameters of pgsql_cluster, which a node has by itself.
var reference = map[string]string{
	"vm.overcommit_memory": "2", "vm.swappiness": "1", "vm.min_free_kbytes": "102400", "vm.dirty_background_bytes": "0",
	"vm.nr_hugepages": "2150", "vm.zone_reclaim_mode": "0", "kernel.numa_balancing": "0",
	"kernel.sched_migration_cost_ns": "5000000", "kernel.sched_autogroup_enabled": "0",
	"net.ipv4.ip_nonlocal_bind": "1", "net.ipv4.ip_forward": "1", "net.ipv4.ip_local_port_range": "10000 65535",
	"net.netfilter.nf_conntrack_max": "1048576", "net.core.netdev_max_backlog": "10000",
	"net.ipv4.tcp_max_syn_backlog": "8192", "net.core.somaxconn": "65535", "net.ipv4.tcp_tw_reuse": "1",
}

// hasReference tells whether a node sets a kernel parameter by itself: one of
// PostgreSQL all of them, one of HAProxy those of the network.
func (n *node) hasReference(name string) bool {
	return n.runs("postgresql") || n.runs("haproxy") && strings.HasPrefix(name, "net.")
}

// takeSysctl writes for the cluster what all its nodes have alike, and else for nodes.
func takeSysctl(im *importer, from origin, v value) {
	if set, given := im.find("sysctl_set"); given {
		if is, ok := truth(set.text); ok && !is {
			im.none(from, "sysctl_set is false")
			return
		}
	}
	groups := im.perGroup(from, v)
	var order []string
	known := map[string]bool{}
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		groups[group] = slices.DeleteFunc(groups[group], func(entry value) bool {
			name := field(entry, "name")
			wrong := name == "" || field(entry, "value") == ""
			if wrong {
				im.needed(origin{from.variable, entry.at}, "", "expected a name and a value")
			} else if !known[name] {
				known[name] = true
				order = append(order, name)
			}
			return wrong
		})
	}
	kinds, settings := map[string]map[string]value{}, make([]map[string]value, len(im.nodes))
	for i, n := range im.nodes {
		kind := strings.Join(append(slices.Clone(n.services), n.in...), " ")
		if kinds[kind] == nil {
			kinds[kind] = n.settings(groups)
		}
		settings[i] = kinds[kind]
	}
	for _, name := range order {
		first, everywhere := settings[0][name]
		for _, kind := range kinds {
			entry, has := kind[name]
			everywhere = everywhere && has && field(entry, "value") == field(first, "value")
		}
		if everywhere {
			im.set(origin{from.variable, first.at}, setting(field(first, "value")), "system", "sysctl", name)
			continue
		}
		for i, n := range im.nodes {
			if entry, has := settings[i][name]; has {
				im.cluster.set(n.yaml, origin{from.variable, entry.at}, setting(field(entry, "value")), "system", "sysctl", name)
			}
		}
	}
	if !im.seen[from.variable] {
		im.note(&im.report.Taken, from.variable, from.at, "system.sysctl", "what a node has by itself is left out")
	}
}

// settings are the kernel parameters of a node that it does not have by itself.
func (n *node) settings(groups map[string][]value) map[string]value {
	settings := map[string]value{}
	for _, group := range slices.Backward(n.in) { // the nearest is the last, and counts
		for _, entry := range groups[group] {
			name := field(entry, "name")
			delete(settings, name)
			if !n.hasReference(name) || reference[name] != field(entry, "value") {
				settings[name] = entry
			}
		}
	}
	return settings
}
