// Package seeds is the seed: the one YAML document that, with an image and
// what the machine is, says everything a node becomes. It holds the seed's
// types, parses them strictly with positions, checks the rules across fields,
// finds seeds where a person may have dropped them, and seals the one found.
//
// It knows nothing of how a node is made; see internal/node for that. Keys carry
// the names that Patroni, PostgreSQL, etcd and HAProxy give them.
package seeds

import (
	"net/netip"
	"time"
)

// Version is the one schema version that this release reads.
const Version = "banyan/v1"

// Seed is a whole seed file. The struct tags are the schema, see package strict.
type Seed struct {
	Version    string     `yaml:"version" required:"true"`
	Cluster    Cluster    `yaml:"cluster" required:"true"`
	Nodes      []Node     `yaml:"nodes" required:"true"`
	Network    Network    `yaml:"network"`
	PostgreSQL PostgreSQL `yaml:"postgresql"`
	Patroni    Patroni    `yaml:"patroni"`
	System     System     `yaml:"system"`
	Secrets    Secrets    `yaml:"secrets" required:"true"`
}

// Cluster names the cluster and its distributed configuration store.
type Cluster struct {
	Name string `yaml:"name" required:"true"` // Patroni's scope
	DCS  string `yaml:"dcs" default:"etcd"`
}

// Node is one member of the cluster.
type Node struct {
	Name     string       `yaml:"name" required:"true"`    // host name and Patroni member name
	Address  netip.Prefix `yaml:"address" required:"true"` // what its peers reach it by, with the prefix length of its subnet
	Gateway  netip.Addr   `yaml:"gateway"`
	Services []Service    `yaml:"services" default:"[postgresql, etcd]"`
}

// Service is a part that a node may run.
type Service string

// The services of a node.
const (
	ServicePostgreSQL Service = "postgresql"
	ServiceEtcd       Service = "etcd"
)

// Network says how the node's interface is set up by systemd-networkd.
type Network struct {
	// DHCP takes the lease's address and routes. The node's address is still
	// declared, because its peers are told it; it has to be the leased one.
	DHCP bool `yaml:"dhcp"`
	// Interface picks the network interface; by default the only Ethernet one.
	Interface Interface    `yaml:"interface"`
	DNS       []netip.Addr `yaml:"dns"`
	Domains   []string     `yaml:"domains"` // search domains
}

// Interface picks a network interface by its name or its MAC address.
type Interface struct {
	Name string `yaml:"name"`
	MAC  MAC    `yaml:"mac"`
}

// PostgreSQL is what PostgreSQL itself is told.
type PostgreSQL struct {
	Version    int            `yaml:"version"`    // major version; by default the one that has data, else the highest installed
	Parameters map[string]any `yaml:"parameters"` // int, float64, bool or string
	PgHBA      []string       `yaml:"pg_hba"`     // lines that follow the computed ones
}

// Patroni is Patroni's dynamic configuration, with Patroni's own defaults:
// https://patroni.readthedocs.io/en/latest/dynamic_configuration.html
type Patroni struct {
	TTL          Seconds `yaml:"ttl" default:"30"`
	LoopWait     Seconds `yaml:"loop_wait" default:"10"`
	RetryTimeout Seconds `yaml:"retry_timeout" default:"10"`
}

// Seconds is a whole number of seconds, as Patroni writes its times.
type Seconds int

// Duration is s as Go counts time.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// Wanted says how seconds are written.
func (Seconds) Wanted() string { return "a whole number of seconds, such as 30" }

// System is what the operating system is told.
type System struct {
	Timezone string `yaml:"timezone" default:"Europe/Moscow"` // a name of the IANA time zone database
	Locale   string `yaml:"locale" default:"en_US.UTF-8"`     // LANG; one of the image's baked locales
	Users    []User `yaml:"users"`
}

// User is a person's account. Its keys are cloud-init's.
type User struct {
	Name              string   `yaml:"name" required:"true"`
	UID               int      `yaml:"uid"` // by default that of the owner of /home/NAME, else the next free one from 1000
	Groups            []string `yaml:"groups"`
	Shell             string   `yaml:"shell" default:"/bin/bash"`
	HashedPasswd      Secret   `yaml:"hashed_passwd"` // crypt(5); without it only SSH keys log in
	SSHAuthorizedKeys []string `yaml:"ssh_authorized_keys"`
	Sudo              bool     `yaml:"sudo"` // all commands, without a password
}

// Secrets are the passwords of the roles that Patroni itself uses.
type Secrets struct {
	SuperuserPassword   Secret `yaml:"superuser_password" required:"true"`   // role postgres
	ReplicationPassword Secret `yaml:"replication_password" required:"true"` // role replicator
	RewindPassword      Secret `yaml:"rewind_password" required:"true"`      // role rewind
}
