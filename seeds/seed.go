// Package seeds is the seed: the one YAML document that, with an image and
// what the machine is, says everything a node becomes. It holds the seed's
// types, parses them strictly with positions, checks the rules across fields, signs
// and encrypts, chooses among the seeds that were found, and seals the one chosen.
//
// It knows nothing of how a node is made; see internal/node for that. Keys carry
// the names that Patroni, PostgreSQL, etcd and HAProxy give them.
//
// The types are the schema, see package strict, and its reference: the comment of a
// field describes its key, the tags example and source say how it is written
// and where it comes from. A key without a source has that of its section. Where
// no default is given, the zero value is what an absent key means, or else the
// comment says it.
package seeds

import (
	"net/netip"
)

// Version is the one schema version that this release reads.
const Version = "banyan/v1"

// Seed is a whole seed file, or the cluster file that seeds are minted from.
type Seed struct {
	// The version of the schema.
	Version string `yaml:"version" required:"true" example:"banyan/v1" source:"banyan"`
	// What the cluster is called and where it keeps its state.
	Cluster Cluster `yaml:"cluster" required:"true" source:"https://patroni.readthedocs.io/en/latest/yaml_configuration.html#global-universal"`
	// The node that this seed is for. Without it, in a seed of several nodes, the
	// machine finds itself by match. `build seed mint` writes it.
	Node string `yaml:"node" example:"pgsql-n1" source:"banyan"`
	// The places that nodes stand at, a subnet each.
	Sites []Site `yaml:"sites" source:"banyan"`
	// The name in DNS that follows the leader.
	DNS DNS `yaml:"dns" source:"https://www.rfc-editor.org/rfc/rfc2136"`
	// How the virtual addresses are kept on the leader.
	DNSCP DNSCP `yaml:"dnscp" source:"banyan"`
	// The machines of the cluster.
	Nodes []Node `yaml:"nodes" required:"true" source:"banyan"`
	// What PostgreSQL is told.
	PostgreSQL PostgreSQL `yaml:"postgresql" source:"https://www.postgresql.org/docs/current/runtime-config.html"`
	// What Patroni is told.
	Patroni Patroni `yaml:"patroni" source:"https://patroni.readthedocs.io/en/latest/dynamic_configuration.html"`
	// What etcd is told, or where the etcd is that stands already.
	Etcd Etcd `yaml:"etcd" source:"https://etcd.io/docs/v3.5/op-guide/configuration/"`
	// What HAProxy is told.
	HAProxy HAProxy `yaml:"haproxy" source:"https://docs.haproxy.org/3.0/configuration.html"`
	// What the operating system is told.
	System System `yaml:"system" source:"https://www.kernel.org/doc/html/latest/admin-guide/sysctl/"`
	// Who may reach the node.
	Firewall Firewall `yaml:"firewall" source:"https://wiki.nftables.org/"`
	// The disks that data is on.
	Storage Storage `yaml:"storage" source:"https://man7.org/linux/man-pages/man8/lsblk.8.html"`
	// How the node's interfaces are set up.
	Network Network `yaml:"network" source:"https://www.freedesktop.org/software/systemd/man/latest/systemd.network.html"`
	// Certificates and their authorities.
	PKI PKI `yaml:"pki" source:"https://www.rfc-editor.org/rfc/rfc5280"`
	// The passwords that the parts of the cluster use among themselves.
	Secrets Secrets `yaml:"secrets" source:"https://patroni.readthedocs.io/en/latest/yaml_configuration.html#postgresql"`
	// What a node that runs does with a newer seed that it finds: manual keeps it as
	// /var/lib/banyan/staged.yaml and says so, automatic applies it.
	Reconfigure Reconfigure `yaml:"reconfigure" default:"manual" source:"banyan"`
}

// Cluster names the cluster and its distributed configuration store.
type Cluster struct {
	// Patroni's scope, and PostgreSQL's cluster_name.
	Name string `yaml:"name" required:"true" example:"pgsql-cl"`
	// Where Patroni keeps the cluster's state: etcd on nodes of this cluster, an
	// external etcd, or Patroni's own raft, which Patroni deprecates.
	DCS DCS `yaml:"dcs" default:"etcd" source:"https://patroni.readthedocs.io/en/latest/yaml_configuration.html#etcdv3"`
	// A UUID that tells clusters of one name apart. `build seed mint` makes it once.
	ID UUID `yaml:"id" example:"6f1f0d9e-5b0c-4a3e-9a55-2f6f9a2f7f11" source:"banyan"`
	// Grows with each minting that changes anything; a node refuses a lower one.
	Generation int `yaml:"generation" example:"3" source:"banyan"`
}

// Site is a place with a subnet of its own.
type Site struct {
	// What nodes call the site.
	Name string `yaml:"name" required:"true" example:"dc1"`
	// The subnet that the addresses of its nodes and its VIPs are in.
	Subnet netip.Prefix `yaml:"subnet" required:"true" example:"172.16.32.0/24"`
	// The virtual addresses that the leader has while it is at this site.
	VIPs []netip.Addr `yaml:"vips" example:"[172.16.32.180]" source:"https://github.com/IlgizMamyshev/dnscp"`
}

