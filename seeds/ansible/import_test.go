package ansible

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"banyan/internal/golden"
	"banyan/internal/strict"
	"banyan/seeds"
)

// files are those of pgsql_cluster as it is published, with replacements.
func files(t testing.TB, replacements ...string) Input {
	t.Helper()
	read := func(name string) File {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return File{name, data}
	}
	in := Input{
		Vars:      []File{read("main.yml"), read("Debian.yml"), read("PostgreSQL.yml"), read("system.yml")},
		Inventory: read("inventory"),
		Addresses: map[string]netip.Prefix{},
		Gateways:  []netip.Addr{netip.MustParseAddr("172.16.32.1")},
	}
	for _, name := range []string{"1", "2", "3"} {
		in.Addresses["pgsql-n"+name] = netip.MustParsePrefix("172.16.32.1" + name + "/24")
	}
	for i := 0; i < len(replacements); i += 2 {
		in.replace(t, replacements[i], replacements[i+1])
	}
	return in
}

// replace replaces what one of the files has.
func (in *Input) replace(t testing.TB, old, replacement string) {
	t.Helper()
	all := []*File{&in.Inventory}
	for i := range in.Vars {
		all = append(all, &in.Vars[i])
	}
	for _, f := range all {
		if strings.Contains(string(f.Data), old) {
			f.Data = []byte(strings.ReplaceAll(string(f.Data), old, replacement))
			return
		}
	}
	t.Fatalf("no file has %q", old)
}

const ownEtcd = "dcs_type: patroni"

// withoutSecrets is what may stand in a golden file.
func withoutSecrets(in Input, text string) string {
	for _, word := range secretsOf(in) {
		text = strings.ReplaceAll(text, ": "+word+"\n", ": (secret)\n")
	}
	return strings.ReplaceAll(text, "Xyzzy1", "(secret)")
}

// secretsOf are the passwords of the files.
func secretsOf(in Input) []string {
	secrets := []string{"P@ssw0rd"}
	for line := range strings.SplitSeq(string(in.Vars[0].Data), "\n") {
		if name, word, found := strings.Cut(line, ": "); found && strings.Contains(name, "password") && strings.HasPrefix(word, "P") {
			secrets = append(secrets, word)
		}
	}
	return secrets
}

