package seeds

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	etcdToken = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	// ownEtcd and externalEtcd are the keys that make sense where etcd is this
	// cluster's, or another's.
	ownEtcd      = []string{"initial-cluster-token", "heartbeat-interval", "election-timeout", "quota-backend-bytes", "auto-compaction-retention", "snapshots"}
	externalEtcd = []string{"endpoints", "cacert", "cert", "key", "username", "password"}
)

// Limits of etcd. The longest election is maxElectionMs of its embed package; for
// the quota see https://etcd.io/docs/v3.5/dev-guide/limit/.
const (
	longestElection = 50000
	leastQuota      = 16 << 20
	usualQuota      = 8 << 30
)

func (d document) checkEtcd(prefix string, dcs DCS, e Etcd) {
	for _, key := range externalEtcd {
		if dcs == DCSEtcd || dcs == DCSRaft {
			d.Refuse(prefix+key, "%s is of an etcd that stands already: set cluster.dcs to external, or remove it", key)
		}
	}
	for _, key := range ownEtcd {
		if dcs == DCSExternal || dcs == DCSRaft {
			d.Warn(prefix+key, "%s counts for nothing, since cluster.dcs is %s: remove it", key, dcs)
		}
	}
	if dcs == DCSExternal {
		d.checkEndpoints(prefix, e)
	}
	if !etcdToken.MatchString(e.InitialClusterToken) {
		d.Refuse(prefix+"initial-cluster-token", "%s is not a token of etcd: use 1 to 64 letters, digits, dots, hyphens and underscores", quote(e.InitialClusterToken))
	}
	heartbeat, election := prefix+"heartbeat-interval", prefix+"election-timeout"
	d.checkRange(heartbeat, int64(e.HeartbeatInterval), 1, longestElection/5, "ms")
	d.checkRange(election, int64(e.ElectionTimeout), 5, longestElection, "ms")
	if e.HeartbeatInterval > 0 && e.HeartbeatInterval <= longestElection/5 && e.ElectionTimeout < 5*e.HeartbeatInterval && !d.Malformed(heartbeat) && !d.Malformed(election) {
		d.Refuse(d.given(election, heartbeat), "etcd needs 5 * heartbeat-interval <= election-timeout, and 5 * %d is above %d: raise election-timeout to 10 * heartbeat-interval, as is usual",
			e.HeartbeatInterval, e.ElectionTimeout)
	}
	if e.QuotaBackendBytes < leastQuota {
		d.Refuse(prefix+"quota-backend-bytes", "%s is too little for etcd: use 16MB to 8GB", e.QuotaBackendBytes)
	}
	if e.QuotaBackendBytes > usualQuota {
		d.Warn(prefix+"quota-backend-bytes", "etcd advises against more than 8GB: a member takes long to start with so much")
	}
	d.checkRange(prefix+"auto-compaction-retention", int64(e.AutoCompactionRetention), 0, 8760, "h")
	d.checkRange(prefix+"snapshots", int64(e.Snapshots), 0, 365, "")
	d.checkTogether(prefix, "cert", string(e.Cert), "key", e.Key.Reveal())
	d.checkTogether(prefix, "username", e.Username, "password", e.Password.Reveal())
}

// checkEndpoints shows none of them: a password may be in it.
func (d document) checkEndpoints(prefix string, e Etcd) {
	path := prefix + "endpoints"
	if len(e.Endpoints) == 0 {
		d.Refuse(path, "the list is empty: write the addresses of etcd's members, such as https://etcd1.example.org:2379")
	}
	schemes := map[string]bool{}
	for i, endpoint := range e.Endpoints {
		at := fmt.Sprintf("%s[%d]", path, i)
		u, err := url.Parse(endpoint)
		switch {
		case err != nil || !isEndpoint(u):
			d.Refuse(at, "this is not the address of a member of etcd, such as https://etcd1.example.org:2379")
			continue
		case len(schemes) > 0 && !schemes[u.Scheme]:
			d.Refuse(at, "Patroni reaches all members by http or all by https: write them alike")
		}
		schemes[u.Scheme] = true
	}
	checkTwice(d, path, e.Endpoints, func(string) string { return "this endpoint" })
	if schemes["http"] && !schemes["https"] {
		for _, key := range []string{"cacert", "cert", "key"} {
			d.Refuse(prefix+key, "%s is for https, and the endpoints begin with http: write https, or remove it", key)
		}
	}
}

// isEndpoint tells whether u is scheme, host and port and nothing else.
func isEndpoint(u *url.URL) bool {
	number, err := strconv.ParseUint(u.Port(), 10, 16)
	return (u.Scheme == "http" || u.Scheme == "https") && err == nil && number > 0 && wrongHost(u.Hostname()) == "" &&
		u.User == nil && strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
}

// mostConnections bounds maxconn: each takes two file descriptors.
const mostConnections = 2_000_000

func (d document) checkHAProxy(prefix string, h HAProxy) {
	m := h.Maxconn
	global := prefix + "maxconn.global"
	d.checkRange(global, int64(m.Global), 1, mostConnections, "")
	for key, value := range map[string]int{"primary": m.Primary, "replica": m.Replica} {
		path := prefix + "maxconn." + key
		d.checkRange(path, int64(value), 1, math.MaxInt64, "")
		if value > m.Global && m.Global > 0 && !d.Malformed(path) && !d.Malformed(global) {
			d.Refuse(d.given(path, global), "maxconn.%s of %d is above maxconn.global of %d: lower it, or raise that", key, value, m.Global)
		}
	}
	t := h.Timeout
	for key, value := range map[string]HAProxyTime{"client": t.Client, "server": t.Server, "connect": t.Connect, "queue": t.Queue, "check": t.Check} {
		if value.duration() > math.MaxInt32*time.Millisecond { // https://docs.haproxy.org/3.0/configuration.html#2.5
			d.Refuse(prefix+"timeout."+key, "%s is longer than HAProxy takes: use 24d at most", value)
		}
	}
}
