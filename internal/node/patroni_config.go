package node

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"banyan/internal/facts"
	"banyan/seeds"
)

// The types below are Patroni's configuration file:
// https://patroni.readthedocs.io/en/latest/yaml_configuration.html
type patroniFile struct {
	Scope      string            `yaml:"scope"`
	Namespace  string            `yaml:"namespace"`
	Name       string            `yaml:"name"`
	Log        patroniLog        `yaml:"log"`
	RESTAPI    patroniREST       `yaml:"restapi"`
	CTL        patroniCTL        `yaml:"ctl"`
	Etcd3      *patroniEtcd      `yaml:"etcd3,omitempty"`
	Raft       *patroniRaft      `yaml:"raft,omitempty"`
	Bootstrap  patroniBootstrap  `yaml:"bootstrap"`
	PostgreSQL patroniPostgreSQL `yaml:"postgresql"`
	Watchdog   patroniWatchdog   `yaml:"watchdog"`
	Tags       map[string]any    `yaml:"tags,omitempty"`
}

type patroniLog struct {
	Level          seeds.LogLevel `yaml:"level"`
	TracebackLevel seeds.LogLevel `yaml:"traceback_level"`
	Format         string         `yaml:"format"`
}

type patroniREST struct {
	Listen                  string   `yaml:"listen"`
	ConnectAddress          string   `yaml:"connect_address"`
	Allowlist               []string `yaml:"allowlist,omitempty"`
	AllowlistIncludeMembers bool     `yaml:"allowlist_include_members"`

	CertFile     string `yaml:"certfile"`
	KeyFile      string `yaml:"keyfile"`
	CAFile       string `yaml:"cafile"`
	VerifyClient string `yaml:"verify_client"`
	Ciphers      string `yaml:"ciphers,omitempty"`
}

// patroniCTL is how patronictl, and Patroni itself, call the REST API of a member.
type patroniCTL struct {
	Insecure bool   `yaml:"insecure"`
	CACert   string `yaml:"cacert"`
	CertFile string `yaml:"certfile"`
	KeyFile  string `yaml:"keyfile"`
}

type patroniEtcd struct {
	Hosts    []string `yaml:"hosts"`
	Protocol string   `yaml:"protocol,omitempty"`
	Username string   `yaml:"username,omitempty"`
	Password string   `yaml:"password,omitempty"`
	CACert   string   `yaml:"cacert,omitempty"`
	Cert     string   `yaml:"cert,omitempty"`
	Key      string   `yaml:"key,omitempty"`
}

type patroniBootstrap struct {
	DCS    map[string]any `yaml:"dcs"`
	Initdb []any          `yaml:"initdb"` // names of options, and pairs of a name and a value
}

type patroniPostgreSQL struct {
	Listen                                 string                    `yaml:"listen"`
	ConnectAddress                         string                    `yaml:"connect_address"`
	UseUnixSocket                          bool                      `yaml:"use_unix_socket"`
	DataDir                                string                    `yaml:"data_dir"`
	BinDir                                 string                    `yaml:"bin_dir"`
	PgPass                                 string                    `yaml:"pgpass"`
	Authentication                         map[string]authentication `yaml:"authentication"`
	Parameters                             map[string]any            `yaml:"parameters,omitempty"`
	PgHBA                                  []string                  `yaml:"pg_hba"`
	PgIdent                                []string                  `yaml:"pg_ident,omitempty"`
	CreateReplicaMethods                   []seeds.ReplicaMethod     `yaml:"create_replica_methods"`
	Basebackup                             map[string]string         `yaml:"basebackup"`
	PgProbackup                            map[string]any            `yaml:"pg_probackup,omitempty"`
	RecoveryConf                           map[string]string         `yaml:"recovery_conf,omitempty"`
	Callbacks                              map[string]string         `yaml:"callbacks,omitempty"`
	BeforeStop                             string                    `yaml:"before_stop,omitempty"`
	RemoveDataDirectoryOnRewindFailure     bool                      `yaml:"remove_data_directory_on_rewind_failure"`
	RemoveDataDirectoryOnDivergedTimelines bool                      `yaml:"remove_data_directory_on_diverged_timelines"`
}

type patroniWatchdog struct {
	Mode         seeds.WatchdogMode `yaml:"mode"`
	Device       string             `yaml:"device"`
	SafetyMargin seeds.Seconds      `yaml:"safety_margin"`
}

// authentication is how Patroni and the replicas reach PostgreSQL: over TLS, unless by
// the socket. The certificate's names are not compared, since libpq knows those that are
// addresses from PostgreSQL 15 on only; the authority signs nobody but the cluster's nodes.
// https://www.postgresql.org/docs/15/libpq-ssl.html
type authentication struct {
	Username    string `yaml:"username"`
	Password    string `yaml:"password"`
	SSLMode     string `yaml:"sslmode"`
	SSLRootCert string `yaml:"sslrootcert"`
}

