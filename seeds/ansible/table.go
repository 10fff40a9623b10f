package ansible

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// row says what becomes of a variable of pgsql_cluster.
type row struct {
	// Variable is its name; the members of a variable have rows of their own.
	Variable string
	// Key is that of the cluster file, or "" where there is none.
	Key string
	// Note is why there is none, or how the value changes.
	Note string
	// take writes a value that is there; without it another part of the import does.
	take func(*importer, origin, value)
}

const unknownVariable = "pgsql_cluster has no such variable: what it is for has to be done anew"

// The reasons that several variables share.
const (
	inImage   = "the image has it, see `build profile show`"
	fixed     = "the same on every node, where Debian has it"
	inJournal = "Patroni logs to the journal, which keeps its own size"
	ansible   = "for Ansible only"
	noScripts = "no node has scripts: the guard of the DNS connection point is a service"
	readHere  = "read where other variables refer to it"
)

// table is what becomes of every variable of pgsql_cluster, in the order of its files.
// TestTable writes docs/import.md of it.
var table []row

func init() { // the functions of the table refer to it
	table = slices.Concat(mainTable, databaseTable, systemTable, imageTable, inventoryTable)
}

var mainTable = []row{
	{"proxy_env.http_proxy", "system.proxy.http_proxy", "", plain},
	{"proxy_env.https_proxy", "system.proxy.https_proxy", "", plain},
	{"proxy_env.no_proxy", "system.proxy.no_proxy", "", commas},
	{"patroni_cluster_name", "cluster.name", "in lower case", takeClusterName},
	{"patroni_restapi_port", "patroni.restapi.port", "", numeric},
	{"patroni_install_version", "", inImage, nil},
	{"patroni_scripts_dir", "", noScripts, nil},
	{"patroni_superuser_username", "", "the superuser is postgres", takeName("postgres")},
	{"patroni_superuser_password", "secrets.superuser_password", "", takeSecret},
	{"patroni_replication_username", "", "the role is replicator", takeName("replicator")},
	{"patroni_replication_password", "secrets.replication_password", "", takeSecret},
	{"synchronous_mode", "patroni.synchronous_mode", "", boolean},
	{"synchronous_mode_strict", "patroni.synchronous_mode_strict", "", boolean},
	{"synchronous_node_count", "patroni.synchronous_node_count", "", numeric},
	{"patroni_with_watchdog", "patroni.watchdog.mode", "true is automatic, false is off", choose("automatic", "off")},
	{"cluster_vip", "sites[].vips", "each in the site of its subnet", nil},
	{"dnscp.vcompname", "dns.name", "in lower case; where there is a VIP", takeDNS},
	{"dnscp.vcomppassword", "secrets.dns_password", "with dns.auth gss-tsig; empty is none", takeDNSPassword},
	{"dnscp.dnszonefqdn", "dns.zone", "", takeDNS},
	{"dnscp.dnsserver", "dns.servers", "", takeDNS},
	{"dnscp.ttl", "dns.ttl", "", takeDNS},
	{"dcs_exists", "cluster.dcs", "with dcs_type etcd: external", nil},
	{"dcs_type", "cluster.dcs", "patroni is raft", nil},
	{"patroni_raft_data_dir", "patroni.raft.data_dir", "not below /etc, which is in memory", takeRaft},
	{"patroni_raft_port", "patroni.raft.port", "", takeRaft},
	{"patroni_raft_password", "secrets.raft_password", "", takeRaft},
	{"with_patroni_raft_controller", "nodes[].services", "witness", nil},
	{"patroni_raft_controller.host", "nodes[].services", "the hosts of [patroni_raft_controller] in the inventory", nil},
	{"patroni_raft_controller.port", "patroni.raft.port", "all members have one port", takeControllerPort},
	{"etcd_ver", "", inImage, nil},
	{"etcd_data_dir", "", fixed, nil},
	{"etcd_cluster_name", "etcd.initial-cluster-token", "", takeToken},
	{"patroni_etcd_hosts.port", "etcd.endpoints", "of an etcd that stands already", takeExternal},
	{"patroni_etcd_hosts.protocol", "etcd.endpoints", "of an etcd that stands already", takeExternal},
	{"patroni_etcd_hosts.ifname", "network.interface", "", takeInterface},
	{"with_haproxy_load_balancing", "nodes[].services", "haproxy, on the hosts of [balancers]", nil},
	{"haproxy_listen_port.master", "haproxy.ports.primary", "", numeric},
	{"haproxy_listen_port.replicas", "haproxy.ports.replicas", "", numeric},
	{"haproxy_listen_port.replicas_sync", "haproxy.ports.replicas_sync", "", numeric},
	{"haproxy_listen_port.replicas_async", "haproxy.ports.replicas_async", "", numeric},
	{"haproxy_listen_port.stats", "haproxy.ports.stats", "", numeric},
	{"haproxy_maxconn.global", "haproxy.maxconn.global", "", numeric},
	{"haproxy_maxconn.master", "haproxy.maxconn.primary", "", numeric},
	{"haproxy_maxconn.replica", "haproxy.maxconn.replica", "", numeric},
	{"haproxy_timeout.client", "haproxy.timeout.client", "", plain},
	{"haproxy_timeout.server", "haproxy.timeout.server", "", plain},
}

