package node

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"
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

	// PatroniMayStart is there in a boot in which firstboot has looked at PostgreSQL's data
	// directory and had Patroni start, whatever it holds.
	PatroniMayStart = "/run/banyan/patroni"

	// The roles that Patroni itself uses.
	superuser   = seeds.SuperuserRole
	replication = seeds.ReplicationRole
	rewind      = seeds.RewindRole

	// postgresqlHome is where Debian keeps PostgreSQL's data, postgresqlLogs its logs.
	postgresqlHome = "/var/lib/postgresql"
	postgresqlLogs = "/var/log/postgresql"
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

// WALDir is where the write-ahead log is, or "" where it is in the data directory: the
// seed's, or on a volume of its own.
func WALDir(self seeds.Node, version int) string {
	if self.PostgreSQL.WALDir != "" {
		return self.PostgreSQL.WALDir
	}
	if _, ok := self.Storage.Volumes["wal"]; ok {
		return fmt.Sprintf("%s/%d-main", walHome(self), version)
	}
	return ""
}

// above are the directories between a service's own and path, which postgres has to
// have. What lies elsewhere is a person's, or a volume's.
func above(volumes []volume, home, path string) []converge.Resource {
	var directories []converge.Resource
	for dir := filepath.Dir(path); strings.HasPrefix(dir, home+"/"); dir = filepath.Dir(dir) {
		if onVolumePath(volumes, dir) != dir { // whose own step makes that
			directories = append(directories, converge.Directory{Path: dir, Mode: 0o755, Owner: "postgres", On: onVolumePath(volumes, dir)})
		}
	}
	slices.Reverse(directories)
	return directories
}

// database is the PostgreSQL of a node: what its files and the kernel are sized by.
type database struct {
	version         int
	dataDir, walDir string // walDir is "" where the log is in dataDir
	statsTemp       string // directory of statistics; "" for none
	volumes         []volume
	sizing          sizing
	cluster, own    map[string]any // see computedParameters
	inForce         settings       // likewise
}

func databaseOf(self seeds.Node, f facts.Facts, volumes []volume) (database, error) {
	version, err := PostgreSQLVersion(self, f)
	if err != nil {
		return database{}, err
	}
	d := database{version: version, dataDir: DataDir(self, version), walDir: WALDir(self, version), volumes: volumes}
	if !d.keepsStatisticsInMemory() {
		d.statsTemp = statsTemp
	}
	d.sizing = sizing{
		memory: f.Memory, cpus: f.CPUs, version: version, hugePage: self.System.HugePageSize,
		timezone: self.System.Timezone, statsTemp: d.statsTemp,
	}
	d.sizing.dataSize, d.sizing.class = d.disk(d.dataDir, f)
	d.sizing.walSize, _ = d.disk(cmp.Or(d.walDir, d.dataDir), f)
	d.cluster, d.own, d.inForce = computedParameters(d.sizing, self.PostgreSQL.Parameters)
	return d, nil
}

// disk is the size of the file system that a path is on, and the kind of disk below it.
func (d database) disk(path string, f facts.Facts) (int64, seeds.DiskClass) {
	if v := onVolume(d.volumes, path); v != nil {
		return v.disk.Size, v.disk.Class
	}
	for _, disk := range f.Disks {
		if disk.Boot {
			return f.DataSize, disk.Class
		}
	}
	return f.DataSize, ""
}

// patroni is PostgreSQL under Patroni. Like etcd it starts by itself once the
// node is born.
func patroni(s seeds.Seed, self seeds.Node, f facts.Facts, d database) (converge.Step, error) {
	config, err := marshalPatroni(s, self, d, abilities(f))
	if err != nil {
		return converge.Step{}, err
	}
	resources := above(d.volumes, postgresqlHome, d.dataDir)
	paths := []string{d.dataDir, postgresqlLogs}
	if d.walDir != "" {
		resources = append(resources, above(d.volumes, "/var/lib", d.walDir)...)
		paths = append(paths, d.walDir)
	}
	resources = append(resources, d.statsDirectory(self.PostgreSQL.StatsTempSize)...)
	resources = append(resources, converge.File{Path: patroniConfig, Mode: 0o600, Owner: "postgres", Content: config, Secret: true})
	store, run := etcdUnit, ""
	if s.Cluster.DCS == seeds.DCSRaft {
		store, run = RaftUnit, raftClient
	}
	// Started after etcd or raft, it also stops before it, and so can give up its lock.
	// However often it fails, it is to be tried again: nobody else would. When memory is
	// short the kernel spares Patroni and the postmaster, and takes a backend:
	// https://www.postgresql.org/docs/current/kernel-resources.html#LINUX-MEMORY-OVERCOMMIT
	// A core of PostgreSQL would be as large as its memory, and has the data in it.
	resources = append(resources, dropIn(patroniUnit, fmt.Sprintf(`[Unit]
Wants=network-online.target
After=network-online.target %s
%s
StartLimitIntervalSec=0

[Service]
# Where a cluster is not known, Patroni begins one of no data, and with half a copy it stays: what
# is to become of such a directory firstboot decides, which starts it then.
ExecCondition=+/bin/sh -c 'test -e %s || { test -n "$$(ls -A %s)" && ! test -e %s; }'
Restart=on-failure
# A VIP stays for some seconds after Patroni fell silent, 4 by default: one that crashed is to be back by then.
RestartSec=1
# A shutdown checkpoint takes its time; who is killed in it leaves its lock to expire.
TimeoutStopSec=5min
OOMScoreAdjust=-900
Environment=PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj PG_OOM_ADJUST_VALUE=0
LimitNOFILE=%d:%d
LimitMEMLOCK=infinity
LimitCORE=0
ProtectKernelTunables=yes
ProtectControlGroups=yes
%s`, store, requiresMounts(d.volumes, paths...), PatroniMayStart, d.dataDir, facts.CopyMarker, self.System.NoFile.Soft, self.System.NoFile.Hard, run))...)
	resources = append(resources,
		converge.Unit{Name: "postgresql.service"}, // Debian's own way to start PostgreSQL
		converge.Unit{Name: patroniUnit, Enabled: f.Joins(), ReloadOn: []string{patroniConfig, CAFile, certificateFile, patroniEtcdCA, patroniEtcdCertificate}})
	return converge.Step{Name: StepPatroni, Needs: needs(d.volumes, paths...), Resources: resources}, nil
}

