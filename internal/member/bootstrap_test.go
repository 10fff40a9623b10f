package member

import (
	"errors"
	"strings"
	"testing"

	"banyan/internal/peer"
	"banyan/seeds"
)

func TestMayBootstrap(t *testing.T) {
	holds := func(etcd, postgresql peer.Holding, lsn uint64) peer.Answer {
		return peer.Answer{Etcd: etcd, PostgreSQL: postgresql, Progress: peer.Progress{LSN: lsn}}
	}
	database := func(name string, a peer.Answer) peer.Result {
		return peer.Result{Node: seeds.Node{Name: name, Services: []seeds.Service{seeds.ServicePostgreSQL}}, Answer: a}
	}
	silent := database("n2", holds(peer.Data, peer.Data, 9))
	silent.Err = errors.New("no route to host")
	never := database("n1", holds(peer.Lost, peer.Data, 9))
	never.Node.Patroni.Tags.NoFailover = true
	neverAndEtcd := never
	neverAndEtcd.Answer.Etcd = peer.Data
	for name, test := range map[string]struct {
		self, other peer.Result
		want        string // "" where it may
	}{
		"nobody answers":             {database("n1", holds(peer.Lost, peer.Lost, 0)), silent, ""},
		"all are empty":              {database("n1", holds(peer.Nothing, peer.Nothing, 0)), database("n2", holds(peer.Nothing, peer.Nothing, 0)), ""},
		"it has more":                {database("n1", holds(peer.Data, peer.Data, 9)), database("n2", holds(peer.Nothing, peer.Data, 5)), ""},
		"another has etcd":           {database("n1", holds(peer.Data, peer.Data, 9)), database("n2", holds(peer.Data, peer.Nothing, 0)), "holds data of etcd"},
		"another has rows":           {database("n1", holds(peer.Lost, peer.Lost, 0)), database("n2", holds(peer.Lost, peer.Data, 5)), "order it there"},
		"another is further":         {database("n1", holds(peer.Lost, peer.Data, 5)), database("n2", holds(peer.Lost, peer.Data, 9)), "has come further"},
		"further, and no etcd":       {database("n1", holds(peer.Data, peer.Data, 5)), database("n2", holds(peer.Lost, peer.Data, 9)), ""},
		"further, and no member":     {database("n1", holds(peer.Lost, peer.Data, 5)), database("n2", holds("", peer.Data, 9)), ""},
		"further, and never leads":   {database("n1", holds(peer.Lost, peer.Data, 5)), never, ""},
		"it never leads":             {never, silent, "never leads"},
		"it never leads, with etcd":  {neverAndEtcd, silent, ""},
		"another has a log":          {database("n1", peer.Answer{Raft: peer.Lost}), database("n2", peer.Answer{Raft: peer.Data}), "holds the log of raft"},
		"raft, another is further":   {database("n1", peer.Answer{Raft: peer.Lost, PostgreSQL: peer.Data}), database("n2", peer.Answer{Raft: peer.Lost, PostgreSQL: peer.Data, Progress: peer.Progress{LSN: 9}}), ""},
		"no PostgreSQL here":         {peer.Result{Answer: holds(peer.Lost, "", 0)}, database("n2", holds(peer.Lost, peer.Data, 9)), ""},
		"no PostgreSQL, and silence": {peer.Result{Answer: holds(peer.Lost, "", 0)}, silent, "no node with PostgreSQL answers"},
	} {
		err := mayBootstrap(test.self, []peer.Result{test.other})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFounder(t *testing.T) {
	nodes := []seeds.Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}}
	nodes[0].Patroni.Tags.NoFailover = true
	if got := founder(nodes).Name; got != "n2" {
		t.Errorf("%s founds", got)
	}
}
