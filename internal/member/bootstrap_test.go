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
	dead := peer.Result{Node: seeds.Node{Name: "n2"}, Err: errors.New("no route to host"), Answer: holds(peer.Data, peer.Data, 9)}
	for name, test := range map[string]struct {
		own   peer.Answer
		other peer.Result
		want  string // "" where it may
	}{
		"nobody answers":       {holds(peer.Lost, peer.Lost, 0), dead, ""},
		"all are empty":        {holds(peer.Nothing, peer.Nothing, 0), peer.Result{Answer: holds(peer.Nothing, peer.Nothing, 0)}, ""},
		"it has more":          {holds(peer.Data, peer.Data, 9), peer.Result{Answer: holds(peer.Nothing, peer.Data, 5)}, ""},
		"another has etcd":     {holds(peer.Data, peer.Data, 9), peer.Result{Answer: holds(peer.Data, peer.Nothing, 0)}, "holds data of etcd"},
		"another has rows":     {holds(peer.Lost, peer.Lost, 0), peer.Result{Answer: holds(peer.Lost, peer.Data, 5)}, "order it there"},
		"another is further":   {holds(peer.Lost, peer.Data, 5), peer.Result{Answer: holds(peer.Lost, peer.Data, 9)}, "has come further"},
		"further, and no etcd": {holds(peer.Data, peer.Data, 5), peer.Result{Answer: holds(peer.Lost, peer.Data, 9)}, ""},
		"another has a log":    {peer.Answer{Raft: peer.Lost}, peer.Result{Answer: peer.Answer{Raft: peer.Data}}, "holds the log of raft"},
		"no PostgreSQL here":   {holds(peer.Lost, "", 0), peer.Result{Answer: holds(peer.Lost, peer.Data, 9)}, ""},
	} {
		err := mayBootstrap(test.own, []peer.Result{test.other})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
