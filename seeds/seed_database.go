package seeds

// PostgreSQL is what PostgreSQL itself is told, and what is made in it.
type PostgreSQL struct {
	// The major version; by default the one that has data, else the highest installed.
	Version int `yaml:"version" example:"17" source:"https://www.postgresql.org/support/versioning/"`
	// The port that PostgreSQL listens on.
	Port uint16 `yaml:"port" default:"5432"`
	// Whether PostgreSQL holds data already, which Patroni then takes over. An empty data
	// directory is an error on the first PostgreSQL node of such a cluster, and the others
	// wait for it. The data gets Patroni's roles with their passwords, and is recovered if
	// it was not shut down; what /etc/postgresql said of it belongs under parameters.
	Existing bool `yaml:"existing" source:"https://patroni.readthedocs.io/en/latest/existing_data.html"`
	// The data directory; by default /var/lib/postgresql/VERSION/main.
	DataDir string `yaml:"data_dir" example:"/var/lib/postgresql/17/main" source:"https://patroni.readthedocs.io/en/latest/yaml_configuration.html#postgresql"`
	// A directory of its own for the write-ahead log; by default pg_wal of the data directory.
	WALDir string `yaml:"wal_dir" example:"/var/lib/postgresql/wal" source:"https://www.postgresql.org/docs/current/app-initdb.html"`
	// The size of the tmpfs for statistics, below PostgreSQL 15.
	StatsTempSize Size `yaml:"stats_temp_size" default:"1024MB" source:"https://www.postgresql.org/docs/14/runtime-config-statistics.html"`
	// Parameters of postgresql.conf, in place of the computed ones: docs/parameters.md.
	Parameters map[string]any `yaml:"parameters" example:"{max_connections: 200}"` // int, float64, bool or string
	// Lines of pg_hba.conf that follow the computed ones.
	PgHBA []string `yaml:"pg_hba" example:"[hostssl all all 172.16.0.0/16 scram-sha-256]" source:"https://www.postgresql.org/docs/current/auth-pg-hba-conf.html"`
	// Lines of pg_ident.conf.
	PgIdent []string `yaml:"pg_ident" example:"[main backup postgres]" source:"https://www.postgresql.org/docs/current/auth-username-maps.html"`
	// How a new cluster is made.
	Initdb Initdb `yaml:"initdb" source:"https://www.postgresql.org/docs/current/app-initdb.html"`
	// Roles that the leader makes: once, and again when the seed says something else of one.
	Roles []Role `yaml:"roles" source:"https://www.postgresql.org/docs/current/sql-createrole.html"`
	// Databases that the leader makes, likewise. What is not listed any more stays.
	Databases []Database `yaml:"databases" source:"https://www.postgresql.org/docs/current/sql-createdatabase.html"`
}

// Initdb holds the options of initdb, which count when the cluster is born.
type Initdb struct {
	// The encoding of the databases.
	Encoding string `yaml:"encoding" default:"UTF8" example:"UTF8"`
	// The locale of the databases, which decides how they sort.
	Locale string `yaml:"locale" default:"ru_RU.UTF-8" example:"en_US.UTF-8"`
	// Whether pages have checksums.
	DataChecksums bool `yaml:"data-checksums" default:"true"`
	// Whether the group of the data directory's owner may read it.
	AllowGroupAccess bool `yaml:"allow-group-access" default:"true"`
}

// Role is a role of the database. Of one that is there already, what is listed here is
// set, and the rest stays.
type Role struct {
	// The role's name.
	Name string `yaml:"name" required:"true" example:"app"`
	// Its password: plain text, or the SCRAM verifier that pg_authid shows.
	Password Secret `yaml:"password" example:"SCRAM-SHA-256$4096:..." source:"https://www.postgresql.org/docs/current/catalog-pg-authid.html"`
	// Attributes, as CREATE ROLE names them.
	Options []RoleOption `yaml:"options" default:"[LOGIN]" example:"[LOGIN, CREATEDB]"`
	// Roles that it is a member of.
	InRole []string `yaml:"in_role" example:"[pg_monitor]"`
	// How many connections it may have at once; -1 is no limit, 0 lets it in nowhere.
	ConnectionLimit int `yaml:"connection_limit" default:"-1" example:"50"`
}