func authenticate(user string, password seeds.Secret, ca string) authentication {
	return authentication{user, password.Reveal(), "verify-ca", ca}
}

// patroniEtcdOf is where Patroni finds etcd: at the node's own member first.
func patroniEtcdOf(s seeds.Seed, self seeds.Node) *patroniEtcd {
	endpoints := EtcdEndpoints(s, self)
	if len(endpoints) == 0 {
		return nil
	}
	var e patroniEtcd
	for i, endpoint := range endpoints {
		host := endpoint
		if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
			host = u.Host
			if u.Scheme == "https" {
				e.Protocol = "https"
			}
		}
		if i == 0 && s.IsEtcdMember(self) {
			host = "127.0.0.1:" + strconv.Itoa(seeds.EtcdClientPort) // whatever becomes of the network
		}
		e.Hosts = append(e.Hosts, host)
	}
	identity := EtcdIdentity(s, self)
	if identity.CA != "" {
		e.CACert = patroniEtcdCA
	}
	if identity.Certificate != "" {
		e.Cert, e.Key = patroniEtcdCertificate, patroniEtcdKey
	}
	if s.Cluster.DCS == seeds.DCSExternal {
		e.Username, e.Password = self.Etcd.Username, self.Etcd.Password.Reveal()
	}
	return &e
}

// initdb holds the options of initdb.
func initdb(i seeds.Initdb, d database) []any {
	options := []any{
		map[string]string{"encoding": i.Encoding},
		map[string]string{"locale": i.Locale},
	}
	switch {
	case i.DataChecksums:
		options = append(options, "data-checksums")
	case d.makesChecksums():
		options = append(options, "no-data-checksums")
	}
	if i.AllowGroupAccess && d.grantsGroupAccess() {
		options = append(options, "allow-group-access")
	}
	if d.walDir != "" {
		options = append(options, map[string]string{"waldir": d.walDir})
	}
	return append(options,
		// Nobody is trusted, not even while the cluster is being born; and
		// PostgreSQL 13 hashes the superuser's password as auth-host says.
		map[string]string{"auth-local": "peer"},
		map[string]string{"auth-host": "scram-sha-256"})
}

// dynamic is written to the DCS when the cluster is born. From then on the copy in
// the DCS counts, which a DBA changes with `patronictl edit-config`.
// https://patroni.readthedocs.io/en/latest/dynamic_configuration.html
func dynamic(s seeds.Seed, self seeds.Node, computed map[string]any, can abilities) map[string]any {
	p := self.Patroni
	parameters := map[string]any{}
	maps.Copy(parameters, computed)
	maps.Copy(parameters, sharedParameters(s))
	d := map[string]any{
		"ttl":                     p.TTL,
		"loop_wait":               p.LoopWait,
		"retry_timeout":           p.RetryTimeout,
		"maximum_lag_on_failover": p.MaximumLagOnFailover,
		"maximum_lag_on_syncnode": p.MaximumLagOnSyncnode,
		"check_timeline":          p.CheckTimeline,
		"synchronous_mode":        synchronousMode(p.SynchronousMode, can),
		"synchronous_mode_strict": p.SynchronousModeStrict,
		"synchronous_node_count":  p.SynchronousNodeCount,
		"postgresql": map[string]any{
			"use_pg_rewind": p.UsePgRewind,
			"use_slots":     p.UseSlots,
			"parameters":    parameters,
		},
	}
	primary := "primary"
	if !can.saysPrimary() {
		primary = "master"
	}
	d[primary+"_start_timeout"], d[primary+"_stop_timeout"] = p.PrimaryStartTimeout, p.PrimaryStopTimeout
	if can.hasFailsafe() {
		d["failsafe_mode"] = p.FailsafeMode
	}
	if p.MemberSlotsTTL != "" && can.hasMemberSlotsTTL() {
		d["member_slots_ttl"] = p.MemberSlotsTTL
	}
	if len(p.Slots) > 0 {
		slots := map[string]any{}
		for name, s := range p.Slots {
			slots[name] = given(map[string]string{"type": string(s.Type), "database": s.Database, "plugin": s.Plugin})
		}
		d["slots"] = slots
	}
	if p.StandbyCluster.Follows() {
		d["standby_cluster"] = standbyCluster(p.StandbyCluster)
	}
	return d
}

// Dynamic is the dynamic configuration that the seed asks for, as JSON has it, without what
// was computed from the machine that the cluster was born on.
func Dynamic(s seeds.Seed, self seeds.Node, f facts.Facts) (map[string]any, error) {
	d, err := databaseOf(self, f, volumesOf(s, self, f))
	if err != nil {
		return nil, err
	}
	for _, p := range parameters {
		if p.rule != nil {
			delete(d.cluster, p.name)
		}
	}
	text, err := json.Marshal(dynamic(s, self, d.cluster, abilities(f)))
	if err != nil {
		return nil, err
	}
	var wanted map[string]any
	return wanted, json.Unmarshal(text, &wanted)
}

