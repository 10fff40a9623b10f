package packaging

import "github.com/goreleaser/nfpm/v2"

var dnscp = product{
	program: "dnscp", bin: "/usr/bin",
	description: "virtual address and DNS name of a PostgreSQL cluster's leader\n" +
		"Keeps the virtual IP addresses of a cluster under Patroni on the host that\n" +
		"leads, and on no other, and a name in DNS that leads to them. A guard watches\n" +
		"the host's own Patroni; the callback, with the command line of dnscp.sh, wakes\n" +
		"it. The kernel drops an address that the guard no longer renews.",
	relations: nfpm.Overridables{
		Depends:    []string{"systemd (>= 247)", "init-system-helpers (>= 1.52)", "ca-certificates"},
		Recommends: []string{"patroni"},
		Suggests: []string{"bind9-dnsutils", "krb5-user", // nsupdate -g and its kinit
			"prometheus-node-exporter"},
	},
	files: map[string]string{
		"sysusers.conf": "/usr/lib/sysusers.d/banyan-dnscp.conf",
		"config.yml":    "/usr/share/doc/banyan-dnscp/examples/config.yml",
	},
	directories: []string{"/etc/dnscp"},
}