// Database is a database with its extensions.
type Database struct {
	// The database's name.
	Name string `yaml:"name" required:"true" example:"app"`
	// The role that it belongs to; by default the superuser.
	Owner string `yaml:"owner" example:"app"`
	// Its encoding, if it is yet to be made; by default that of the cluster.
	Encoding string `yaml:"encoding" example:"UTF8"`
	// Its locale, if it is yet to be made; by default that of the cluster.
	Locale string `yaml:"locale" example:"ru_RU.UTF-8"`
	// The extensions that are made in it, with those that they require.
	Extensions []string `yaml:"extensions" example:"[pg_stat_statements]" source:"https://www.postgresql.org/docs/current/sql-createextension.html"`
}

// Patroni is Patroni's configuration: the dynamic one, which the cluster shares, and
// below a node its own:
// remove_data_directory_on_rewind_failure, remove_data_directory_on_diverged_timelines,
// create_replica_methods, basebackup, pg_probackup, restore_command, callbacks, watchdog,
// tags, restapi, raft and log. The other keys have no place there.
type Patroni struct {
	// How long the leader holds its key without renewing it.
	TTL Seconds `yaml:"ttl" default:"30"`
	// How long a round of the main loop takes.
	LoopWait Seconds `yaml:"loop_wait" default:"10"`
	// How long Patroni tries an operation of the DCS or of PostgreSQL again.
	RetryTimeout Seconds `yaml:"retry_timeout" default:"10"`
	// How far a replica may lag and yet become leader, in bytes.
	MaximumLagOnFailover int64 `yaml:"maximum_lag_on_failover" default:"1048576"`
	// How long a failed primary may take to recover before another takes over.
	PrimaryStartTimeout Seconds `yaml:"primary_start_timeout" default:"300"`
	// How long a primary may take to stop where synchronous_mode is on; 0 is no limit.
	PrimaryStopTimeout Seconds `yaml:"primary_stop_timeout" default:"0"`
	// Whether commits wait for a replica: false, true, or quorum (Patroni 4 and later).
	SynchronousMode SynchronousMode `yaml:"synchronous_mode" default:"true" source:"https://patroni.readthedocs.io/en/latest/replication_modes.html"`
	// Whether commits wait even where there is no replica to wait for.
	SynchronousModeStrict bool `yaml:"synchronous_mode_strict" source:"https://patroni.readthedocs.io/en/latest/replication_modes.html"`
	// How many replicas are synchronous.
	SynchronousNodeCount int `yaml:"synchronous_node_count" default:"2"`
	// How far a replica may lag and yet be synchronous, in bytes; -1 is no limit.
	MaximumLagOnSyncnode int64 `yaml:"maximum_lag_on_syncnode" default:"-1"`
	// Whether the leader stays leader without the DCS while it reaches all members (Patroni 3 and later).
	FailsafeMode bool `yaml:"failsafe_mode" source:"https://patroni.readthedocs.io/en/latest/dcs_failsafe_mode.html"`
	// Whether a replica checks the leader's timeline before it becomes leader.
	CheckTimeline bool `yaml:"check_timeline"`
	// Whether a former leader is rewound to follow the new one.
	UsePgRewind bool `yaml:"use_pg_rewind" default:"true"`
	// Whether replicas use replication slots.
	UseSlots bool `yaml:"use_slots" default:"true"`
	// How long a member that is gone keeps its slot (Patroni 4 and later), such as 30min.
	MemberSlotsTTL string `yaml:"member_slots_ttl" example:"30min"`
	// Whether a data directory that cannot be rewound is removed and made anew.
	RemoveDataDirectoryOnRewindFailure bool `yaml:"remove_data_directory_on_rewind_failure" source:"https://patroni.readthedocs.io/en/latest/yaml_configuration.html#postgresql"`
	// Whether a data directory whose timeline went another way is removed and made anew.
	RemoveDataDirectoryOnDivergedTimelines bool `yaml:"remove_data_directory_on_diverged_timelines" source:"https://patroni.readthedocs.io/en/latest/yaml_configuration.html#postgresql"`
	// Permanent replication slots, by name.
	Slots map[string]Slot `yaml:"slots"`
	// The primary, or the archive, that this cluster follows as a standby.
	StandbyCluster StandbyCluster `yaml:"standby_cluster" source:"https://patroni.readthedocs.io/en/latest/standby_cluster.html"`
	// The ways to make a replica, in the order in which they are tried.
	CreateReplicaMethods []ReplicaMethod `yaml:"create_replica_methods" default:"[basebackup]" source:"https://patroni.readthedocs.io/en/latest/replica_bootstrap.html"`
	// Options of pg_basebackup.
	Basebackup Basebackup `yaml:"basebackup" source:"https://www.postgresql.org/docs/current/app-pgbasebackup.html"`
	// How pg_probackup makes a replica.
	PgProbackup PgProbackup `yaml:"pg_probackup" source:"https://patroni.readthedocs.io/en/latest/replica_bootstrap.html"`
	// The command that gets a segment of the write-ahead log back from an archive.
	RestoreCommand string `yaml:"restore_command" example:"cp /mnt/archive/%f %p" source:"https://www.postgresql.org/docs/current/runtime-config-wal.html"`
	// Programs that Patroni runs when the role or the state of the member changes.
	Callbacks Callbacks `yaml:"callbacks" source:"https://patroni.readthedocs.io/en/latest/yaml_configuration.html#postgresql"`
	// The watchdog that restarts a leader which no longer renews its key.
	Watchdog Watchdog `yaml:"watchdog" source:"https://patroni.readthedocs.io/en/latest/watchdog.html"`
	// What the member may become; for a node.
	Tags Tags `yaml:"tags" source:"https://patroni.readthedocs.io/en/latest/yaml_configuration.html#tags"`
	// Patroni's REST API.
	RESTAPI RESTAPI `yaml:"restapi" source:"https://patroni.readthedocs.io/en/latest/yaml_configuration.html#rest-api"`
	// Patroni's own consensus, where cluster.dcs is raft.
	Raft Raft `yaml:"raft" source:"https://patroni.readthedocs.io/en/latest/yaml_configuration.html#raft-deprecated"`
	// What Patroni logs.
	Log Log `yaml:"log" source:"https://patroni.readthedocs.io/en/latest/yaml_configuration.html#log"`
}

