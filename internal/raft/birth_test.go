package raft

import (
	"errors"
	"strings"
	"testing"

	"banyan/internal/peer"
	"banyan/seeds"
)

func TestDecide(t *testing.T) {
	is := func(name string, h peer.Holding) peer.Result {
		return peer.Result{Node: seeds.Node{Name: name}, Answer: peer.Answer{Raft: h}}
	}
	silent := peer.Result{Node: seeds.Node{Name: "n3"}, Err: errors.New("no route to host")}
	for name, test := range map[string]struct {
		own       peer.Holding
		bootstrap bool
		others    []peer.Result
		want      Start
		waiting   string
	}{
		"birth":                            {peer.Nothing, false, []peer.Result{is("n2", peer.Nothing), is("n3", peer.Nothing)}, Found, ""},
		"birth, another began":             {peer.Nothing, false, []peer.Result{is("n2", peer.Begun), is("n3", peer.Nothing)}, Found, ""},
		"birth, interrupted":               {peer.Begun, false, []peer.Result{is("n2", peer.Begun), is("n3", peer.Begun)}, Found, ""},
		"birth, one is silent":             {peer.Nothing, false, []peer.Result{is("n2", peer.Nothing), silent}, Wait, "silent: n3"},
		"late":                             {peer.Nothing, false, []peer.Result{is("n2", peer.Data), is("n3", peer.Data)}, Plain, ""},
		"late, one is silent":              {peer.Nothing, false, []peer.Result{is("n2", peer.Data), silent}, Plain, ""},
		"its log is gone":                  {peer.Lost, false, []peer.Result{is("n2", peer.Data), is("n3", peer.Data)}, Plain, ""},
		"two emptied while one is away":    {peer.Nothing, false, []peer.Result{is("n2", peer.Nothing), silent}, Wait, "silent: n3"},
		"two emptied, one back":            {peer.Nothing, false, []peer.Result{is("n2", peer.Nothing), is("n3", peer.Data)}, Plain, ""},
		"all lost":                         {peer.Lost, false, []peer.Result{is("n2", peer.Lost), is("n3", peer.Lost)}, Wait, "gone"},
		"installed anew where all is lost": {peer.Nothing, false, []peer.Result{is("n2", peer.Lost), is("n3", peer.Nothing)}, Wait, "gone"},
		"ordered":                          {peer.Lost, true, []peer.Result{is("n2", peer.Lost), silent}, Found, ""},
		"ordered, and has its log":         {peer.Data, true, nil, Plain, ""},
		"own log":                          {peer.Data, false, nil, Plain, ""},
	} {
		got, waiting := Decide(test.own, test.bootstrap, test.others)
		if got != test.want || !strings.Contains(waiting, test.waiting) || (waiting == "") != (test.waiting == "") {
			t.Errorf("%s: %s %q, want %s %q", name, got, waiting, test.want, test.waiting)
		}
	}
}
