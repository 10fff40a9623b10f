package verify

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"banyan/internal/check"
	"banyan/internal/dcs"
)

func TestEtcd(t *testing.T) {
	etcd := func(change func(*Etcd)) func(*Facts) { return func(f *Facts) { change(f.Etcd) } }
	silent := func(e *Etcd, which ...int) {
		for _, i := range which {
			e.Endpoints[i] = dcs.Endpoint{URL: e.Endpoints[i].URL, Err: errors.New("connection refused")}
		}
	}
	lost := func(e *Etcd) {
		silent(e, 1, 2)
		e.Endpoints[0].Leader = 0
		e.Members, e.MembersErr, e.AlarmsErr = nil, context.DeadlineExceeded, context.DeadlineExceeded
	}
	expect(t, map[string]change{
		"one silent": {
			what: etcd(func(e *Etcd) { silent(e, 2) }),
			name: "etcd", state: check.Fail, found: "pgsql-w1 does not answer: connection refused; the rest has a quorum", advice: "on pgsql-w1: systemctl status etcd",
		},
		"no quorum": {
			what: etcd(lost), name: "etcd", state: check.Fail,
			found:  "it has no quorum (context deadline exceeded); pgsql-n1 knows no leader; pgsql-n2 does not answer: connection refused; pgsql-w1",
			advice: "on pgsql-w1: systemctl status etcd",
		},
		"whom a quorum would name":  {what: etcd(lost), name: "etcd members", state: check.Skip, found: "without a quorum"},
		"what a quorum would alarm": {what: etcd(lost), name: "etcd space", state: check.OK, found: "no alarm"},
		"two leaders": {
			what: etcd(func(e *Etcd) { e.Endpoints[1].Leader = 2 }),
			name: "etcd", state: check.Fail, found: "its members follow 2 leaders", advice: "etcdctl endpoint status",
		},

		"never started": {
			what: etcd(func(e *Etcd) { e.Members[2].Name = "" }),
			name: "etcd members", state: check.Warn, found: "https://172.16.32.14:2380 was added, and has not started", advice: "etcdctl member list",
		},
		"a learner": {what: etcd(func(e *Etcd) { e.Members[2].Learner = true }), name: "etcd members", state: check.Warn, found: "pgsql-w1 is a learner", advice: "etcdctl member list"},
		"none of them": {
			what: etcd(func(e *Etcd) { e.Members = e.Members[:2] }),
			name: "etcd members", state: check.Fail, found: "pgsql-w1 is none", advice: "on pgsql-w1: firstboot status",
		},
		"a stranger": {
			what: etcd(func(e *Etcd) { e.Members = append(e.Members, dcs.Member{ID: 0xbad, Name: "pgsql-n9"}) }),
			name: "etcd members", state: check.Warn, found: "pgsql-n9 (bad) is one, and the seed does not know it", advice: "firstboot leave",
		},

		"no space": {
			what: etcd(func(e *Etcd) { e.Alarms = []dcs.Alarm{{Member: 2, Kind: "NOSPACE"}} }),
			name: "etcd space", state: check.Fail, found: "pgsql-n2 has raised the alarm NOSPACE", advice: "etcdctl alarm disarm",
		},
		"growing": {
			what: etcd(func(e *Etcd) { e.Endpoints[1].Size = 1639 << 20 }), // of 2 GB
			name: "etcd space", state: check.Warn, found: "the database of pgsql-n2 takes 1639 MB of its quota of 2048", advice: "etcdctl defrag",
		},
		"large": {what: etcd(func(e *Etcd) { e.Endpoints[1].Size = 1600 << 20 }), name: "etcd space", state: check.OK, found: "1600 MB"},
		"no list of alarms": {
			what: etcd(func(e *Etcd) { e.AlarmsErr = errors.New("unknown service") }),
			name: "etcd space", state: check.Warn, found: "its alarms cannot be listed: unknown service", advice: "etcdctl alarm list",
		},
	})
}

// Of an external etcd the seed knows neither members nor quota, and the cluster's user may
// not list the alarms.
func TestExternalEtcd(t *testing.T) {
	const external = `version: banyan/v1
cluster: {name: pgsql-cl, dcs: external}
etcd: {endpoints: ["https://etcd1.example.org:2379", "https://etcd2.example.org:2379"], username: patroni, password: fixture}
nodes: [{name: pgsql-n1, address: 172.16.32.11/24, services: [postgresql]}]
`
	f := soundOf(t, external, "pgsql-n1")
	f.Etcd = &Etcd{
		Members: []dcs.Member{{ID: 1, Name: "etcd1"}, {ID: 2, Name: "etcd2"}},
		Endpoints: []dcs.Endpoint{
			{URL: "https://etcd1.example.org:2379", Leader: 1, Size: 7 << 30},
			{URL: "https://etcd2.example.org:2379", Leader: 1},
		},
		AlarmsErr: rpctypes.ErrPermissionDenied,
	}
	for _, name := range []string{"etcd", "etcd members", "etcd space"} {
		if c := find(t, Judge(f), name); c.State != check.OK {
			t.Errorf("%+v", c)
		}
	}
	f.Etcd.Endpoints[1] = dcs.Endpoint{URL: "https://etcd2.example.org:2379", Err: errors.New("connection refused")}
	c := find(t, Judge(f), "etcd")
	if c.State != check.Fail || !strings.HasPrefix(c.Found, "https://etcd2.example.org:2379 does not answer") || c.Advice != "etcdctl endpoint health" {
		t.Errorf("%+v", c)
	}
}