// DNS is the name that clients use, and how its record is kept.
type DNS struct {
	// The first label of the name; without it there is no record.
	Name string `yaml:"name" example:"pgsql-cl"`
	// The zone that the name is in; a name needs one.
	Zone string `yaml:"zone" example:"demo.ru"`
	// A second name, for all replicas that stream.
	ReadName string `yaml:"read_name" example:"pgsql-cl-ro"`
	// The servers that take updates, by address or by name; by default those that the
	// zone's SOA and NS records name.
	Servers []string `yaml:"servers" example:"[dc1.demo.ru]"`
	// How long clients may keep the record, in seconds; by default 1200, and 30
	// where the cluster has several sites, or read_name.
	TTL Seconds `yaml:"ttl" example:"30" source:"https://www.rfc-editor.org/rfc/rfc1035"`
	// How an update is authorized: none, tsig, or gss-tsig with the account of the
	// virtual computer, as Active Directory wants it.
	Auth DNSAuth `yaml:"auth" default:"none" source:"https://www.rfc-editor.org/rfc/rfc3645"`
	// The name of the TSIG key.
	KeyName string `yaml:"key_name" example:"pgsql-cl." source:"https://www.rfc-editor.org/rfc/rfc8945"`
	// The algorithm of the TSIG key.
	Algorithm TSIGAlgorithm `yaml:"algorithm" default:"hmac-sha256" source:"https://www.rfc-editor.org/rfc/rfc8945"`
	// The Kerberos realm of gss-tsig; by default the one that DNS has for the zone or a domain above it.
	Realm string `yaml:"realm" example:"DEMO.RU" source:"https://web.mit.edu/kerberos/krb5-latest/doc/admin/realm_config.html"`
	// The account of gss-tsig; by default name with a $ behind it, which is that of a computer.
	Account string `yaml:"account" example:"PGSQL-CL$" source:"https://learn.microsoft.com/en-us/windows/win32/adschema/a-samaccountname"`
	// Whether `nsupdate -g` is tried where the node's own gss-tsig fails; on hosts that are
	// not an image's it wants bind9-dnsutils and krb5-user.
	NSUpdate bool `yaml:"nsupdate" source:"https://bind9.readthedocs.io/en/latest/manpages.html#nsupdate-dynamic-dns-update-utility"`
}

// DNSCP is the guard, which keeps the virtual addresses and the record.
type DNSCP struct {
	// For how long a virtual address may stay where Patroni no longer says that the node leads,
	// in seconds; by default what ttl, loop_wait, retry_timeout and the watchdog leave until
	// another node can lead, and at the most what they leave without the watchdog.
	HoldDown Seconds `yaml:"hold_down" example:"4"`
	// The port that has numbers for Prometheus, on the node itself alone.
	MetricsPort uint16 `yaml:"metrics_port" default:"9553" source:"https://prometheus.io/docs/instrumenting/exposition_formats/"`
}

// Node is one machine of the cluster. A section that stands below a node is
// written onto the section of that name: keys are merged, lists replace, and a
// key in it without a value takes back what the cluster's section says.
type Node struct {
	// The host name, and the name of Patroni's and etcd's member.
	Name string `yaml:"name" required:"true" example:"pgsql-n1"`
	// What the other nodes reach it by, with the prefix length of its subnet.
	Address netip.Prefix `yaml:"address" required:"true" example:"172.16.32.11/24"`
	// The router of the subnet.
	Gateway netip.Addr `yaml:"gateway" example:"172.16.32.1"`
	// The site that the node stands at; by default the one whose subnet the address is in.
	Site string `yaml:"site" example:"dc1"`
	// What the node runs; by default postgresql, and etcd where cluster.dcs is etcd.
	// A witness votes and holds no data: an etcd member, or a raft controller.
	Services []Service `yaml:"services" example:"[postgresql, etcd, haproxy]"`
	// What tells the machine that this node is for, where a seed holds several nodes.
	Match Match `yaml:"match" source:"https://www.dmtf.org/standards/smbios"`
	// The node's certificates, which `build seed mint` writes.
	PKI NodePKI `yaml:"pki" source:"https://www.rfc-editor.org/rfc/rfc5280"`

	// Overrides postgresql.
	PostgreSQL PostgreSQL `yaml:"postgresql" onto:"postgresql"`
	// Overrides patroni, but for the keys of the dynamic configuration, which is the cluster's.
	Patroni Patroni `yaml:"patroni" onto:"patroni"`
	// Overrides etcd.
	Etcd Etcd `yaml:"etcd" onto:"etcd"`
	// Overrides haproxy.
	HAProxy HAProxy `yaml:"haproxy" onto:"haproxy"`
	// Overrides system.
	System System `yaml:"system" onto:"system"`
	// Overrides firewall.
	Firewall Firewall `yaml:"firewall" onto:"firewall"`
	// Overrides storage.
	Storage Storage `yaml:"storage" onto:"storage"`
	// Overrides network.
	Network Network `yaml:"network" onto:"network"`
}

// Match is what a machine is recognised by; all that is given has to fit.
type Match struct {
	// The MAC address of one of its interfaces.
	MAC MAC `yaml:"mac" example:"52:54:00:12:34:56"`
	// Its serial number, as `dmidecode -s system-serial-number` prints it.
	Serial string `yaml:"serial" example:"CZ12345678"`
	// Its UUID, as `dmidecode -s system-uuid` prints it.
	UUID UUID `yaml:"uuid" example:"4c4c4544-0051-3510-8052-b4c04f4a3432"`
	// Its host name, such as DHCP or another system gave it.
	Hostname string `yaml:"hostname" example:"rack3-u12"`
}