var databaseTable = []row{
	{"postgresql_fork", "", "PostgresPro wants an image of a profile with Postgres Pro", takeFork},
	{"postgresql_version", "postgresql.version", "the image has to have it", numeric},
	{"postgresql_port", "postgresql.port", "", numeric},
	{"postgresql_ifname", "network.interface", "by its name or MAC address, where a machine has several", takeInterface},
	{"postgresql_encoding", "postgresql.initdb.encoding", "", plain},
	{"postgresql_locale", "postgresql.initdb.locale", "", plain},
	{"postgresql_data_checksums", "postgresql.initdb.data-checksums", "", boolean},
	{"postgresql_allow_group_access", "postgresql.initdb.allow-group-access", "", boolean},
	{"postgresql_password_encryption_algorithm", "", "it is scram-sha-256, as the node's own lines of pg_hba.conf are", takeEncryption},
	{"postgresql_parameters", "postgresql.parameters", "but for those that the node sets itself", takeParameters},
	{"postgresql_pg_hba", "postgresql.pg_hba", "after the node's own lines", takeHBA},
	{"postgresql_pg_ident", "postgresql.pg_ident", "", takeIdent},
	{"postgresql_extensions", "postgresql.databases[].extensions", "", takeExtensions},
	{"patroni_ttl", "patroni.ttl", "", numeric},
	{"patroni_loop_wait", "patroni.loop_wait", "", numeric},
	{"patroni_retry_timeout", "patroni.retry_timeout", "", numeric},
	{"patroni_maximum_lag_on_failover", "patroni.maximum_lag_on_failover", "", numeric},
	{"patroni_master_start_timeout", "patroni.primary_start_timeout", "", numeric},
	{"patroni_standby_cluster.host", "patroni.standby_cluster.host", "", plain},
	{"patroni_standby_cluster.port", "patroni.standby_cluster.port", "where there is a host", takeStandbyPort},
	{"patroni_standby_cluster.primary_slot_name", "patroni.standby_cluster.primary_slot_name", "", plain},
	{"patroni_standby_cluster.restore_command", "patroni.standby_cluster.restore_command", "", plain},
	{"patroni_standby_cluster.recovery_min_apply_delay", "patroni.standby_cluster.recovery_min_apply_delay", "", plain},
	{"patroni_log_destination", "", inJournal, nil},
	{"patroni_log_dir", "", inJournal, nil},
	{"patroni_log_level", "patroni.log.level", "in upper case", upper},
	{"patroni_log_traceback_level", "patroni.log.traceback_level", "in upper case", upper},
	{"patroni_log_format", "", inJournal, nil},
	{"patroni_log_dateformat", "", inJournal, nil},
	{"patroni_log_max_queue_size", "", inJournal, nil},
	{"patroni_log_file_num", "", inJournal, nil},
	{"patroni_log_file_size", "", inJournal, nil},
	{"patroni_log_loggers_patroni_postmaster", "", inJournal, nil},
	{"patroni_log_loggers_urllib3", "", inJournal, nil},
	{"patroni_postgresql_use_pg_rewind", "patroni.use_pg_rewind", "", boolean},
	{"patroni_remove_data_directory_on_rewind_failure", "patroni.remove_data_directory_on_rewind_failure", "", boolean},
	{"patroni_remove_data_directory_on_diverged_timelines", "patroni.remove_data_directory_on_diverged_timelines", "", boolean},
	{"patroni_create_replica_methods", "patroni.create_replica_methods", "", takeMethods},
	{"basebackup", "patroni.basebackup", "max-rate and checkpoint", takeOptions("max-rate", "checkpoint")},
	{"pg_probackup", "patroni.pg_probackup", "command, keep_data and no_params", takeOptions("command", "keep_data", "no_params")},
	{"postgresql_restore_command", "patroni.restore_command", "", plain},
	{"disable_archive_command", "", "pgsql_cluster does not use it", nil},
	{"keep_patroni_dynamic_json", "", "pgsql_cluster does not use it", nil},
	{"pki_cert_artifacts_dir", "", "`build seed mint` makes the certificates, or takes an authority with --import-ca", nil},
	{"postgresql_exists", "postgresql.existing", "", nil},
	{"existing_pgcluster", "", "a node finds out by itself whether its cluster stands", nil},
	{"is_master", "", "Patroni elects the leader", nil},
}