// Slot is a permanent replication slot.
type Slot struct {
	// Whether the slot is physical or logical.
	Type SlotType `yaml:"type" default:"physical"`
	// The database of a logical slot.
	Database string `yaml:"database" example:"app"`
	// The output plugin of a logical slot.
	Plugin string `yaml:"plugin" example:"pgoutput"`
}

// StandbyCluster is the primary that a standby cluster follows. With host or
// restore_command the cluster is a standby cluster.
type StandbyCluster struct {
	// The address of the primary, or several with commas between them (Patroni 2.1.3 and
	// later); without it the archive of restore_command alone is followed.
	Host string `yaml:"host" example:"172.16.64.180"`
	// The port of the primary.
	Port uint16 `yaml:"port" default:"5432"`
	// The certificate of the authority that signed the primary's, where it is another cluster's:
	// its ca.crt.
	SSLRootCert PEM `yaml:"sslrootcert" source:"https://www.postgresql.org/docs/current/libpq-ssl.html"`
	// The slot on the primary.
	PrimarySlotName string `yaml:"primary_slot_name" example:"standby_cl"`
	// The ways to make the standby leader, in the order in which they are tried.
	CreateReplicaMethods []ReplicaMethod `yaml:"create_replica_methods" default:"[basebackup]"`
	// The command that gets a segment of the write-ahead log from an archive.
	RestoreCommand string `yaml:"restore_command" example:"cp /mnt/archive/%f %p"`
	// The command that removes segments that are no longer needed from an archive.
	ArchiveCleanupCommand string `yaml:"archive_cleanup_command" example:"pg_archivecleanup /mnt/archive %r"`
	// How long to wait before a change of the primary is applied, such as 5min.
	RecoveryMinApplyDelay string `yaml:"recovery_min_apply_delay" example:"5min" source:"https://www.postgresql.org/docs/current/runtime-config-replication.html"`
}

// Follows tells whether there is a primary or an archive to follow.
func (c StandbyCluster) Follows() bool { return c.Host != "" || c.RestoreCommand != "" }

