package seeds

import "net/netip"

// System is what the operating system is told.
type System struct {
	// A name of the IANA time zone database.
	Timezone string `yaml:"timezone" default:"Europe/Moscow" example:"Asia/Yekaterinburg" source:"https://www.iana.org/time-zones"`
	// The language of the system, LANG; one of the image's locales.
	Locale string `yaml:"locale" default:"en_US.UTF-8" example:"ru_RU.UTF-8" source:"https://man7.org/linux/man-pages/man5/locale.conf.5.html"`
	// Time servers, by name or address; by default the distribution's.
	NTP []string `yaml:"ntp" example:"[172.16.32.2]" source:"https://chrony-project.org/doc/4.6/chrony.conf.html"`
	// The port of sshd.
	SSHPort uint16 `yaml:"ssh_port" default:"22" source:"https://man.openbsd.org/sshd_config"`
	// The accounts of people.
	Users []User `yaml:"users" source:"https://cloudinit.readthedocs.io/en/latest/reference/modules.html#users-and-groups"`
	// Who may run what as another user.
	Sudo []Sudo `yaml:"sudo" source:"https://man7.org/linux/man-pages/man5/sudoers.5.html"`
	// Kernel parameters, in place of the computed ones: docs/system.md.
	Sysctl map[string]any `yaml:"sysctl" example:"{vm.swappiness: 1}"`
	// The size of a huge page for shared memory; 0MB is none.
	HugePageSize HugePageSize `yaml:"huge_page_size" default:"2MB" source:"https://www.kernel.org/doc/html/latest/admin-guide/mm/hugetlbpage.html"`
	// Transparent huge pages.
	TransparentHugepage THP `yaml:"transparent_hugepage" default:"never" source:"https://www.kernel.org/doc/html/latest/admin-guide/mm/transhuge.html"`
	// How requests to disks are ordered.
	IOScheduler []IOScheduler `yaml:"io_scheduler" default:"[{}]" source:"https://www.kernel.org/doc/html/latest/block/switching-sched.html"`
	// How many files PostgreSQL may have open.
	NoFile NoFile `yaml:"nofile" source:"https://man7.org/linux/man-pages/man5/limits.conf.5.html"`
	// The size of the swap file; 0MB is none.
	Swap Size `yaml:"swap" default:"2048MB" source:"https://man7.org/linux/man-pages/man8/swapon.8.html"`
	// Certificates of authorities that the system trusts, beside the cluster's own.
	CACertificates []PEM `yaml:"ca_certificates" source:"https://manpages.debian.org/stable/ca-certificates/update-ca-certificates.8.en.html"`
	// The proxy of programs that fetch from outside.
	Proxy Proxy `yaml:"proxy" source:"https://www.gnu.org/software/wget/manual/html_node/Proxies.html"`
}

// User is a person's account. Its keys are cloud-init's.
type User struct {
	// The account's name.
	Name string `yaml:"name" required:"true" example:"dba"`
	// Its number; by default that of the owner of /home/NAME, else the next free one from 1000.
	UID int `yaml:"uid" example:"1000"`
	// Groups that it is a member of.
	Groups []string `yaml:"groups" example:"[adm]"`
	// The login shell.
	Shell string `yaml:"shell" default:"/bin/bash" example:"/bin/sh"`
	// The hash of its password, as mkpasswd prints it; without it only SSH keys log in.
	HashedPasswd Secret `yaml:"hashed_passwd" example:"$y$j9T$..." source:"https://manpages.debian.org/stable/libcrypt-dev/crypt.5.en.html"`
	// Lines of authorized_keys.
	SSHAuthorizedKeys []string `yaml:"ssh_authorized_keys" example:"[ssh-ed25519 AAAA... name]" source:"https://man.openbsd.org/sshd#AUTHORIZED_KEYS_FILE_FORMAT"`
	// Whether it may run every command as root, without a password.
	Sudo bool `yaml:"sudo"`
}

// Sudo is what a user may run as root.
type Sudo struct {
	// The user.
	Name string `yaml:"name" required:"true" example:"joe"`
	// The commands, with their paths.
	Commands []string `yaml:"commands" required:"true" example:"[/usr/bin/less, /usr/bin/tail]"`
	// Whether no password is asked for.
	NoPasswd bool `yaml:"nopasswd"`
}