func TestImport(t *testing.T) {
	etcd := []string{ownEtcd, "dcs_type: etcd"}
	onNodes := append(slices.Clone(etcd), "etcd-n1 #ansible_host=172.16.35.6\netcd-n2\netcd-n3", "pgsql-n[1:3]")
	cases := map[string]Input{
		"reference": files(t),
		"etcd":      files(t, append(slices.Clone(etcd), "etcd-n1 #ansible_host=172.16.35.6\netcd-n2\netcd-n3", "etcd-n[1:3]")...),
		"external": files(t, append(slices.Clone(etcd), "dcs_exists: false", "dcs_exists: true",
			"etcd-n1 #ansible_host", "etcd-n1 ansible_host")...),
		"rebuilt": files(t, append(slices.Clone(onNodes), "dcs_exists: false", "dcs_exists: true",
			"pgsql-n[1:3]", "pgsql-n[2:3]")...),
		"two-subnets": files(t, append(slices.Clone(onNodes), "cluster_vip: 172.16.32.180", `cluster_vip: "172.16.32.180, 172.16.64.180,10.0.0.1"`,
			"ttl: '1200'", "ttl: '30'", "dnsserver: ''", "dnsserver: dc1.demo.ru", "[replica]\n", "[replica]\npgsql-n1\n")...),
		"balancers": files(t, append(slices.Clone(onNodes), "with_haproxy_load_balancing: false", "with_haproxy_load_balancing: true",
			"[balancers]\npgsql-n2\npgsql-n3", "[balancers]\n172.16.32.21\nlb2.demo.ru ansible_host=172.16.32.22", "master: 5000", "master: 6000")...),
		"groups": files(t, "\npostgresql_port: ", "\npostgresql_port_of_the_playbook: ", "\npatroni_ttl: 30", "\n", "\npatroni_loop_wait: ", "\npatroni_loop_wait_of_the_playbook: ",
			"[replica]", "[postgres_cluster:vars]\npatroni_ttl=60\npostgresql_version=16\n[replica:vars]\npatroni_loop_wait=5\npostgresql_port=5433\n[replica]"),
		"repeated": files(t, "  - {option: jit, value: 'off'}", "  - {option: jit, value: 'off'}\n  - {option: jit, value: 'on'}"),
		"existing": files(t, "pgsql-n2 postgresql_exists='false'", "pgsql-n2 postgresql_exists='true'",
			"postgresql_data_dir: ", "postgresql_data_dir: /mnt/disk1/pgdata #", "postgresql_wal_dir: ''", "postgresql_wal_dir: /mnt/disk2/pg_wal"),
		"standby": files(t, "  host: ''\n  port: '5432'", "  host: 172.16.64.180\n  port: '5433'\n  primary_slot_name: standby_cl\n  recovery_min_apply_delay: 5min"),
		"without": files(t, "cluster_vip: 172.16.32.180", "cluster_vip: ''", "set_scheduler: true", "set_scheduler: false", "sysctl_set: true", "sysctl_set: false",
			"firewall_enabled_at_boot: true", "firewall_enabled_at_boot: false", "set_limits: true", "set_limits: false", "patroni_with_watchdog: true", "patroni_with_watchdog: false",
			"ansible_user=", "ansible_become_user=", "with_patroni_raft_controller: true", "with_patroni_raft_controller: false", "patroni_raft_data_dir: /etc/patroni", "patroni_raft_data_dir: /srv/raft",
			"\npatroni_log_dir: /var/log/patroni", "\npatroni_log_dir:", "dnscp:\n", "dnscp:\n  colour: green\n  shade:\n", "haproxy_timeout:\n  client: 60m\n  server: 60m", "haproxy_timeout: 60m"),
		"missing": files(t, "dcs_type: patroni", "dcs_type: consul", "pgsql-n1", "172.16.32.11"),
	}
	// A host that the schema takes for none, and no flag to mend it.
	badName := files(t, "pgsql-n3 postgresql_exists", "pgsql_n3 postgresql_exists")
	badName.Addresses["pgsql_n3"] = badName.Addresses["pgsql-n3"]
	cases["bad-name"] = badName
	two := cases["two-subnets"]
	two.Addresses["pgsql-n3"] = netip.MustParsePrefix("172.16.64.13/24")
	two.Gateways = append(two.Gateways, netip.MustParseAddr("172.16.64.1"))
	own := cases["etcd"]
	for _, name := range []string{"1", "2", "3"} {
		own.Addresses["etcd-n"+name] = netip.MustParsePrefix("172.16.35.1" + name + "/24")
	}
	balancers := cases["balancers"]
	balancers.Names = map[string]string{"172.16.32.21": "lb1"}
	balancers.Subnets = []netip.Prefix{netip.MustParsePrefix("172.16.32.0/24")}
	cases["balancers"] = balancers
	missing := cases["missing"]
	missing.Addresses = map[string]netip.Prefix{"pgsql-n9": netip.MustParsePrefix("172.16.32.19/24")}
	cases["missing"] = missing
	two.Inventory, cases["two-subnets"] = cases["two-subnets"].Inventory, two
	fork := files(t, "postgresql_version: '15'", "postgresql_version: '14'")
	fork.Vars[2].Name, fork.Vars[2].Data = "PostgresPro.yml", mustRead(t, "PostgresPro.yml")
	cases["postgrespro"] = fork
	cases["odd"] = odd(t)

	for name, in := range cases {
		t.Run(name, func(t *testing.T) {
			result, err := Import(in)
			if err != nil {
				t.Fatal(err)
			}
			var printed strings.Builder
			if err := result.Report.Print(&printed); err != nil {
				t.Fatal(err)
			}
			golden.Check(t, "testdata/golden/"+name+".txt", printed.String())
			if (len(result.Report.Missing) > 0) != (name == "missing" || name == "bad-name") {
				t.Error(printed.String())
			}
			if len(result.Report.Missing) > 0 {
				if result.Cluster != nil {
					t.Error("there is a cluster file, though something is missing")
				}
				return
			}
			checkReport(t, in, result.Report)
			seed, warnings, err := seeds.ParseCluster(name, result.Cluster)
			if err != nil {
				t.Fatalf("%v\n%s", err, withoutSecrets(in, string(result.Cluster)))
			}
			for _, w := range warnings {
				t.Log(w)
			}
			golden.Check(t, "testdata/golden/"+name+".yaml", withoutSecrets(in, string(result.Cluster)))
			if got := seed.Secrets.SuperuserPassword.Reveal(); got != "Password" {
				t.Error("the superuser's password did not come through")
			}
		})
	}
}