// Basebackup holds options of pg_basebackup.
type Basebackup struct {
	// The most that is read from the leader in a second.
	MaxRate string `yaml:"max-rate" default:"1000M" example:"100M"`
	// Whether the checkpoint before the copy is fast or spread.
	Checkpoint Checkpoint `yaml:"checkpoint" default:"fast"`
}

// PgProbackup says how pg_probackup restores a replica.
type PgProbackup struct {
	// The command; Patroni adds what it knows of the member.
	Command string `yaml:"command" example:"pg_probackup-17 restore -B /mnt/backup --instance main -D /var/lib/postgresql/17/main"`
	// Whether the data directory is kept.
	KeepData bool `yaml:"keep_data" default:"true"`
	// Whether the command is called without Patroni's parameters.
	NoParams bool `yaml:"no_params" default:"true"`
}

// Callbacks are commands that Patroni runs as postgres. It adds the name of the event,
// the member's role and the cluster's name, waits for none, and ends one that still runs
// when the next is due. Where the leader has a virtual address, on_start, on_stop and
// on_role_change are by default "/usr/bin/dnscp --", which has that follow at once; a command
// in its place should run it too, with what Patroni adds, or the address follows a second
// later.
type Callbacks struct {
	// After PostgreSQL was started.
	OnStart string `yaml:"on_start" example:"/opt/site/on-change --quiet"`
	// After PostgreSQL was stopped.
	OnStop string `yaml:"on_stop" example:"/opt/site/on-change --quiet"`
	// After PostgreSQL was restarted.
	OnRestart string `yaml:"on_restart" example:"/opt/site/on-change --quiet"`
	// After PostgreSQL's configuration was read again.
	OnReload string `yaml:"on_reload" example:"/opt/site/on-change --quiet"`
	// After the member has become the leader, or a replica.
	OnRoleChange string `yaml:"on_role_change" example:"/opt/site/on-change --quiet"`
}

// Watchdog is Patroni's use of a watchdog device.
type Watchdog struct {
	// off, automatic (where there is one) or required.
	Mode WatchdogMode `yaml:"mode" default:"automatic"`
	// The device; by default the hardware's where there is one, else that of driver.
	Device string `yaml:"device" example:"/dev/watchdog1"`
	// How long before the key is lost the watchdog fires; -1 is half of ttl, the
	// only full guarantee.
	SafetyMargin Seconds `yaml:"safety_margin" default:"-1"`
	// The kernel module that is loaded for it, empty for none; softdog counts only
	// where the hardware has no watchdog.
	Driver string `yaml:"driver" default:"softdog" example:"iTCO_wdt"`
}

// Tags say what a member may become.
type Tags struct {
	// Whether the member never becomes leader.
	NoFailover bool `yaml:"nofailover"`
	// Whether the REST API answers no check of a load balancer for replicas.
	NoLoadBalance bool `yaml:"noloadbalance"`
	// Whether new replicas are copied from this one, rather than from the leader.
	CloneFrom bool `yaml:"clonefrom"`
	// Whether the member is never synchronous.
	NoSync bool `yaml:"nosync"`
	// The member that this one replicates from.
	ReplicateFrom string `yaml:"replicatefrom" example:"pgsql-n2"`
}

// RESTAPI is Patroni's REST API.
type RESTAPI struct {
	// The port.
	Port uint16 `yaml:"port" default:"8008"`
	// The ciphers of TLS 1.2, as openssl-ciphers(1) writes them.
	Ciphers string `yaml:"ciphers" default:"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES256-GCM-SHA384:!SSLv1:!SSLv2:!SSLv3:!TLSv1:!TLSv1.1" example:"ECDHE-ECDSA-AES256-GCM-SHA384"`
	// Further networks and hosts that may write (Patroni 2.1 and later); members always may.
	Allowlist []string `yaml:"allowlist" example:"[172.16.32.5]"`
}

// Raft is Patroni's own consensus.
type Raft struct {
	// The port of its members.
	Port uint16 `yaml:"port" default:"2379"`
	// Where a member keeps its journal.
	DataDir string `yaml:"data_dir" default:"/var/lib/patroni/raft" example:"/var/lib/patroni/raft"`
}