// sharedParameters are the cluster's, without those that a node takes back: its Patroni
// could not, and the others have them as their own.
func sharedParameters(s seeds.Seed) map[string]any {
	shared := maps.Clone(s.PostgreSQL.Parameters)
	for _, n := range s.Members(seeds.ServicePostgreSQL) {
		maps.DeleteFunc(shared, func(name string, _ any) bool {
			_, has := n.PostgreSQL.Parameters[name]
			return !has
		})
	}
	return shared
}

// ownParameters are those that are computed from the node's machine, and those of the
// seed that differ from the cluster's. Patroni prefers them:
// https://patroni.readthedocs.io/en/latest/patroni_configuration.html
func ownParameters(s seeds.Seed, self seeds.Node, computed map[string]any) map[string]any {
	shared, own := sharedParameters(s), map[string]any{}
	maps.Copy(own, computed)
	for name, value := range self.PostgreSQL.Parameters {
		if clusters, has := shared[name]; !has || clusters != value {
			own[name] = value
		}
	}
	return own
}

// synchronousMode is a boolean of YAML, or quorum. A Patroni that does not know quorum
// takes it for off, so that it is given what loses no commit either; see also Check.
func synchronousMode(mode seeds.SynchronousMode, can abilities) any {
	if mode == seeds.SynchronousModeQuorum && can.hasQuorum() {
		return string(mode)
	}
	return mode != "false"
}

func standbyCluster(c seeds.StandbyCluster) map[string]any {
	s := map[string]any{"create_replica_methods": c.CreateReplicaMethods}
	if c.Host != "" { // a port alone would be one to connect to
		s["host"], s["port"] = c.Host, int(c.Port)
	}
	for key, value := range given(map[string]string{
		"primary_slot_name":        c.PrimarySlotName,
		"restore_command":          c.RestoreCommand,
		"archive_cleanup_command":  c.ArchiveCleanupCommand,
		"recovery_min_apply_delay": c.RecoveryMinApplyDelay,
	}) {
		s[key] = value
	}
	return s
}

// given is a map without its empty values.
func given(m map[string]string) map[string]string {
	maps.DeleteFunc(m, func(_, value string) bool { return value == "" })
	return m
}

func tags(t seeds.Tags) map[string]any {
	all := map[string]any{}
	for name, set := range map[string]bool{
		"nofailover": t.NoFailover, "noloadbalance": t.NoLoadBalance, "clonefrom": t.CloneFrom, "nosync": t.NoSync,
	} {
		if set {
			all[name] = true
		}
	}
	if t.ReplicateFrom != "" {
		all["replicatefrom"] = t.ReplicateFrom
	}
	return all
}

// pgProbackup copies from no leader where there is none to copy from.
func pgProbackup(p seeds.Patroni, can abilities) map[string]any {
	if !slices.Contains(p.CreateReplicaMethods, "pg_probackup") && !slices.Contains(p.StandbyCluster.CreateReplicaMethods, "pg_probackup") {
		return nil
	}
	method := map[string]any{"command": p.PgProbackup.Command, "keep_data": p.PgProbackup.KeepData, "no_params": p.PgProbackup.NoParams}
	if p.StandbyCluster.Follows() && p.StandbyCluster.Host == "" {
		if can.saysPrimary() {
			method["no_leader"] = true
		} else {
			method["no_master"] = true
		}
	}
	return method
}

// computedHBA is the part of pg_hba.conf that the cluster lives on. Nobody else
// gets in from the network unless the seed's own lines, which follow, let them.
func computedHBA(s seeds.Seed) []string {
	lines := []string{
		"local all,replication " + superuser + " peer",
		"local all all scram-sha-256",
		"hostssl all all 127.0.0.1/32 scram-sha-256",
		"hostssl all all ::1/128 scram-sha-256",
		// Patroni asks its own server over a replication connection.
		"hostssl replication " + replication + " 127.0.0.1/32 scram-sha-256",
		"hostssl replication " + replication + " ::1/128 scram-sha-256",
	}
	for _, n := range s.Members(seeds.ServicePostgreSQL) {
		a := n.Address.Addr()
		host := fmt.Sprintf("%s/%d", a, a.BitLen())
		lines = append(lines,
			"hostssl replication "+replication+" "+host+" scram-sha-256",
			"hostssl all "+superuser+" "+host+" scram-sha-256",
			"hostssl postgres "+rewind+" "+host+" scram-sha-256")
	}
	return lines
}

// checkPatroni refuses what this machine's Patroni would take for something else,
// without a word.
func checkPatroni(p seeds.Patroni, f facts.Facts) error {
	if p.SynchronousMode == seeds.SynchronousModeQuorum && !abilities(f).hasQuorum() {
		return fmt.Errorf("patroni.synchronous_mode: quorum is for Patroni 4 and later; this machine has %s", f.Patroni)
	}
	return nil
}