// odd are files that have what few have.
func odd(t *testing.T) Input {
	in := files(t, "proxy_env: {}", "proxy_env: {http_proxy: 'http://me:Xyzzy1@proxy.demo.ru:8080', no_proxy: '127.0.0.1,localhost'}",
		"patroni_cluster_name: PGSQL-CL", "patroni_cluster_name: Pgsql_Cl", ownEtcd, "dcs_type: etcd",
		"patroni_superuser_username: postgres", "patroni_superuser_username: admin",
		"patroni_replication_password: Password2", "patroni_replication_password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3162\n",
		"Password3", "''", "patroni_ttl: 30", "patroni_ttl: 25", "patroni_log_level: info", "patroni_log_level: verbose",
		"postgresql_password_encryption_algorithm: scram-sha-256", "postgresql_password_encryption_algorithm: md5",
		"postgresql_ifname: eth0", "postgresql_ifname: bond0",
		"postgresql_pg_ident: []", "postgresql_pg_ident:\n  - {mapname: main, system_username: backup, pg_username: postgres}",
		"patroni_with_watchdog: true", "patroni_with_watchdog: maybe",
		"value: 1000M}", "value: '{{ lookup(''env'', ''RATE'') }}'}",
		"patroni_create_replica_methods:\n  - basebackup", "patroni_create_replica_methods: [basebackup, wal_g]",
		"  - {option: jit, value: 'off'}", "  - {option: jit, value: \"{{ jit | default('on') }}\"}\n  - {option: max_connections, value: '10'}\n  - {option: work_mem, value: ''}",
		"  - {type: local, database: all, user: all, address: '', method: peer}",
		"  - {type: hostssl, database: app, user: '+staff', address: 10.0.0.0/8, method: ldap, options: 'ldapserver=x ldapbindpasswd=Xyzzy1'}\n  - {type: host, database: all, user: all, address: 10.1.0.0/16, method: trust}",
		"commands: ALL", "commands: ALL}\n  - {name: joe, nopasswd: 'no', commands: '/usr/bin/less, /usr/bin/tail'}\n  - {name: ann, nopasswd: 'yes', commands: ALL",
		"sched: mq-deadline", "sched: deadline", "vm.swappiness, value: '1'", "vm.swappiness, value: '10'",
		"    - '445'", "    - '9100'", "firewall_additional_rules_for:\n  master: []", "firewall_additional_rules_for:\n  master: ['iptables -A INPUT -p vrrp -j ACCEPT']",
		"disable_thp: true", "disable_thp: false", "swap_file_create: true", "swap_file_create: false",
		"locale: en_US.utf-8", "locale: ru_RU.UTF-8", "language_country: ru_RU", "language_country: de_DE",
		"[replica]", "[balancers:vars]\nhaproxy_maxconn=5\n[replica]", "ansible_connection='ssh'", "ansible_connection='ssh'\nmy_var=1",
	)
	in.replace(t, "pki_cert_artifacts_dir", "postgresql_extensions:\n  - {db: app, ext: pg_stat_statements}\n  - {db: app, ext: pg_trgm}\n"+
		"my_own: 'Xyzzy1'\ncycle: '{{ cycle }}'\npatroni_ttl: '{{ cycle }}'\npki_cert_artifacts_dir")
	in.Addresses["etcd-n1"] = netip.MustParsePrefix("172.16.32.31/24")
	in.Addresses["etcd-n2"] = netip.MustParsePrefix("172.16.32.32/24")
	in.Addresses["etcd-n3"] = netip.MustParsePrefix("172.16.32.33/24")
	return in
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// checkReport: every variable is in it, and no password.
func checkReport(t *testing.T, in Input, report Report) {
	t.Helper()
	known := map[string]bool{}
	for _, entries := range [][]Entry{report.Missing, report.Needed, report.Changed, report.Taken, report.None} {
		for _, e := range entries {
			known[e.Variable] = true
			if parent, _, nested := strings.Cut(e.Variable, "."); nested {
				known[parent] = true
			}
		}
	}
	inv, err := readInventory(in.Inventory)
	if err != nil {
		t.Fatal(err)
	}
	im := &importer{in: in, inventory: inv, seen: map[string]bool{}, warned: map[string]bool{}}
	if err := im.read(); err != nil {
		t.Fatal(err)
	}
	for _, v := range im.order {
		if !known[v.name] {
			t.Errorf("%s: %s is not in the report", v.at, v.name)
		}
		members, _ := im.lookup(v.name)
		for _, key := range members.keys {
			if path := v.name + "." + key; hasMembers(v.name) && !known[path] && !known[v.name] {
				t.Errorf("%s: %s is not in the report", v.at, path)
			}
		}
	}
	for _, h := range inv.hosts {
		for _, v := range h.vars {
			if !known[v.name] {
				t.Errorf("%s: %s is not in the report", v.at, v.name)
			}
		}
	}
	encoded, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"P@ssw0rd", "Password2", "Password3", "Password4", "Xyzzy1", "$ANSIBLE_VAULT"} {
		if strings.Contains(string(encoded), secret) {
			t.Errorf("the report shows %q", secret)
		}
	}
}

