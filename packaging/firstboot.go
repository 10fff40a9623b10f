package packaging

import "github.com/goreleaser/nfpm/v2"

var firstboot = product{
	program: "firstboot", bin: "/usr/sbin",
	description: "make this machine a PostgreSQL cluster member from its seed\n" +
		"Reads one seed file, computes the machine's configuration from it, makes the\n" +
		"machine agree and joins it to a highly available cluster of PostgreSQL under\n" +
		"Patroni. Nothing reaches in from outside.",
	relations: nfpm.Overridables{
		Depends: []string{"systemd", "systemd-resolved | systemd (<< 251)", "dbus", "init-system-helpers (>= 1.52)", "passwd", "sudo",
			"locales", "tzdata", "fdisk", "e2fsprogs", "udev", "libpam-systemd", "iproute2", "nftables", "chrony", "ca-certificates", "openssh-server",
			"netbase", // without its /etc/protocols nft knows no ipv6-icmp, and loads no firewall
		},
		Recommends: []string{"banyan-dnscp", "patroni", "postgresql", "etcd-server", "etcd-client", "xfsprogs"},
	},
	files: map[string]string{
		"raft.py":       "/usr/lib/banyan/raft.py",
		"nftables.conf": "/usr/lib/systemd/system/nftables.service.d/banyan-firewall.conf",
	},
}