// statsTemp is the directory of PostgreSQL's statistics where they are files, which are
// written over and over and so are kept in memory:
// https://www.postgresql.org/docs/14/runtime-config-statistics.html
const statsTemp = "/var/lib/pgsql_stats_tmp"

func (d database) statsDirectory(size seeds.Size) []converge.Resource {
	if d.statsTemp == "" {
		return nil
	}
	name := unit.UnitNamePathEscape(d.statsTemp) + ".mount"
	mount := unitFile(name, fmt.Sprintf(`[Unit]
Description=Statistics of PostgreSQL
Before=patroni.service

[Mount]
What=tmpfs
Where=%s
Type=tmpfs
Options=size=%d,uid=postgres,gid=postgres,mode=0700,nodev,nosuid,noexec

[Install]
WantedBy=multi-user.target
`, d.statsTemp, int64(size)))
	return []converge.Resource{mount, converge.Unit{Name: name, Enabled: true, Running: true, ReloadOn: []string{mount.Path}}}
}

func marshalPatroni(s seeds.Seed, self seeds.Node, d database, can abilities) (string, error) {
	address, p := self.Address.Addr(), self.Patroni
	c := patroniFile{
		Scope:     s.Cluster.Name,
		Namespace: PatroniNamespace,
		Name:      self.Name,
		Log:       patroniLogOf(p),
		RESTAPI: patroniREST{
			Listen:                  addrPort(address, p.RESTAPI.Port),
			ConnectAddress:          addrPort(address, p.RESTAPI.Port),
			Allowlist:               p.RESTAPI.Allowlist,
			AllowlistIncludeMembers: true,
			CertFile:                certificateFile,
			KeyFile:                 keyFile,
			CAFile:                  CAFile,
			VerifyClient:            "optional", // HAProxy and firstboot read, and show none
			Ciphers:                 p.RESTAPI.Ciphers,
		},
		CTL:       patroniCTL{CACert: CAFile, CertFile: certificateFile, KeyFile: keyFile},
		Etcd3:     patroniEtcdOf(s, self),
		Raft:      patroniRaftOf(s),
		Bootstrap: patroniBootstrap{DCS: dynamic(s, self, d.cluster, can), Initdb: initdb(self.PostgreSQL.Initdb, d)},
		PostgreSQL: patroniPostgreSQL{
			// All addresses: one that is added to the machine later must be served too.
			Listen:         "*:" + strconv.Itoa(int(self.PostgreSQL.Port)),
			ConnectAddress: addrPort(address, self.PostgreSQL.Port),
			UseUnixSocket:  true,
			DataDir:        d.dataDir,
			BinDir:         facts.BinDir(d.version),
			PgPass:         fmt.Sprintf("%s/%d-main.pgpass", postgresqlHome, d.version),
			Authentication: map[string]authentication{
				"superuser":   authenticate(superuser, s.Secrets.SuperuserPassword, CAFile),
				"replication": authenticate(replication, s.Secrets.ReplicationPassword, upstreamCAFile(p.StandbyCluster)),
				"rewind":      authenticate(rewind, s.Secrets.RewindPassword, upstreamCAFile(p.StandbyCluster)),
			},
			Parameters:           ownParameters(s, self, d.own),
			PgHBA:                append(computedHBA(s), self.PostgreSQL.PgHBA...),
			PgIdent:              self.PostgreSQL.PgIdent,
			CreateReplicaMethods: p.CreateReplicaMethods,
			Basebackup: given(map[string]string{
				"max-rate": p.Basebackup.MaxRate, "checkpoint": string(p.Basebackup.Checkpoint), "waldir": d.walDir,
			}),
			PgProbackup:                            pgProbackup(p, can),
			RecoveryConf:                           given(map[string]string{"restore_command": p.RestoreCommand}),
			Callbacks:                              callbacks(s, self),
			BeforeStop:                             beforeStop(s, self, can),
			RemoveDataDirectoryOnRewindFailure:     p.RemoveDataDirectoryOnRewindFailure,
			RemoveDataDirectoryOnDivergedTimelines: p.RemoveDataDirectoryOnDivergedTimelines,
		},
		Watchdog: patroniWatchdog{Mode: p.Watchdog.Mode, Device: WatchdogPath(p.Watchdog), SafetyMargin: p.Watchdog.SafetyMargin},
		Tags:     tags(p.Tags),
	}

	return patroniYAML(patroniConfig, c)
}

func patroniLogOf(p seeds.Patroni) patroniLog {
	return patroniLog{
		Level: p.Log.Level, TracebackLevel: p.Log.TracebackLevel,
		Format: "%(levelname)s: %(message)s", // the journal adds the time
	}
}

// patroniYAML is the content of a configuration of Patroni's that is to be at path.
func patroniYAML(path string, config any) (string, error) {
	var document yaml.Node
	if err := document.Encode(config); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	quoteText(&document)

	var b bytes.Buffer
	b.WriteString(banner)
	encode := yaml.NewEncoder(&b)
	encode.SetIndent(2)
	if err := encode.Encode(&document); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if err := encode.Close(); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
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
