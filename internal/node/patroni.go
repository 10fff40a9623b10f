package node

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

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

	// postgresqlHome is where Debian keeps PostgreSQL's data.
	postgresqlHome = "/var/lib/postgresql"
)

// PostgreSQLVersion is the major version that the node runs: the seed's, or else
// the highest one that has data here, so that an image with a higher one does
// not start on an empty data directory, or else the highest one installed.
func PostgreSQLVersion(self seeds.Node, f facts.Facts) (int, error) {
	want := self.PostgreSQL.Version
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
			"install it, or say in postgresql.version which one to run", DataDir(self, want), want, f.PostgreSQL)
	}
	return want, nil
}

// checkInitdb refuses a machine on which initdb would fail.
func checkInitdb(i seeds.Initdb, f facts.Facts) error {
	if !hasLocale(f.Locales, i.Locale) {
		return fmt.Errorf("postgresql.initdb.locale: %s was not generated; this machine has %s", i.Locale, strings.Join(f.Locales, ", "))
	}
	return nil
}

// DataDir is PostgreSQL's data directory: the seed's, or where Debian would put that
// of its cluster "main".
func DataDir(self seeds.Node, version int) string {
	if self.PostgreSQL.DataDir != "" {
		return self.PostgreSQL.DataDir
	}
	return fmt.Sprintf("%s/%d/main", postgresqlHome, version)
}

// above are the directories between a service's own and path, which postgres has to
// have. What lies elsewhere is a person's, or a volume's.
func above(home, path string) []converge.Resource {
	var directories []converge.Resource
	for dir := filepath.Dir(path); strings.HasPrefix(dir, home+"/"); dir = filepath.Dir(dir) {
		directories = append(directories, converge.Directory{Path: dir, Mode: 0o755, Owner: "postgres"})
	}
	slices.Reverse(directories)
	return directories
}

// patroni is PostgreSQL under Patroni. Like etcd it starts by itself once the
// node is born.
func patroni(s seeds.Seed, self seeds.Node, f facts.Facts) ([]converge.Resource, error) {
	version, err := PostgreSQLVersion(self, f)
	if err != nil {
		return nil, err
	}
	config, err := marshalPatroni(s, self, version, f.Patroni)
	if err != nil {
		return nil, err
	}
	resources := above(postgresqlHome, DataDir(self, version))
	if s.Cluster.DCS == seeds.DCSRaft {
		dir := self.Patroni.Raft.DataDir
		resources = append(resources, above("/var/lib", dir)...)
		resources = append(resources, converge.Directory{Path: dir, Mode: 0o700, Owner: "postgres"})
	}
	resources = append(resources, converge.File{Path: patroniConfig, Mode: 0o600, Owner: "postgres", Content: config, Secret: true})
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

func marshalPatroni(s seeds.Seed, self seeds.Node, version int, patroni facts.Version) (string, error) {
	address, p := self.Address.Addr(), self.Patroni
	c := patroniFile{
		Scope:     s.Cluster.Name,
		Namespace: PatroniNamespace,
		Name:      self.Name,
		Log: patroniLog{
			Level: p.Log.Level, TracebackLevel: p.Log.TracebackLevel,
			Format: "%(levelname)s: %(message)s", // the journal adds the time
		},
		RESTAPI: patroniREST{
			Listen:                  addrPort(address, p.RESTAPI.Port),
			ConnectAddress:          addrPort(address, p.RESTAPI.Port),
			Allowlist:               p.RESTAPI.Allowlist,
			AllowlistIncludeMembers: true,
		},
		Etcd3:     patroniEtcdOf(s, self),
		Raft:      patroniRaftOf(s, self),
		Bootstrap: patroniBootstrap{DCS: dynamic(s, self, patroni), Initdb: initdb(self.PostgreSQL.Initdb, version)},
		PostgreSQL: patroniPostgreSQL{
			// All addresses: one that is added to the machine later must be served too.
			Listen:         "*:" + strconv.Itoa(int(self.PostgreSQL.Port)),
			ConnectAddress: addrPort(address, self.PostgreSQL.Port),
			UseUnixSocket:  true,
			DataDir:        DataDir(self, version),
			BinDir:         fmt.Sprintf("/usr/lib/postgresql/%d/bin", version),
			PgPass:         fmt.Sprintf("%s/%d-main.pgpass", postgresqlHome, version),
			Authentication: map[string]authentication{
				"superuser":   {superuser, s.Secrets.SuperuserPassword.Reveal()},
				"replication": {replication, s.Secrets.ReplicationPassword.Reveal()},
				"rewind":      {rewind, s.Secrets.RewindPassword.Reveal()},
			},
			Parameters:                             ownParameters(s, self),
			PgHBA:                                  append(computedHBA(s), self.PostgreSQL.PgHBA...),
			PgIdent:                                self.PostgreSQL.PgIdent,
			CreateReplicaMethods:                   p.CreateReplicaMethods,
			Basebackup:                             map[string]string{"max-rate": p.Basebackup.MaxRate, "checkpoint": string(p.Basebackup.Checkpoint)},
			PgProbackup:                            pgProbackup(p, patroni),
			RecoveryConf:                           given(map[string]string{"restore_command": p.RestoreCommand}),
			RemoveDataDirectoryOnRewindFailure:     p.RemoveDataDirectoryOnRewindFailure,
			RemoveDataDirectoryOnDivergedTimelines: p.RemoveDataDirectoryOnDivergedTimelines,
		},
		Watchdog: patroniWatchdog{Mode: p.Watchdog.Mode, Device: p.Watchdog.Device, SafetyMargin: p.Watchdog.SafetyMargin},
		Tags:     tags(p.Tags),
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