var systemTable = []row{
	{"timezone", "system.timezone", "", plain},
	{"locale_gen", "", "the image has its locales; further ones are the profile's", takeLocales},
	{"locale", "system.locale", "UTF-8 in upper case", takeLocale},
	{"swap_file_create", "system.swap", "false is 0MB", takeSwap},
	{"swap_file_path", "", "the file is /var/swapfile", nil},
	{"swap_file_size_mb", "system.swap", "", takeSwapSize},
	{"sysctl_set", "system.sysctl", "a node always has its kernel parameters", takeAlways},
	{"sysctl_conf", "system.sysctl", "but for the values of pgsql_cluster, which a node has by itself", takeSysctl},
	{"disable_thp", "system.transparent_hugepage", "true is never, false is always", choose("never", "always")},
	{"set_limits", "system.nofile", "a node always has its limits", takeAlways},
	{"limits_user", "", "the limits are those of PostgreSQL's service", takeName("postgres")},
	{"soft_nofile", "system.nofile.soft", "", numeric},
	{"hard_nofile", "system.nofile.hard", "", numeric},
	{"set_scheduler", "system.io_scheduler", "false is an empty list", takeSetScheduler},
	{"scheduler", "system.io_scheduler", "noop is none, deadline is mq-deadline, cfq is bfq", takeScheduler},
	{"sudo_users", "system.sudo", "but for postgres, which needs none", takeSudo},
	{"firewall_enabled_at_boot", "firewall.enabled", "", boolean},
	{"firewall_allowed_tcp_ports_for", "firewall.allow", "but for the ports that a node opens itself", takePorts},
	{"firewall_additional_rules_for", "firewall.rules", "rules of iptables have to be written anew, for nftables", takeRules},
}

var imageTable = []row{
	{"postgresql_cluster_name", "", readHere, nil},
	{"postgresql_data_dir", "postgresql.data_dir", "", takeDirectory},
	{"postgresql_wal_dir", "postgresql.wal_dir", "", takeDirectory},
	{"postgresql_conf_dir", "", "the configuration is in the data directory", nil},
	{"postgresql_log_dir", "", readHere, nil},
	{"postgresql_home_dir", "", fixed, nil},
	{"postgresql_stats_temp_directory_path", "", "where it is needed it is a tmpfs, below PostgreSQL 15", nil},
	{"postgresql_stats_temp_directory_size", "postgresql.stats_temp_size", "below PostgreSQL 15", takeSize},
	{"postgresql_version_terse", "", readHere, nil},
	{"os_specific_packages", "", inImage, nil},
	{"system_packages", "", inImage, nil},
	{"etcd_package_repo", "", inImage, nil},
	{"patroni_installation_method", "", inImage, nil},
	{"pip_package_repo", "", inImage, nil},
	{"patroni_pip_requirements_repo", "", inImage, nil},
	{"patroni_pip_package_repo", "", inImage, nil},
	{"patroni_deb_package_repo", "", inImage, nil},
	{"ansible_os_family", "", ansible, nil},
	{"ansible_distribution", "", ansible, nil},
	{"ansible_distribution_version", "", ansible, nil},
	{"ansible_distribution_major_version", "", ansible, nil},
	{"ansible_distribution_release", "", ansible, nil},
	{"postgresql_bin_dir", "", fixed, nil},
	{"postgresql_unix_socket_dir", "", fixed, nil},
	{"postgresql_packages", "", inImage, nil},
	{"os_specific_pgpro_packages", "", inImage, nil},
	{"os_valid_distributions", "", inImage, nil},
	{"os_minimum_versions", "", inImage, nil},
}

var inventoryTable = []row{
	{"ansible_host", "nodes[].address", "with the prefix length of its subnet", nil},
	{"ansible_ssh_host", "nodes[].address", "with the prefix length of its subnet", nil},
	{"ansible_port", "system.ssh_port", "", numeric},
	{"ansible_ssh_port", "system.ssh_port", "", numeric},
	{"ansible_connection", "", ansible, nil},
	{"ansible_user", "", "the accounts of people are in system.users", takeAccount},
	{"ansible_ssh_user", "", "the accounts of people are in system.users", takeAccount},
	{"ansible_password", "", ansible, nil},
	{"ansible_ssh_pass", "", ansible, nil},
	{"ansible_ssh_private_key_file", "", ansible, nil},
	{"ansible_ssh_common_args", "", ansible, nil},
	{"ansible_ssh_extra_args", "", ansible, nil},
	{"ansible_become", "", ansible, nil},
	{"ansible_become_method", "", ansible, nil},
	{"ansible_become_user", "", ansible, nil},
	{"ansible_become_pass", "", ansible, nil},
	{"ansible_become_password", "", ansible, nil},
	{"ansible_python_interpreter", "", ansible, nil},
}

