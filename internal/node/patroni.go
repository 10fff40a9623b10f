package node

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

const (
	patroniUnit   = "patroni.service"
	patroniConfig = "/etc/patroni/config.yml"

	// PatroniNamespace is where Patroni keeps its clusters in the DCS.
	PatroniNamespace = "/service/"

	// The roles that Patroni itself uses.
	superuser   = "postgres"
	replication = "replicator"
	rewind      = "rewind"

	// initdbLocale is the default of the pgsql_cluster playbook, which Banyan
	// replaces, so that a cluster moved from there sorts as before. Every image
	// has it.
	initdbLocale = "ru_RU.UTF-8"
)

// PostgreSQLVersion is the major version that the node runs: the seed's, or else
// the highest one that has data here, so that an image with a higher one does
// not start on an empty data directory, or else the highest one installed.
func PostgreSQLVersion(s seeds.Seed, f facts.Facts) (int, error) {
	want := s.PostgreSQL.Version
	switch {
	case len(f.PostgreSQL) == 0:
		return 0, fmt.Errorf("postgresql: no server is installed in /usr/lib/postgresql")
	case want != 0 && !slices.Contains(f.PostgreSQL, want):
		return 0, fmt.Errorf("postgresql.version: %d is not installed; this machine has %v", want, f.PostgreSQL)
	case want != 0:
		return want, nil
	case len(f.PostgreSQLData) == 0:
		return slices.Max(f.PostgreSQL), nil
	}
	want = slices.Max(f.PostgreSQLData)
	if !slices.Contains(f.PostgreSQL, want) {
		return 0, fmt.Errorf("postgresql: %s holds data, and %d is not installed; this machine has %v; "+
			"install it, or say in postgresql.version which one to run", DataDir(want), want, f.PostgreSQL)
	}
	return want, nil
}

// checkInitdb refuses a machine on which initdb would fail.
func checkInitdb(locales []string) error {
	if !hasLocale(locales, initdbLocale) {
		return fmt.Errorf("postgresql: initdb needs the locale %s, which was not generated; see locale-gen(8)", initdbLocale)
	}
	return nil
}

// DataDir is PostgreSQL's data directory, where Debian would put that of its
// cluster "main".
func DataDir(version int) string { return fmt.Sprintf("/var/lib/postgresql/%d/main", version) }

// patroni is PostgreSQL under Patroni. Like etcd it starts by itself once the
// node is born.
func patroni(s seeds.Seed, self seeds.Node, f facts.Facts) ([]converge.Resource, error) {
	version, err := PostgreSQLVersion(s, f)
	if err != nil {
		return nil, err
	}
	config, err := marshalPatroni(s, self, version)
	if err != nil {
		return nil, err
	}
	environment := "PATRONICTL_CONFIG_FILE=" + patroniConfig + "\n"
	if f.Etcd.Before(3, 4) {
		environment += "ETCDCTL_API=3\n" // its default does not show what Patroni writes
	}
	resources := []converge.Resource{
		converge.Directory{Path: fmt.Sprintf("/var/lib/postgresql/%d", version), Mode: 0o755, Owner: "postgres"},
		converge.File{Path: patroniConfig, Mode: 0o600, Owner: "postgres", Content: config, Secret: true},
		file("/etc/environment", banner+environment),
	}
	// Started after etcd, it also stops before it, and so can give up its lock.
	// As for the interval, see etcd.
	resources = append(resources, dropIn(patroniUnit, `[Unit]
Wants=network-online.target
After=network-online.target etcd.service

[Service]
RestartSec=5
`)...)
	return append(resources,
		converge.Unit{Name: "postgresql.service"}, // Debian's own way to start PostgreSQL
		converge.Unit{Name: patroniUnit, Enabled: f.Born, ReloadOn: []string{patroniConfig}}), nil
}

// The types below are Patroni's configuration file:
// https://patroni.readthedocs.io/en/latest/yaml_configuration.html
type patroniFile struct {
	Scope      string            `yaml:"scope"`
	Namespace  string            `yaml:"namespace"`
	Name       string            `yaml:"name"`
	Log        patroniLog        `yaml:"log"`
	RESTAPI    patroniREST       `yaml:"restapi"`
	Etcd3      patroniEtcd       `yaml:"etcd3"`
	Bootstrap  patroniBootstrap  `yaml:"bootstrap"`
	PostgreSQL patroniPostgreSQL `yaml:"postgresql"`
}

type patroniLog struct {
	Format string `yaml:"format"`
}

type patroniREST struct {
	Listen                  string `yaml:"listen"`
	ConnectAddress          string `yaml:"connect_address"`
	AllowlistIncludeMembers bool   `yaml:"allowlist_include_members"`
}

type patroniEtcd struct {
	Hosts []string `yaml:"hosts"`
}

type patroniBootstrap struct {
	DCS    patroniDynamic `yaml:"dcs"`
	Initdb []any          `yaml:"initdb"` // names of options, and pairs of a name and a value
}

// patroniDynamic is written to the DCS when the cluster is born. From then on
// the copy in the DCS counts, which a DBA changes with `patronictl edit-config`.
type patroniDynamic struct {
	TTL          seeds.Seconds `yaml:"ttl"`
	LoopWait     seeds.Seconds `yaml:"loop_wait"`
	RetryTimeout seeds.Seconds `yaml:"retry_timeout"`
	PostgreSQL   struct {
		UsePgRewind bool           `yaml:"use_pg_rewind"`
		UseSlots    bool           `yaml:"use_slots"`
		Parameters  map[string]any `yaml:"parameters"`
	} `yaml:"postgresql"`
}

