package node

import (
	"fmt"
	"net/netip"
	"strings"

	"banyan/internal/converge"
	"banyan/seeds"
)

const (
	haproxyUnit   = "haproxy.service"
	haproxyConfig = "/etc/haproxy/haproxy.cfg"
)

// haproxy is what clients reach the members through. It asks Patroni which member is what,
// and needs nothing else of the cluster.
func haproxy(s seeds.Seed, self seeds.Node) []converge.Resource {
	config := file(haproxyConfig, haproxyText(s, self))
	config.Check = []string{"haproxy", "-c", "-f"}
	// The chroot needs the log's socket in it, which Debian 11's unit leaves to rsyslog. As for the
	// interval, see etcd. The rest leaves little of the machine to whoever takes over a process that
	// strangers talk to. The master is root, and needs its capabilities to open ports below 1024 and
	// many files, to have a worker in the chroot as another user, to make its socket in a directory
	// of that user's, and to tell the worker to stop.
	resources := append([]converge.Resource{config}, dropIn(haproxyUnit, `[Service]
RestartSec=5
BindReadOnlyPaths=/dev/log:/var/lib/haproxy/dev/log
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SYS_RESOURCE CAP_SYS_CHROOT CAP_SETUID CAP_SETGID CAP_DAC_OVERRIDE CAP_KILL
NoNewPrivileges=true
ProtectSystem=strict
ReadWritePaths=/run
ProtectHome=true
PrivateTmp=true
PrivateDevices=true
ProtectClock=true
ProtectControlGroups=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
LockPersonality=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
SystemCallArchitectures=native
SystemCallFilter=~@cpu-emulation @keyring @module @obsolete @raw-io @reboot @swap
`)...)
	return append(resources, converge.Unit{Name: haproxyUnit, Enabled: true, Running: true, ReloadOn: []string{haproxyConfig, CAFile}})
}

// haproxyService is a port of HAProxy, and which members it leads to.
type haproxyService struct {
	name    string
	port    uint16
	maxconn int
	// asks is the path that Patroni answers with 200 on such a member:
	// https://patroni.readthedocs.io/en/latest/rest_api.html
	asks  string
	rise  int      // how many good answers bring a member back
	lines []string // what no other service has
}

// haproxyServices are those of the seed; rise is pgsql_cluster's.
func haproxyServices(s seeds.Seed, self seeds.Node) []haproxyService {
	h := self.HAProxy
	balance := []string{"balance " + string(h.Balance)}
	sync := "/sync"
	if s.Patroni.SynchronousMode == seeds.SynchronousModeQuorum { // where no standby is a synchronous one
		sync = "/quorum"
	}
	return []haproxyService{
		// A server is up until its first check. That of a port which comes first is made within a second,
		// and until then a connection waits for it: it would end at a member that takes no writes.
		{"primary", h.Ports.Primary, h.Maxconn.Primary, "/primary", 4, []string{
			"tcp-request inspect-delay 1s",
			"tcp-request content accept if { nbsrv(primary) le 1 }",
			"tcp-request content accept if WAIT_END",
		}},
		{"replicas", h.Ports.Replicas, h.Maxconn.Replica, "/replica", 2, balance},
		{"replicas_sync", h.Ports.ReplicasSync, h.Maxconn.Replica, sync, 2, balance},
		{"replicas_async", h.Ports.ReplicasAsync, h.Maxconn.Replica, "/async", 2, balance},
	}
}

// haproxyText is the configuration that HAProxy 2.2, 2.6 and 3.0 take alike:
// https://docs.haproxy.org/2.2/configuration.html. What the seed does not say is
// pgsql_cluster's.
//
//   - Nothing is logged above err: journald shows everybody on the machine an emerg, which
//     HAProxy says of every port without a server, such as that of asynchronous replicas.
//   - A process that was replaced by a reload keeps its connections, and no longer checks
//     their members: it would not end those of a member that is gone. So it has an hour.
//   - HAProxy raises its limit of open files to what maxconn takes. Where it may not, it
//     serves fewer, as 2.2 does by default.
func haproxyText(s seeds.Seed, self seeds.Node) string {
	h := self.HAProxy
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	binds := func(port uint16) {
		for _, a := range haproxyAddresses(s, self) {
			line("    bind %s", addrPort(a, port))
		}
	}

	b.WriteString(banner)
	line(`global
    log /dev/log local0 info err
    chroot /var/lib/haproxy
    user haproxy
    group haproxy
    stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
    stats timeout 30s
    maxconn %d
    no strict-limits
    hard-stop-after 1h
`, h.Maxconn.Global)
	line(`defaults
    mode tcp
    log global
    option tcplog
    retries 2
    timeout client %s
    timeout server %s
    timeout connect %s
    timeout queue %s
    timeout check %s
    default-server check check-ssl verify required ca-file %s
    default-server inter 3s fastinter 1s fall 3 on-marked-down shutdown-sessions
`, h.Timeout.Client, h.Timeout.Server, h.Timeout.Connect, h.Timeout.Queue, h.Timeout.Check, CAFile)

	for _, service := range haproxyServices(s, self) {
		line("listen %s", service.name)
		binds(service.port)
		line("    maxconn %d", service.maxconn)
		for _, l := range service.lines {
			line("    %s", l)
		}
		line("    option httpchk OPTIONS %s", service.asks)
		line("    http-check expect status 200")
		line("    default-server rise %d", service.rise)
		for _, n := range s.Members(seeds.ServicePostgreSQL) {
			line("    server %s %s port %d verifyhost %[1]s", n.Name, addrPort(n.Address.Addr(), n.PostgreSQL.Port), n.Patroni.RESTAPI.Port)
		}
		line("")
	}

	line("listen stats\n    mode http")
	binds(h.Ports.Stats)
	line(`    option dontlog-normal
    timeout http-request 10s
    http-request use-service prometheus-exporter if { path /metrics }
    stats enable
    stats uri /`)
	return b.String()
}

// haproxyFiles is how many files HAProxy has open at most: two for each connection, and some
// for what it listens on and checks.
func haproxyFiles(self seeds.Node) int {
	if !self.Runs(seeds.ServiceHAProxy) {
		return 0
	}
	return 2*self.HAProxy.Maxconn.Global + 10000
}

// haproxyAddresses are those that clients know the node by: its own, and the VIPs of its
// site, whether it has them at the moment or not (net.ipv4.ip_nonlocal_bind).
func haproxyAddresses(s seeds.Seed, self seeds.Node) []netip.Addr {
	own, loopback := self.Address.Addr(), netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if own.Is6() {
		loopback = netip.IPv6Loopback()
	}
	return append([]netip.Addr{own, loopback}, s.VIPs(self)...)
}