// tableRow is the row of a variable.
func tableRow(name string) (row, bool) {
	i := slices.IndexFunc(table, func(r row) bool { return r.Variable == name })
	if i < 0 {
		return row{}, false
	}
	return table[i], true
}

// hasMembers tells whether the members of a variable have rows.
func hasMembers(name string) bool {
	return slices.ContainsFunc(table, func(r row) bool { return strings.HasPrefix(r.Variable, name+".") })
}

// applyTable does what the table says, and reports whatever is not in it.
func (im *importer) applyTable() {
	for _, r := range table {
		name, _, _ := strings.Cut(r.Variable, ".")
		if _, there := im.variables[name]; !there {
			continue
		}
		v, ok := im.find(r.Variable)
		from := origin{r.Variable, v.at}
		switch {
		case !ok:
		case r.take != nil:
			r.take(im, from, v)
		case r.Key == "":
			im.none(from, "%s", r.Note)
		}
	}
	for _, variable := range im.order {
		im.reportRest(variable)
	}
}

// reportRest reports a variable, or those of its members, that no row is for.
func (im *importer) reportRest(variable variable) {
	v, ok := im.find(variable.name)
	if _, known := tableRow(variable.name); known || im.seen[variable.name] {
		if !ok && !im.seen[variable.name] {
			im.none(origin{variable.name, variable.at}, "it has no value")
		}
		return
	}
	if !hasMembers(variable.name) {
		im.none(origin{variable.name, variable.at}, unknownVariable)
		return
	}
	switch {
	case !ok:
		im.none(origin{variable.name, variable.at}, "it has no value")
	case v.kind != mapping:
		im.warn(origin{variable.name, variable.at}, "expected keys with values")
	case len(v.keys) == 0:
		im.none(origin{variable.name, variable.at}, "it is empty")
	}
	for i, key := range v.keys {
		path := variable.name + "." + key
		_, known := tableRow(path)
		switch {
		case !known:
			im.none(origin{path, v.items[i].at}, unknownVariable)
		case v.items[i].kind == null && !im.seen[path]:
			im.none(origin{path, v.items[i].at}, "it has no value")
		}
	}
}

// The functions below write one value at the key of its row.

// single is the text of a value; false where it is empty, or not a single value, which
// it reports.
func (im *importer) single(from origin, v value) (string, bool) {
	if v.kind != scalar {
		im.warn(from, "expected a single value")
		return "", false
	}
	if v.text == "" {
		r, _ := tableRow(from.variable)
		im.note(&im.report.Taken, from.variable, from.at, r.Key, "it is empty: left out")
	}
	return v.text, v.text != ""
}

// put writes what convert makes of a value.
func (im *importer) put(from origin, v value, convert func(string) (*yaml.Node, error)) {
	written, ok := im.single(from, v)
	if !ok {
		return
	}
	n, err := convert(written)
	if err != nil {
		im.warn(from, "%v", err)
		return
	}
	r, _ := tableRow(from.variable)
	im.set(from, n, strings.Split(r.Key, ".")...)
}

func plain(im *importer, from origin, v value) {
	im.put(from, v, func(s string) (*yaml.Node, error) { return text(s), nil })
}

func numeric(im *importer, from origin, v value) { im.put(from, v, number) }

func upper(im *importer, from origin, v value) {
	im.put(from, v, func(s string) (*yaml.Node, error) { return text(strings.ToUpper(s)), nil })
}

func boolean(im *importer, from origin, v value) { choose("true", "false")(im, from, v) }

// choose writes one word for true and another for false.
func choose(yes, no string) func(*importer, origin, value) {
	return func(im *importer, from origin, v value) {
		im.put(from, v, func(s string) (*yaml.Node, error) {
			is, ok := truth(s)
			switch {
			case !ok:
				return nil, fmt.Errorf("expected true or false")
			case is:
				return bare(yes), nil
			}
			return bare(no), nil
		})
	}
}

// commas writes a list.
func commas(im *importer, from origin, v value) {
	im.put(from, v, func(s string) (*yaml.Node, error) {
		return words(strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' })...), nil
	})
}

var sizeForm = regexp.MustCompile(`^(?i)([0-9]+)\s*([kmgt]?)b?$`)

// size is a size as mount(8) writes it: bytes without a unit.
func size(s string) (*yaml.Node, error) {
	parts := sizeForm.FindStringSubmatch(s)
	if parts == nil {
		return nil, fmt.Errorf("expected a size, such as 1024m")
	}
	unit := map[string]string{"": "B", "k": "kB", "m": "MB", "g": "GB", "t": "TB"}[strings.ToLower(parts[2])]
	digits := strings.TrimLeft(parts[1], "0")
	if digits == "" {
		digits = "0"
	}
	return text(digits + unit), nil
}