type patroniPostgreSQL struct {
	Listen         string                    `yaml:"listen"`
	ConnectAddress string                    `yaml:"connect_address"`
	UseUnixSocket  bool                      `yaml:"use_unix_socket"`
	DataDir        string                    `yaml:"data_dir"`
	BinDir         string                    `yaml:"bin_dir"`
	PgPass         string                    `yaml:"pgpass"`
	Authentication map[string]authentication `yaml:"authentication"`
	PgHBA          []string                  `yaml:"pg_hba"`
}

type authentication struct {
	Username string `yaml:"username"`
	Password string `yaml:"password"`
}

func marshalPatroni(s seeds.Seed, self seeds.Node, version int) (string, error) {
	address := self.Address.Addr()
	c := patroniFile{
		Scope:     s.Cluster.Name,
		Namespace: PatroniNamespace,
		Name:      self.Name,
		Log:       patroniLog{Format: "%(levelname)s: %(message)s"}, // the journal adds the time
		RESTAPI: patroniREST{
			Listen:                  addrPort(address, PatroniPort),
			ConnectAddress:          addrPort(address, PatroniPort),
			AllowlistIncludeMembers: true,
		},
		Etcd3: patroniEtcd{Hosts: []string{"127.0.0.1:" + strconv.Itoa(etcdClientPort)}},
		Bootstrap: patroniBootstrap{
			DCS: dynamic(s),
			Initdb: []any{
				map[string]string{"encoding": "UTF8"},
				map[string]string{"locale": initdbLocale},
				"data-checksums",
				"allow-group-access",
				// Nobody is trusted, not even while the cluster is being born; and
				// PostgreSQL 13 hashes the superuser's password as auth-host says.
				map[string]string{"auth-local": "peer"},
				map[string]string{"auth-host": "scram-sha-256"},
			},
		},
		PostgreSQL: patroniPostgreSQL{
			// All addresses: one that is added to the machine later must be served too.
			Listen:         "*:" + strconv.Itoa(PostgreSQLPort),
			ConnectAddress: addrPort(address, PostgreSQLPort),
			UseUnixSocket:  true,
			DataDir:        DataDir(version),
			BinDir:         fmt.Sprintf("/usr/lib/postgresql/%d/bin", version),
			PgPass:         fmt.Sprintf("/var/lib/postgresql/%d-main.pgpass", version),
			Authentication: map[string]authentication{
				"superuser":   {superuser, s.Secrets.SuperuserPassword.Reveal()},
				"replication": {replication, s.Secrets.ReplicationPassword.Reveal()},
				"rewind":      {rewind, s.Secrets.RewindPassword.Reveal()},
			},
			PgHBA: append(computedHBA(s), s.PostgreSQL.PgHBA...),
		},
	}

	var document yaml.Node
	if err := document.Encode(c); err != nil {
		return "", fmt.Errorf("%s: %w", patroniConfig, err)
	}
	quoteText(&document)

	var b bytes.Buffer
	b.WriteString(banner)
	encode := yaml.NewEncoder(&b)
	encode.SetIndent(2)
	if err := encode.Encode(&document); err != nil {
		return "", fmt.Errorf("%s: %w", patroniConfig, err)
	}
	if err := encode.Close(); err != nil {
		return "", fmt.Errorf("%s: %w", patroniConfig, err)
	}
	return b.String(), nil
}

// quoteText puts every text that is a value in double quotes. Patroni reads YAML
// with PyYAML, which has text such as 1234-56-78, 0b______, = and << for a date, a
// number and marks of YAML 1.1, where yaml.v3 sees no need of quotes.
func quoteText(n *yaml.Node) {
	for i, child := range n.Content {
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			quoteText(child)
		}
	}
	if n.Kind == yaml.ScalarNode && !slices.Contains([]string{"!!int", "!!float", "!!bool"}, n.Tag) {
		n.Tag, n.Style = "!!str", yaml.DoubleQuotedStyle
	}
}

func dynamic(s seeds.Seed) patroniDynamic {
	d := patroniDynamic{TTL: s.Patroni.TTL, LoopWait: s.Patroni.LoopWait, RetryTimeout: s.Patroni.RetryTimeout}
	d.PostgreSQL.UsePgRewind, d.PostgreSQL.UseSlots = true, true
	d.PostgreSQL.Parameters = map[string]any{
		"password_encryption":     "scram-sha-256",
		"unix_socket_directories": "/var/run/postgresql",
	}
	maps.Copy(d.PostgreSQL.Parameters, s.PostgreSQL.Parameters)
	return d
}

// computedHBA is the part of pg_hba.conf that the cluster lives on. Nobody else
// gets in from the network unless the seed's own lines, which follow, let them.
func computedHBA(s seeds.Seed) []string {
	lines := []string{
		"local all,replication " + superuser + " peer",
		"local all all scram-sha-256",
		"host all all 127.0.0.1/32 scram-sha-256",
		"host all all ::1/128 scram-sha-256",
		// Patroni asks its own server over a replication connection.
		"host replication " + replication + " 127.0.0.1/32 scram-sha-256",
		"host replication " + replication + " ::1/128 scram-sha-256",
	}
	for _, n := range s.Nodes {
		a := n.Address.Addr()
		host := fmt.Sprintf("%s/%d", a, a.BitLen())
		lines = append(lines,
			"host replication "+replication+" "+host+" scram-sha-256",
			"host postgres "+rewind+" "+host+" scram-sha-256")
	}
	return lines
}