// TestTable: each variable of pgsql_cluster has a row, each row is of one of its
// variables, each key is the schema's, and the documentation has them.
func TestTable(t *testing.T) {
	in := files(t)
	in.Vars = append(in.Vars, File{"PostgresPro.yml", mustRead(t, "PostgresPro.yml")})
	im := &importer{in: in, inventory: &inventory{groups: map[string]*group{"all": {}}}, seen: map[string]bool{}}
	if err := im.read(); err != nil {
		t.Fatal(err)
	}
	for _, v := range im.order {
		if _, known := tableRow(v.name); !known && !hasMembers(v.name) {
			t.Errorf("%s: %s has no row", v.at, v.name)
		}
	}
	seen := map[string]bool{}
	for _, r := range table {
		if seen[r.Variable] {
			t.Errorf("%s has two rows", r.Variable)
		}
		seen[r.Variable] = true
		if r.Key == "" && r.Note == "" {
			t.Errorf("%s: no reason is given", r.Variable)
		}
		if r.Key != "" && !inSchema(reflect.TypeFor[seeds.Seed](), r.Key) {
			t.Errorf("%s: the schema has no key %s", r.Variable, r.Key)
		}
	}
}

func inSchema(t reflect.Type, path string) bool {
	for key := range strings.SplitSeq(strings.ReplaceAll(path, "[]", ""), ".") {
		for t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() == reflect.Map {
			t = t.Elem()
			continue
		}
		if t.Kind() != reflect.Struct {
			return false
		}
		fields := strict.Fields(t)
		i := slices.IndexFunc(fields, func(f strict.Field) bool { return f.Key == key })
		if i < 0 {
			return false
		}
		t = fields[i].Type
	}
	return true
}

// TestDocumentation: docs/import.md has the table.
func TestDocumentation(t *testing.T) {
	const path, begin, end = "../../docs/import.md", "<!-- The table is written by go test ./seeds/ansible -update. -->\n", "<!-- The end of the table. -->\n"
	var b strings.Builder
	b.WriteString("\n| variable | key of the cluster file | |\n| --- | --- | --- |\n")
	for _, r := range table {
		key := r.Key
		if key != "" {
			key = "`" + key + "`"
		} else {
			key = "none"
		}
		b.WriteString("| `" + r.Variable + "` | " + key + " | " + r.Note + " |\n")
	}
	b.WriteString("\n")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", path)
	}
	golden.Check(t, path, before+begin+b.String()+end+after)
}

// TestLarge: the largest files take seconds, whatever is wrong with them.
func TestLarge(t *testing.T) {
	var good, bad, ports, sysctl strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&good, "  - {option: a.b%d, value: x}\n", i)
		fmt.Fprintf(&bad, "  - {option: a-b%d, value: x}\n", i)
		fmt.Fprintf(&ports, "    - '%d'\n", 20000+i)
		fmt.Fprintf(&sysctl, "    - {name: a.b%d, value: %d}\n", i, i)
	}
	hosts := "[master]\nn1\n[replica]\nn[2:999]\n[postgres_cluster:children]\nmaster\nreplica\n"
	for name, vars := range map[string]string{
		"good":   "postgresql_parameters:\n" + good.String(),
		"bad":    "postgresql_parameters:\n" + bad.String(),
		"ports":  "firewall_allowed_tcp_ports_for:\n  postgres_cluster:\n" + ports.String(),
		"sysctl": "sysctl_conf:\n  postgres_cluster:\n" + sysctl.String(),
	} {
		in := Input{Vars: []File{{"main.yml", []byte("patroni_cluster_name: x\ndcs_type: etcd\n" + vars)}}, Inventory: File{"inventory", []byte(hosts)},
			Addresses: map[string]netip.Prefix{}}
		address := netip.MustParseAddr("10.0.0.1")
		for i := range 999 {
			in.Addresses[fmt.Sprintf("n%d", i+1)] = netip.PrefixFrom(address, 16)
			address = address.Next()
		}
		result, err := Import(in)
		if err != nil {
			t.Fatal(err)
		}
		if (result.Cluster == nil) == (len(result.Report.Missing) == 0) {
			t.Errorf("%s: %d bytes and %d missing", name, len(result.Cluster), len(result.Report.Missing))
		}
	}
}
