package node

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

// EtcdDataDir is where Debian's etcd.service keeps a member's data.
const EtcdDataDir = "/var/lib/etcd/default"

// EtcdHealth is where the node itself, and nobody else, may ask its member how it is
// without a certificate.
var EtcdHealth = fmt.Sprintf("http://127.0.0.1:%d", seeds.EtcdMetricsPort)

// EtcdEndpoints are the URLs of the etcd that the cluster uses, the node's own member first.
func EtcdEndpoints(s seeds.Seed, self seeds.Node) []string {
	switch s.Cluster.DCS {
	case seeds.DCSExternal:
		return self.Etcd.Endpoints
	case seeds.DCSEtcd:
		if !s.UsesEtcd(self) {
			return nil
		}
	default:
		return nil
	}
	var endpoints []string
	if s.IsEtcdMember(self) {
		endpoints = append(endpoints, EtcdClientURL(self))
	}
	for _, n := range EtcdMembers(s) {
		if n.Name != self.Name {
			endpoints = append(endpoints, EtcdClientURL(n))
		}
	}
	return endpoints
}

// EtcdClientURL is where clients reach the member of a node, EtcdPeerURL where its peers do.
func EtcdClientURL(n seeds.Node) string {
	return "https://" + addrPort(n.Address.Addr(), seeds.EtcdClientPort)
}

// EtcdPeerURL is where the other members reach that of a node.
func EtcdPeerURL(n seeds.Node) string {
	return "https://" + addrPort(n.Address.Addr(), seeds.EtcdPeerPort)
}

const (
	etcdUnit     = "etcd.service"
	etcdDefaults = "/etc/default/etcd"
)

// etcd is the node's member of the DCS. It starts by itself once it is born; the
// first start is for package member, after a look at what is there.
func etcd(self seeds.Node, f facts.Facts, volumes []volume) converge.Step {
	resources := []converge.Resource{file(etcdDefaults, etcdEnvironment(self, abilities(f)))}
	// etcd cannot listen on an address that is not there yet, and Debian's unit
	// gives up when it exits. At five seconds apart the default start limit, five
	// times in ten seconds (systemd-system.conf(5)), is never met. One that waits for a
	// quorum has not failed, and no boot is to wait with it. A member without a
	// log has lost its data, or was never one: what then is for package member to decide.
	resources = append(resources, dropIn(etcdUnit, `[Unit]
After=network-online.target
ConditionDirectoryNotEmpty=`+EtcdDataDir+`/member/wal
`+requiresMounts(volumes, EtcdDataDir)+`
[Service]
Type=exec
Restart=on-failure
RestartSec=5
`)...)
	resources = append(resources, converge.Unit{Name: etcdUnit, Enabled: f.Joins(), RestartOn: []string{etcdDefaults, etcdCAFile}})
	return converge.Step{Name: StepEtcd, Needs: needs(volumes, EtcdDataDir), Resources: resources}
}

// EtcdMembers are the nodes that etcd consists of.
func EtcdMembers(s seeds.Seed) []seeds.Node {
	return slices.DeleteFunc(slices.Clone(s.Nodes), func(n seeds.Node) bool { return !s.IsEtcdMember(n) })
}

// etcdEnvironment is etcd's configuration:
// https://etcd.io/docs/v3.5/op-guide/configuration/
func etcdEnvironment(self seeds.Node, can abilities) string {
	var b strings.Builder
	b.WriteString(banner)
	e := self.Etcd
	variables := [][2]string{
		{"ETCD_NAME", self.Name},
		{"ETCD_DATA_DIR", EtcdDataDir},
		{"ETCD_LISTEN_PEER_URLS", EtcdPeerURL(self)},
		{"ETCD_LISTEN_CLIENT_URLS", fmt.Sprintf("%s,https://127.0.0.1:%d", EtcdClientURL(self), seeds.EtcdClientPort)},
		{"ETCD_LISTEN_METRICS_URLS", EtcdHealth},
		{"ETCD_INITIAL_ADVERTISE_PEER_URLS", EtcdPeerURL(self)},
		{"ETCD_ADVERTISE_CLIENT_URLS", EtcdClientURL(self)},
		{"ETCD_TRUSTED_CA_FILE", etcdCAFile},
		{"ETCD_CERT_FILE", etcdCertificateFile},
		{"ETCD_KEY_FILE", etcdKeyFile},
		{"ETCD_CLIENT_CERT_AUTH", "true"},
		{"ETCD_PEER_TRUSTED_CA_FILE", etcdCAFile},
		{"ETCD_PEER_CERT_FILE", etcdCertificateFile},
		{"ETCD_PEER_KEY_FILE", etcdKeyFile},
		{"ETCD_PEER_CLIENT_CERT_AUTH", "true"},
		// What it is to join, or to found, is said at its first start alone: package member.
		{"ETCD_INITIAL_CLUSTER", self.Name + "=" + EtcdPeerURL(self)},
		{"ETCD_INITIAL_CLUSTER_STATE", "existing"},
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