// IOScheduler is the scheduler of a kind of disks.
type IOScheduler struct {
	// The disk, by its name in /sys/block, or a pattern; by default all.
	Device string `yaml:"device" default:"'*'" example:"sda"`
	// The kind of disk: any, rotational, ssd or nvme.
	Class DiskClass `yaml:"class" default:"any"`
	// The scheduler.
	Scheduler Scheduler `yaml:"scheduler" default:"mq-deadline"`
	// How many requests may wait.
	NrRequests int `yaml:"nr_requests" default:"1024" source:"https://www.kernel.org/doc/html/latest/block/queue-sysfs.html"`
}

// NoFile bounds open files.
type NoFile struct {
	// What a process begins with.
	Soft int `yaml:"soft" default:"65536"`
	// What it may raise it to.
	Hard int `yaml:"hard" default:"200000"`
}

// Proxy is how programs reach the outside.
type Proxy struct {
	// For http.
	HTTP Secret `yaml:"http_proxy" example:"http://proxy.demo.ru:8080"` // may hold a password
	// For https.
	HTTPS Secret `yaml:"https_proxy" example:"http://proxy.demo.ru:8080"`
	// Hosts that are reached without it.
	No []string `yaml:"no_proxy" example:"[127.0.0.1, localhost]"`
}

// Firewall is a table of nftables: what is not let in is dropped.
type Firewall struct {
	// Whether there is one.
	Enabled bool `yaml:"enabled" default:"true"`
	// Who may reach sshd; by default everybody.
	SSHSources []netip.Prefix `yaml:"ssh_sources" example:"[172.16.0.0/16]"`
	// Who may reach PostgreSQL and HAProxy; by default everybody.
	ClientSources []netip.Prefix `yaml:"client_sources" example:"[172.16.0.0/12]"`
	// Further ports that are let in; by default SMB's and the Zabbix agent's, as in
	// pgsql_cluster.
	Allow []Allow `yaml:"allow" default:"[{port: 445}, {port: 10050}]" source:"https://github.com/IlgizMamyshev/pgsql_cluster"`
	// Rules of nftables that come before the drop, in the chain of what comes in.
	Rules []string `yaml:"rules" example:"[ip protocol vrrp accept]"`
	// Whether what is dropped is logged, at a bounded rate.
	Log bool `yaml:"log" default:"true"`
}

// Allow lets a port in.
type Allow struct {
	// A port or a range of ports.
	Port PortRange `yaml:"port" required:"true" example:"10050"`
	// The protocol.
	Protocol Protocol `yaml:"protocol" default:"tcp"`
	// From where; by default from everywhere.
	Sources []netip.Prefix `yaml:"sources" example:"[172.16.32.5/32]"`
}

// Storage says which disks hold what.
type Storage struct {
	// Volumes by what they hold: data, wal, etcd and log have their places, and any
	// other has a path.
	Volumes map[string]StorageVolume `yaml:"volumes"`
}

// StorageVolume is a file system on a disk of its own.
type StorageVolume struct {
	// The one disk that it is on.
	Match DiskMatch `yaml:"match" required:"true"`
	// Where it is mounted, for a volume with a name of your own.
	Path string `yaml:"path" example:"/var/lib/postgresql/archive"`
	// What an empty disk is formatted with.
	Filesystem Filesystem `yaml:"filesystem" default:"ext4"`
	// Options of mount(8).
	Options []string `yaml:"options" default:"[noatime]" example:"[noatime, nodiratime]" source:"https://man7.org/linux/man-pages/man8/mount.8.html"`
	// The file system's label; by default its name.
	Label string `yaml:"label" example:"pgdata"`
	// The serial number of the one disk that may be wiped, once, though it holds something.
	Wipe string `yaml:"wipe" example:"S3Z8NB0K123456"`
}

// DiskMatch picks one disk; all that is given has to fit, and no other disk may.
type DiskMatch struct {
	// Its name in /dev/disk/by-id.
	ByID string `yaml:"by-id" example:"wwn-0x5002538e40a0b1c2"`
	// Its serial number.
	Serial string `yaml:"serial" example:"S3Z8NB0K123456"`
	// Its model, or a pattern with asterisks.
	Model string `yaml:"model" example:"SAMSUNG MZ7*"`
	// Its least size.
	MinSize Size `yaml:"min_size" example:"900GB"`
	// Its greatest size.
	MaxSize Size `yaml:"max_size" example:"2TB"`
	// The kind of disk.
	Class DiskClass `yaml:"class" default:"any"`
}