// Log is what Patroni logs to the journal.
type Log struct {
	// The least level that is logged.
	Level LogLevel `yaml:"level" default:"INFO"`
	// The level from which on tracebacks are shown.
	TracebackLevel LogLevel `yaml:"traceback_level" default:"ERROR"`
}

// Etcd is the member that a node runs, or the etcd that stands already.
type Etcd struct {
	// The name that tells this cluster's members from another's; by default cluster.name.
	InitialClusterToken string `yaml:"initial-cluster-token" example:"etcd-pgsql-cl"`
	// Time between heartbeats, in milliseconds; by default 100, and 1000 where the
	// cluster has several sites.
	HeartbeatInterval int `yaml:"heartbeat-interval" example:"1000" source:"https://etcd.io/docs/v3.5/tuning/"`
	// Time without a heartbeat until an election, in milliseconds; by default 1000, and
	// 5000 where the cluster has several sites.
	ElectionTimeout int `yaml:"election-timeout" example:"5000" source:"https://etcd.io/docs/v3.5/tuning/"`
	// How large the database may grow.
	QuotaBackendBytes Size `yaml:"quota-backend-bytes" default:"2GB"`
	// How much history is kept, in hours.
	AutoCompactionRetention int `yaml:"auto-compaction-retention" default:"1" source:"https://etcd.io/docs/v3.5/op-guide/maintenance/"`
	// How many nightly snapshots each member keeps; with 0 none are taken.
	Snapshots int `yaml:"snapshots" default:"7" source:"https://etcd.io/docs/v3.5/op-guide/recovery/"`
	// The members of an etcd that stands already, where cluster.dcs is external.
	Endpoints []string `yaml:"endpoints" example:"[https://etcd1.example.org:2379]"`
	// The certificate of the authority that the external etcd is checked against.
	CACert PEM `yaml:"cacert"`
	// The certificate that the external etcd knows this cluster by.
	Cert PEM `yaml:"cert"`
	// The key of that certificate.
	Key PrivateKey `yaml:"key"`
	// The user of the external etcd, if it wants one: he reads and writes /service/ and what is below.
	Username string `yaml:"username" example:"patroni"`
	// That user's password.
	Password Secret `yaml:"password" example:"change-me"`
}

// HAProxy balances connections over the members.
type HAProxy struct {
	// What each port serves.
	Ports HAProxyPorts `yaml:"ports"`
	// How many connections are taken.
	Maxconn HAProxyMaxconn `yaml:"maxconn"`
	// How long it waits.
	Timeout HAProxyTimeout `yaml:"timeout"`
	// How connections to replicas are spread.
	Balance Balance `yaml:"balance" default:"roundrobin"`
}

// HAProxyPorts are the ports that clients connect to.
type HAProxyPorts struct {
	// The primary.
	Primary uint16 `yaml:"primary" default:"5000"`
	// All replicas.
	Replicas uint16 `yaml:"replicas" default:"5001"`
	// Synchronous replicas.
	ReplicasSync uint16 `yaml:"replicas_sync" default:"5002"`
	// Asynchronous replicas.
	ReplicasAsync uint16 `yaml:"replicas_async" default:"5003"`
	// The page of statistics.
	Stats uint16 `yaml:"stats" default:"7000"`
}

// HAProxyMaxconn bounds connections.
type HAProxyMaxconn struct {
	// Of the process.
	Global int `yaml:"global" default:"100000"`
	// Of the primary's port.
	Primary int `yaml:"primary" default:"10000"`
	// Of each port of replicas.
	Replica int `yaml:"replica" default:"10000"`
}

// HAProxyTimeout bounds waiting.
type HAProxyTimeout struct {
	// For a client that is silent.
	Client HAProxyTime `yaml:"client" default:"60m"`
	// For a server that is silent.
	Server HAProxyTime `yaml:"server" default:"60m"`
	// For a connection to a server.
	Connect HAProxyTime `yaml:"connect" default:"5s"`
	// For a place in a server's queue.
	Queue HAProxyTime `yaml:"queue" default:"5s"`
	// For the answer to a check.
	Check HAProxyTime `yaml:"check" default:"15s"`
}
