package node

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

// EtcdDataDir is where Debian's etcd.service keeps a member's data.
const EtcdDataDir = "/var/lib/etcd/default"

// EtcdEndpoint is where the node itself reaches its member.
var EtcdEndpoint = fmt.Sprintf("http://127.0.0.1:%d", seeds.EtcdClientPort)

const (
	etcdUnit     = "etcd.service"
	etcdDefaults = "/etc/default/etcd"
)

// etcd is the node's member of the DCS. It starts by itself once it is born; the
// first start is for package member, after a look at what is there.
func etcd(s seeds.Seed, self seeds.Node, f facts.Facts, volumes []volume) converge.Step {
	// A born member that lost its data must not begin a second, empty cluster.
	// etcd reads this only where it finds no data, so a change restarts nothing.
	state := "new"
	if f.Born {
		state = "existing"
	}
	resources := []converge.Resource{file(etcdDefaults, etcdEnvironment(s, self, abilities(f)))}
	// etcd cannot listen on an address that is not there yet, and Debian's unit
	// gives up when it exits. At five seconds apart the default start limit, five
	// times in ten seconds (systemd-system.conf(5)), is never met.
	resources = append(resources, dropIn(etcdUnit, `[Unit]
After=network-online.target
`+requiresMounts(volumes, EtcdDataDir)+`
[Service]
Environment=ETCD_INITIAL_CLUSTER_STATE=`+state+`
Restart=on-failure
RestartSec=5
`)...)
	resources = append(resources, converge.Unit{Name: etcdUnit, Enabled: f.Born, RestartOn: []string{etcdDefaults}})
	return converge.Step{Name: StepEtcd, Needs: needs(volumes, EtcdDataDir), Resources: resources}
}

// etcdMembers are the nodes that etcd consists of.
func etcdMembers(s seeds.Seed) []seeds.Node {
	return slices.DeleteFunc(slices.Clone(s.Nodes), func(n seeds.Node) bool { return !s.IsEtcdMember(n) })
}

// etcdEnvironment is etcd's configuration:
// https://etcd.io/docs/v3.5/op-guide/configuration/
func etcdEnvironment(s seeds.Seed, self seeds.Node, can abilities) string {
	url := func(a netip.Addr, port uint16) string { return "http://" + addrPort(a, port) }
	address := self.Address.Addr()
	var members []string
	for _, n := range etcdMembers(s) {
		members = append(members, n.Name+"="+url(n.Address.Addr(), seeds.EtcdPeerPort))
	}
	var b strings.Builder
	b.WriteString(banner)
	e := self.Etcd
	variables := [][2]string{
		{"ETCD_NAME", self.Name},
		{"ETCD_DATA_DIR", EtcdDataDir},
		{"ETCD_LISTEN_PEER_URLS", url(address, seeds.EtcdPeerPort)},
		{"ETCD_LISTEN_CLIENT_URLS", url(address, seeds.EtcdClientPort) + "," + EtcdEndpoint},
		{"ETCD_INITIAL_ADVERTISE_PEER_URLS", url(address, seeds.EtcdPeerPort)},
		{"ETCD_ADVERTISE_CLIENT_URLS", url(address, seeds.EtcdClientPort)},
		{"ETCD_INITIAL_CLUSTER", strings.Join(members, ",")},
		{"ETCD_INITIAL_CLUSTER_TOKEN", e.InitialClusterToken},
		{"ETCD_HEARTBEAT_INTERVAL", strconv.Itoa(e.HeartbeatInterval)},
		{"ETCD_ELECTION_TIMEOUT", strconv.Itoa(e.ElectionTimeout)},
		{"ETCD_QUOTA_BACKEND_BYTES", strconv.FormatInt(int64(e.QuotaBackendBytes), 10)},
		// Patroni writes in every round. Without compaction the history of that
		// grows to etcd's quota, and then etcd takes no more writes.
		{"ETCD_AUTO_COMPACTION_MODE", "periodic"},
		{"ETCD_AUTO_COMPACTION_RETENTION", fmt.Sprintf("%dh", e.AutoCompactionRetention)},
	}
	if can.hasLogLevel() {
		variables = append(variables, [2]string{"ETCD_LOG_LEVEL", "warn"})
		if !can.prefersZap() {
			variables = append(variables, [2]string{"ETCD_LOGGER", "zap"})
		}
	}
	for _, v := range variables {
		fmt.Fprintf(&b, "%s=%s\n", v[0], v[1])
	}
	return b.String()
}
