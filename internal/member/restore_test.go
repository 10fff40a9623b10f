package member

import (
	"errors"
	"strings"
	"testing"

	"banyan/internal/patroni"
	"banyan/internal/peer"
	"banyan/seeds"
)

func TestDecideRestore(t *testing.T) {
	answers := func(name string, h peer.Holding) peer.Result {
		return peer.Result{Node: seeds.Node{Name: name}, Answer: peer.Answer{Etcd: h}}
	}
	silent := answers("n3", peer.Nothing)
	silent.Err = errors.New("no route to host")
	noQuorum := errors.New("etcdserver: no leader")
	dead := []membership{{of: "n1", err: noQuorum}, {of: "n2", err: noQuorum}, {of: "n3", err: noQuorum}}
	alive := []membership{dead[0], {of: "n2", listed: true}, dead[2]}
	lost := []peer.Result{answers("n2", peer.Lost), answers("n3", peer.Lost)}
	for name, test := range map[string]struct {
		members       []membership
		others        []peer.Result
		want, ordered string // of the error, "" for none; and with force
	}{
		"all is lost":              {dead, lost, "", ""},
		"a machine is new":         {dead, []peer.Result{answers("n2", peer.Nothing), lost[1]}, "", ""},
		"a birth was interrupted":  {dead, []peer.Result{answers("n2", peer.Begun), lost[1]}, "", ""},
		"one without etcd answers": {dead, append(lost, answers("n4", "")), "", ""},
		"the only member":          {dead[:1], nil, "", ""},
		"one holds data":           {dead, []peer.Result{answers("n2", peer.Data), lost[1]}, "there is data of etcd on n2", ""},
		"one is silent":            {dead, []peer.Result{lost[0], silent}, "n3", ""},
		"a silent one and data":    {dead, []peer.Result{answers("n2", peer.Data), silent}, "is data of etcd on n2", ""},
		"etcd has a quorum":        {alive, lost, "as n2 says", "as n2 says"},
	} {
		for force, want := range map[bool]string{false: test.want, true: test.ordered} {
			err := decideRestore(restoreFindings{members: test.members, others: test.others}, force)
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s, force %t: %v, want %q", name, force, err, want)
			}
		}
	}
}

func TestKnownInStep(t *testing.T) {
	has := func(name string, timeline uint32, lsn uint64) peer.Result {
		return peer.Result{Node: seeds.Node{Name: name}, Answer: peer.Answer{PostgreSQL: peer.Data, Progress: peer.Progress{Timeline: timeline, LSN: lsn}}}
	}
	silent := has("n2", 1, 9)
	silent.Err = errors.New("no route to host")
	for name, test := range map[string]struct {
		results []peer.Result
		inStep  []string
		want    string // who is the best of them
	}{
		"nobody is known to be":    {[]peer.Result{has("n1", 1, 5), has("n3", 1, 7)}, nil, "n3"},
		"one that seems behind":    {[]peer.Result{has("n1", 1, 5), has("n3", 1, 7)}, []string{"n2", "n1"}, "n1"},
		"others have gone on":      {[]peer.Result{has("n1", 1, 5), has("n3", 2, 7)}, []string{"n1"}, "n3"},
		"who was so is not there":  {[]peer.Result{silent, has("n3", 1, 7)}, []string{"n2"}, "n3"},
		"of several the furthest":  {[]peer.Result{has("n1", 2, 5), has("n2", 2, 6), has("n3", 2, 7)}, []string{"n1", "n2"}, "n2"},
		"one of an older timeline": {[]peer.Result{has("n1", 2, 5), has("n2", 1, 9)}, []string{"n1", "n2"}, "n1"},
	} {
		if best, _ := peer.Best(knownInStep(test.results, test.inStep)); best.Node.Name != test.want {
			t.Errorf("%s: %s", name, best.Node.Name)
		}
	}
}

func TestChooseSnapshot(t *testing.T) {
	some := []string{"20261101T030000Z.db", "20261102T030000Z.db"}
	for name, test := range map[string]struct {
		named     string
		own       peer.Holding
		snapshots []string
		want, err string
	}{
		"the newest":              {"", peer.Lost, some, snapshotDir + "/20261102T030000Z.db", ""},
		"of a new machine":        {"", peer.Nothing, some, snapshotDir + "/20261102T030000Z.db", ""},
		"a named one":             {"/root/other.db", peer.Lost, some, "/root/other.db", ""},
		"a named one, in no need": {"/root/other.db", peer.Data, nil, "/root/other.db", ""},
		"what is there is newer":  {"", peer.Data, some, "", "firstboot bootstrap"},
		"none":                    {"", peer.Lost, nil, "", "no snapshot"},
	} {
		got, err := chooseSnapshot(test.named, peer.Answer{Etcd: test.own}, test.snapshots)
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %q, %v; want %q, %q", name, got, err, test.want, test.err)
		}
	}
}

func TestDecideJoin(t *testing.T) {
	down := membership{of: "n3", err: errors.New("no quorum")}
	for name, test := range map[string]struct {
		answers []membership
		want    string
	}{
		"one was restored":             {[]membership{{of: "n1"}, down}, ""},
		"and another has joined":       {[]membership{{of: "n1"}, {of: "n3"}}, ""},
		"none yet":                     {[]membership{down}, "n3: no quorum"},
		"the only member":              {nil, "no other member"},
		"nothing was restored":         {[]membership{{of: "n1", listed: true}, {of: "n3", listed: true}}, "nothing to join"},
		"the old one has a quorum yet": {[]membership{{of: "n1"}, {of: "n3", listed: true}}, "the etcd of n3 lists this node"},
	} {
		if err := decideJoin(test.answers); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// A control file lags behind the server that runs, and a server that does not run says nothing.
func TestAdvance(t *testing.T) {
	control := peer.Progress{Timeline: 3, Primary: true, LSN: 100}
	for name, test := range map[string]struct {
		status patroni.Status
		want   peer.Progress
	}{
		"it does not run":   {patroni.Status{}, control},
		"a primary":         {patroni.Status{Timeline: 3, XLog: patroni.XLog{Location: 120}}, peer.Progress{Timeline: 3, Primary: true, LSN: 120}},
		"a standby":         {patroni.Status{Timeline: 4, XLog: patroni.XLog{Received: 130, Replayed: 120}}, peer.Progress{Timeline: 4, Primary: true, LSN: 130}},
		"it is not yet far": {patroni.Status{XLog: patroni.XLog{Replayed: 90}}, control},
	} {
		if got := advanced(control, test.status); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