// Network says how the node's interfaces are set up by systemd-networkd.
type Network struct {
	// Whether Banyan sets the network up at all; without it the addresses have to be there.
	Manage bool `yaml:"manage" default:"true"`
	// Whether the address and the routes of the node's interface come from a lease. The node's
	// address is still declared, because its peers are told it; it has to be the leased one.
	DHCP bool `yaml:"dhcp" source:"https://www.rfc-editor.org/rfc/rfc2131"`
	// The interface of the node's address: one of the machine, a bond or a VLAN; by
	// default the machine's only one.
	Interface Interface `yaml:"interface"`
	// The greatest packet of that interface, in bytes; 0 is what the interface has.
	MTU int `yaml:"mtu" example:"9000"`
	// Routes over that interface, beside the one to the gateway.
	Routes []Route `yaml:"routes"`
	// Several interfaces that work as one.
	Bonds []Bond `yaml:"bonds" source:"https://www.kernel.org/doc/html/latest/networking/bonding.html"`
	// Tagged networks on an interface or a bond.
	VLANs []VLAN `yaml:"vlans" source:"https://standards.ieee.org/ieee/802.1Q/6844/"`
	// Interfaces beside that of the node's address.
	Interfaces []ExtraInterface `yaml:"interfaces"`
	// Name servers.
	DNS []netip.Addr `yaml:"dns" example:"[172.16.32.2]" source:"https://www.freedesktop.org/software/systemd/man/latest/resolved.conf.html"`
	// Domains that short names are looked up in.
	Domains []string `yaml:"domains" example:"[demo.ru]"`
}

// Interface picks a network interface by its name or its MAC address.
type Interface struct {
	// Its name.
	Name string `yaml:"name" example:"eno1"`
	// Its MAC address.
	MAC MAC `yaml:"mac" example:"52:54:00:12:34:56"`
}

// Route is a way to a network.
type Route struct {
	// The network.
	To netip.Prefix `yaml:"to" required:"true" example:"10.0.0.0/8"`
	// The router.
	Via netip.Addr `yaml:"via" required:"true" example:"172.16.32.254"`
}

// Bond is several interfaces that work as one.
type Bond struct {
	// Its name.
	Name string `yaml:"name" required:"true" example:"bond0"`
	// The interfaces that it is made of.
	Interfaces []Interface `yaml:"interfaces" required:"true"`
	// How they share the work.
	Mode BondMode `yaml:"mode" default:"active-backup"`
	// Time between looks at the links, in milliseconds.
	MIIMon int `yaml:"miimon" default:"100"`
	// The interface that active-backup, balance-tlb and balance-alb prefer, by its name.
	Primary string `yaml:"primary" example:"eno1"`
	// What packets are spread by.
	TransmitHashPolicy HashPolicy `yaml:"xmit_hash_policy" default:"layer2"`
	// How often 802.3ad asks its partner.
	LACPRate LACPRate `yaml:"lacp_rate" default:"slow"`
}

// VLAN is a tagged network.
type VLAN struct {
	// Its name.
	Name string `yaml:"name" required:"true" example:"bond0.32"`
	// Its tag, 1 to 4094.
	ID int `yaml:"id" required:"true" example:"32"`
	// The interface or bond that it is on.
	Link Interface `yaml:"link" required:"true"`
}

// ExtraInterface is an interface beside that of the node's address.
type ExtraInterface struct {
	// Which one: an interface of the machine, a bond or a VLAN.
	Interface Interface `yaml:"interface" required:"true"`
	// Whether its addresses come from a lease. Its routes and name servers are not used.
	DHCP bool `yaml:"dhcp"`
	// Its addresses, each with the prefix length of its subnet.
	Addresses []netip.Prefix `yaml:"addresses" example:"[10.1.0.11/24]"`
	// The greatest packet, in bytes; 0 is what the interface has.
	MTU int `yaml:"mtu" example:"9000"`
	// Routes over it.
	Routes []Route `yaml:"routes"`
}
