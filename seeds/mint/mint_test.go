package mint

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"banyan/internal/golden"
	"banyan/seeds"
)

var now = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func cluster(t *testing.T, text string) *ClusterFile {
	t.Helper()
	c, _, err := Parse("cluster.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func sites(t *testing.T) string { t.Helper(); return readFile(t, "testdata/sites.yaml") }

func mint(t *testing.T, text string, before *Secrets, o Options) *minted {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = now
	}
	m, err := cluster(t, text).mint(t.Context(), before, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// texts are the seeds by node, parsed.
func texts(t *testing.T, m *minted) (seed map[string]string, parsed map[string]*seeds.Seed) {
	t.Helper()
	seed, parsed = map[string]string{}, map[string]*seeds.Seed{}
	for i, n := range m.nodes {
		text, err := m.Seed(i)
		if err != nil {
			t.Fatal(err)
		}
		if parsed[n.Name], err = seeds.Parse(n.Name, text); err != nil {
			t.Fatal(err)
		}
		seed[n.Name] = string(text)
	}
	return seed, parsed
}

func ownNode(t *testing.T, s *seeds.Seed) seeds.Node {
	t.Helper()
	if own := s.Own(); len(own) == 1 {
		return own[0]
	}
	t.Fatalf("the seed is for the node %q", s.Node)
	return seeds.Node{}
}

var byChance = regexp.MustCompile(`(?s)-----BEGIN ([A-Z ]+)-----.*?-----END|SCRAM-SHA-256\$[0-9A-Za-z+/=$:]+|[0-9a-f]{8}-[0-9a-f-]{27}|(?:password: )[A-Z2-7]{26}`)

// TestGolden: the whole seed of each node, with all that chance made masked.
func TestGolden(t *testing.T) {
	m := mint(t, sites(t), nil, Options{})
	all, err := m.Universal()
	if err != nil {
		t.Fatal(err)
	}
	got, _ := texts(t, m)
	got["universal"] = string(all)
	for name, text := range got {
		masked := byChance.ReplaceAllStringFunc(text, func(s string) string {
			if kind := byChance.FindStringSubmatch(s)[1]; kind != "" {
				return kind
			}
			key, _, _ := strings.Cut(s, " ")
			return pick(strings.HasSuffix(key, ":"), key+" MINTED", "MINTED")
		})
		golden.Check(t, "testdata/"+name+".golden", masked)
	}
}

func pick(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}

// same makes sure that the seed of a node says what the cluster file says, but for what is
// minted and what the node has no use for.
func same(t *testing.T, got, want *seeds.Seed) {
	t.Helper()
	if got.Cluster.ID == "" || got.Cluster.Generation <= want.Cluster.Generation || got.PKI.CA == "" {
		t.Errorf("the seed is of %+v", got.Cluster)
	}
	own := ownNode(t, got)
	isDatabase := own.Runs(seeds.ServicePostgreSQL)
	sections := func(got, want *seeds.Node, other bool) {
		p, w := &got.PostgreSQL, want.PostgreSQL
		p.Roles = w.Roles
		if !isDatabase {
			p.PgHBA, p.Parameters = w.PgHBA, w.Parameters
			a, b := &got.Patroni, want.Patroni
			a.CreateReplicaMethods, a.PgProbackup, a.RestoreCommand, a.StandbyCluster = b.CreateReplicaMethods, b.PgProbackup, b.RestoreCommand, b.StandbyCluster
		}
		if !isDatabase || other {
			e, w := &got.Etcd, want.Etcd
			e.Cert, e.Key, e.Username, e.Password = w.Cert, w.Key, w.Username, w.Password
		}
		if other {
			got.System.Users, got.System.Proxy = want.System.Users, want.System.Proxy
		}
	}
	for i := range got.Nodes {
		n := &got.Nodes[i]
		if (n.Name == own.Name) != (n.PKI.Key.Secret != "") {
			t.Errorf("%s: has a key of %s", own.Name, n.Name)
		}
		n.PKI = seeds.NodePKI{}
		sections(n, &want.Nodes[i], n.Name != own.Name)
	}
	whole, wantWhole := seeds.Node{PostgreSQL: got.PostgreSQL, Patroni: got.Patroni, Etcd: got.Etcd}, seeds.Node{PostgreSQL: want.PostgreSQL, Patroni: want.Patroni, Etcd: want.Etcd}
	sections(&whole, &wantWhole, false)
	got.PostgreSQL, got.Patroni, got.Etcd = whole.PostgreSQL, whole.Patroni, whole.Etcd
	got.Node, got.Cluster, got.PKI, got.Secrets = "", want.Cluster, want.PKI, want.Secrets
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", own.Name, got, want)
	}
}

// What a minted seed says is what the cluster file says, but for what is minted.
func TestSeedSaysWhatTheFileSays(t *testing.T) {
	files := map[string]string{
		"sites":   sites(t),
		"Windows": "\ufeff" + strings.ReplaceAll(sites(t), "\n", "\r\n"),
		"JSON":    `{"version": "banyan/v1", "cluster": {"name": "c"}, "nodes": [{"name": "null", "address": "10.0.0.1/8"}], "secrets": null, "pki": {}}`,
	}
	for _, pattern := range []string{"../testdata/good/*.yaml", "../examples/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || names == nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range names {
			files[filepath.Base(name)] = readFile(t, name)
		}
	}
	for name, text := range files {
		given := "" // what cannot be made
		switch {
		case strings.Contains(text, "\nsecrets:"):
		case strings.Contains(text, "auth: gss-tsig"):
			given = "\nsecrets: {dns_password: Hush-dns-password}\n"
		case strings.Contains(text, "standby_cluster:"):
			given = "\nsecrets: {superuser_password: Hush-superuser, replication_password: Hush-replicator, rewind_password: Hush-rewind}\n"
		}
		text += given
		t.Run(name, func(t *testing.T) {
			want, _, err := seeds.ParseCluster(name, []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			_, parsed := texts(t, mint(t, text, nil, Options{}))
			for _, got := range parsed {
				same(t, got, want)
			}
		})
	}
}

// TestNeeds: no seed has a secret that its node has no use for, and none has the key of
// an authority.
func TestNeeds(t *testing.T) {
	external := strings.NewReplacer("dcs: etcd", "dcs: external", ", etcd, haproxy]", ", haproxy]", "[etcd]", "[haproxy]", "[witness]", "[haproxy]").
		Replace(sites(t)) + "etcd: {endpoints: [https://e1:2379], username: patroni, password: Hush-external-etcd}\n"
	raft := strings.NewReplacer("dcs: etcd", "dcs: raft", ", etcd, haproxy]", ", haproxy]", "[etcd]", "[haproxy]").Replace(sites(t))
	type has struct{ database, raft, etcd, external bool }
	for name, c := range map[string]struct {
		text string
		want map[string]has
	}{
		"etcd": {sites(t), map[string]has{"pgsql-n1": {database: true, etcd: true}, "pgsql-n2": {database: true, etcd: true},
			"etcd-n3": {etcd: true}, "lb-n4": {}, "wit-n5.example.org": {etcd: true}}},
		"external": {external, map[string]has{"pgsql-n1": {database: true, external: true}, "pgsql-n2": {database: true, external: true},
			"etcd-n3": {}, "lb-n4": {}, "wit-n5.example.org": {}}},
		"raft": {raft, map[string]has{"pgsql-n1": {database: true, raft: true}, "pgsql-n2": {database: true, raft: true},
			"etcd-n3": {}, "lb-n4": {}, "wit-n5.example.org": {raft: true}}},
	} {
		m := mint(t, c.text, nil, Options{})
		seed, parsed := texts(t, m)
		for node, want := range c.want {
			s := parsed[node]
			got := has{s.Secrets.SuperuserPassword != "", s.Secrets.RaftPassword != "", ownNode(t, s).PKI.EtcdCertificate != "", strings.Contains(seed[node], "Hush-external")}
			if got != want {
				t.Errorf("%s: %s has %+v, want %+v", name, node, got, want)
			}
			if all := s.Secrets.ReplicationPassword != "" && s.Secrets.RewindPassword != "" && s.Secrets.TSIGSecret != ""; all != want.database {
				t.Errorf("%s: %s has the other passwords: %t", name, node, all)
			}
			if strings.Contains(seed[node], "SCRAM-SHA-256$") != want.database || strings.Contains(seed[node], "Hush-app") {
				t.Errorf("%s: %s has the wrong passwords of roles", name, node)
			}
			for _, a := range []Authority{m.Secrets.CA, m.Secrets.EtcdCA} {
				if key := a.Key.Reveal(); key != "" && strings.Contains(seed[node], strings.Split(key, "\n")[1]) {
					t.Errorf("%s: %s has the key of an authority", name, node)
				}
			}
		}
		if (m.Secrets.EtcdCA.Certificate != "") != (name == "etcd") {
			t.Errorf("%s: there is an authority of etcd: %t", name, m.Secrets.EtcdCA.Certificate != "")
		}
	}
}

// What only some nodes have a use for goes to no other, also where it is no secret by the
// schema and stands below a node.
func TestOwnSecrets(t *testing.T) {
	const text = `version: banyan/v1
cluster: {name: c, dcs: external}
etcd: {endpoints: [https://e1:2379]}
secrets: {superuser_password: Hush-superuser, replication_password: Hush-replicator, rewind_password: Hush-rewind}
system: {proxy: {http_proxy: "http://all:Hush-all@proxy:8080"}}
nodes:
  - name: db1
    address: 10.0.0.1/24
    services: [postgresql]
    etcd: {username: patroni, password: Hush-db1-etcd, cert: "CERT", key: "KEY1"}
    system: {users: [{name: dba, hashed_passwd: $y$j9T$Hush-db1-user}], proxy: {https_proxy: "http://db1:Hush-db1-proxy@proxy:8080"}}
    postgresql: {pg_hba: [host all all 10.0.0.0/8 ldap ldapserver=l ldapbasedn=dc=l ldapbindpasswd=Hush-base-node-hba], parameters: {primary_conninfo_x.y: Hush-base-node-parameter}}
    patroni: {restore_command: get --token Hush-base-node-restore %f %p, create_replica_methods: [pg_probackup], pg_probackup: {command: PGPASSWORD=Hush-base-node-backup pg_probackup}}
  - {name: db2, address: 10.0.0.2/24, services: [postgresql], etcd: {key: "KEY2", cert: "CERT"}}
  - {name: lb3, address: 10.0.0.3/24, services: [haproxy], system: {users: [{name: dba, hashed_passwd: $y$j9T$Hush-lb3-user}]}}
postgresql: {pg_hba: [host all all 10.0.0.0/8 radius radiusservers=r radiussecrets=Hush-base-hba], parameters: {archive_command: put --token Hush-base-parameter %p}}
patroni:
  restore_command: get --token Hush-base-restore %f %p
  create_replica_methods: [pg_probackup]
  pg_probackup: {command: PGPASSWORD=Hush-base-backup pg_probackup}
  standby_cluster: {host: 10.9.0.1, create_replica_methods: [pg_probackup], restore_command: get --token Hush-base-standby %f %p}
`
	const key1, key2 = "SHVzaC1kYjEta2V5", "SHVzaC1kYjIta2V5" // Hush-db1-key and 2
	certificate := "-----BEGIN CERTIFICATE-----\\n-----END CERTIFICATE-----\\n"
	key := func(of string) string {
		return "-----BEGIN PRIVATE KEY-----\\n" + of + "\\n-----END PRIVATE KEY-----\\n"
	}
	m := mint(t, strings.NewReplacer("CERT", certificate, "KEY1", key(key1), "KEY2", key(key2)).Replace(text), nil, Options{})
	all, err := m.Universal()
	if err != nil {
		t.Fatal(err)
	}
	base := []string{"Hush-base-node-hba", "Hush-base-node-parameter", "Hush-base-node-restore", "Hush-base-node-backup", "Hush-base-hba",
		"Hush-base-parameter", "Hush-base-restore", "Hush-base-backup", "Hush-base-standby", "Hush-superuser"}
	own := map[string][]string{
		"db1": append([]string{"Hush-all", "Hush-db1-etcd", "Hush-db1-user", "Hush-db1-proxy", key1}, base...),
		"db2": append([]string{"Hush-all", key2}, base...),
		"lb3": {"Hush-all", "Hush-lb3-user"},
	}
	given, _ := texts(t, m)
	for node, want := range own {
		for _, secrets := range own {
			for _, secret := range secrets {
				if has := strings.Contains(given[node], secret); has != slices.Contains(want, secret) {
					t.Errorf("%s has %s: %t", node, secret, has)
				}
				if !strings.Contains(string(all), secret) {
					t.Errorf("the seed for all has no %s", secret)
				}
			}
		}
	}
}

// TestAgain: what was minted comes back, also where a node is added.
func TestAgain(t *testing.T) {
	first := mint(t, sites(t), nil, Options{})
	read := func(m *minted) *Secrets {
		text, err := m.Secrets.Text()
		if err != nil {
			t.Fatal(err)
		}
		s, err := parseSecrets(secretsName, text)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s, m.Secrets) {
			t.Error("what is read is not what was written")
		}
		return s
	}
	before := read(first)
	again := mint(t, sites(t), before, Options{Now: now.AddDate(0, 3, 0)})
	if !reflect.DeepEqual(again.Secrets, before) {
		t.Error("minting again changed something")
	}
	one, _ := texts(t, first)
	two, _ := texts(t, again)
	if !reflect.DeepEqual(one, two) {
		t.Error("minting again changed a seed")
	}

	more := strings.Replace(sites(t), "nodes:\n", "nodes:\n  - {name: pgsql-n0, address: 172.16.32.10/24, services: [postgresql]}\n", 1)
	grown := mint(t, more, before, Options{})
	if g := grown.Secrets; g.Cluster.Generation != 2 || g.Cluster.ID != before.Cluster.ID || !reflect.DeepEqual(g.Nodes[1:], before.Nodes) ||
		!reflect.DeepEqual(g.CA, before.CA) || g.Passwords != before.Passwords || !reflect.DeepEqual(g.Roles, before.Roles) {
		t.Error("adding a node changed what the others have")
	}
	if made := grown.nodes[0].made; len(made) != 2 || made[0] != "it is new" || grown.nodes[1].made != nil {
		t.Errorf("it made %v", made)
	}
}

// A password that is no longer given becomes another, and not silently.
func TestPasswordNoLongerGiven(t *testing.T) {
	without := strings.Replace(sites(t), "  superuser_password: Hush-superuser # ours\n", "", 1)
	made := mint(t, without, nil, Options{}).Secrets
	given := mint(t, sites(t), made, Options{})
	if given.Warnings != nil || !slices.Equal(given.Secrets.Given, []string{"superuser_password"}) {
		t.Errorf("it warns %q and keeps %q", given.Warnings, given.Secrets.Given)
	}
	again := mint(t, without, given.Secrets, Options{})
	if len(again.Warnings) != 1 || !strings.HasPrefix(again.Warnings[0], "secrets.superuser_password was given and is no longer") {
		t.Errorf("it warns %q", again.Warnings)
	}
	if again.Secrets.Passwords != made.Passwords || again.Secrets.Given != nil {
		t.Error("it has another password than before")
	}
}

// TestGeneration grows where the seeds say something else, and only there.
func TestGeneration(t *testing.T) {
	before := mint(t, sites(t), nil, Options{}).Secrets
	for name, c := range map[string]struct {
		old, new string
		want     int
	}{
		"nothing":                   {"", "", 1},
		"a comment":                 {"# second", "# 2nd", 1},
		"a value":                   {"work_mem: 8MB", "work_mem: 9MB", 2},
		"a given password":          {"superuser_password: Hush-superuser", "superuser_password: Hush-another", 2},
		"a role's password":         {"password: Hush-app", "password: Hush-app-2", 2},
		"a generation":              {"dcs: etcd", "dcs: etcd, generation: 1", 1},
		"a generation that is ours": {"dcs: etcd", "dcs: etcd, generation: 8", 9},
		"its own id":                {"dcs: etcd", "dcs: etcd, id: " + string(before.Cluster.ID), 1},
	} {
		text := strings.Replace(sites(t), c.old, c.new, 1)
		if c.old != "" && text == sites(t) {
			t.Fatalf("%q is not there", c.old)
		}
		if got := mint(t, text, before, Options{}).Secrets.Cluster.Generation; got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func TestRefuses(t *testing.T) {
	for want, change := range map[string][2]string{
		`cluster.yaml:1:7: this is a seed that was minted`:                                                {"# A cluster", "node: pgsql-n1 #"},
		`pki.ca is written by minting`:                                                                    {"cluster:", "pki: {ca: \"-----BEGIN CERTIFICATE-----\\n-----END CERTIFICATE-----\\n\"}\ncluster:"},
		`the certificates of nodes are written by minting`:                                                {"{name: etcd-n3,", "{name: etcd-n3, pki: {certificate: \"-----BEGIN CERTIFICATE-----\\n-----END CERTIFICATE-----\\n\", key: \"-----BEGIN PRIVATE KEY-----\\n-----END PRIVATE KEY-----\\n\"},"},
		`the file secrets.yaml means something else`:                                                      {"name: etcd-n3", "name: secrets"},
		`the file aux.example.org.yaml means something else`:                                              {"name: etcd-n3", "name: aux.example.org"},
		`dns.auth tsig needs secrets.tsig_secret, which your DNS server know`:                             {"  tsig_secret: SHVzaC10c2ln\n", ""},
		`a standby cluster has the passwords of the cluster that it follows: add secrets.rewind_password`: {"postgresql:\n  pg_hba", "patroni: {standby_cluster: {host: 10.0.0.1}}\npostgresql:\n  pg_hba"},
		`the passwords of the cluster that it follows: add secrets.replication_password`:                  {"postgresql:\n  pg_hba", "patroni: {standby_cluster: {restore_command: cp %f %p, create_replica_methods: [pg_probackup]}, pg_probackup: {command: a}}\npostgresql:\n  pg_hba"},
		`dns.auth gss-tsig needs secrets.dns_password`:                                                    {"auth: tsig\n  key_name: pgsql-cl.", "auth: gss-tsig"},
	} {
		text := strings.Replace(sites(t), change[0], change[1], 1)
		if _, _, err := Parse("cluster.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Hush") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	before := mint(t, sites(t), nil, Options{}).Secrets
	for want, text := range map[string]string{
		"the secrets are of the cluster pgsql-cl, and cluster.yaml is of other": strings.Replace(sites(t), "{name: pgsql-cl, dcs", "{name: other, dcs", 1),
		"the secrets are of the cluster with the id":                            strings.Replace(sites(t), "dcs: etcd", "dcs: etcd, id: 6f1f0d9e-5b0c-4a3e-9a55-2f6f9a2f7f11", 1),
	} {
		if _, err := cluster(t, text).mint(t.Context(), before, Options{Now: now}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A broken file of secrets is reported without them.
func TestParseSecretsRefuses(t *testing.T) {
	m := mint(t, sites(t), nil, Options{})
	text, err := m.Secrets.Text()
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{m.Secrets.Passwords.RewindPassword.Reveal(), strings.Split(m.Secrets.CA.Key.Reveal(), "\n")[1]}
	for _, broken := range []string{
		strings.Replace(string(text), "PRIVATE KEY", "PRIVATE Hush", 1),
		strings.Replace(string(text), "generation: 1", "generation: "+secrets[0], 1),
		strings.Replace(string(text), "rewind_password: ", "rewind_password ", 1),
		strings.Replace(string(text), "passwords:", "password:", 1),
		string(text[:len(text)/2]), secrets[0],
	} {
		_, err := parseSecrets(secretsName, []byte(broken))
		if err == nil {
			t.Error("it was taken")
			continue
		}
		for _, secret := range secrets {
			if message := err.Error(); strings.Contains(message, secret) || !strings.HasPrefix(message, secretsName+":") {
				t.Errorf("it says\n%s", message)
			}
		}
	}
}

// TestCheck: what is wrong with the keys of any node is found, and not shown.
func TestCheck(t *testing.T) {
	m := mint(t, clusterOf(450), nil, Options{}) // more than are read at once
	if err := m.check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 3, 70, 449} {
		right := m.nodes[i].pki.Key
		m.nodes[i].pki.Key.Secret = "Hush"
		if err := m.check(t.Context()); err == nil || !strings.Contains(err.Error(), "expected a private key") || strings.Contains(err.Error(), "Hush") {
			t.Errorf("node %d: %v", i, err)
		}
		m.nodes[i].pki.Key = right
	}
}
