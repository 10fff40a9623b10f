package member

import (
	"errors"
	"strings"
	"testing"

	"banyan/internal/dcs"
	"banyan/internal/peer"
	"banyan/seeds"
)

func TestDecideEtcd(t *testing.T) {
	is := func(name string, h peer.Holding) peer.Result {
		return peer.Result{Node: seeds.Node{Name: name}, Answer: peer.Answer{Etcd: h}}
	}
	silent := peer.Result{Node: seeds.Node{Name: "n3"}, Err: errors.New("no route to host")}
	empty := []peer.Result{is("n2", peer.Nothing), is("n3", peer.Nothing)}
	started, unstarted := &dcs.Member{ID: 1, Name: "n1"}, &dcs.Member{ID: 1}
	for name, test := range map[string]struct {
		etcdFindings
		want    course
		waiting string
	}{
		"the first":                     {etcdFindings{own: peer.Nothing, founder: true, others: empty}, begin, ""},
		"the only one":                  {etcdFindings{own: peer.Nothing, founder: true}, begin, ""},
		"the only one, interrupted":     {etcdFindings{own: peer.Begun, founder: true}, startOver, ""},
		"the only one, lost":            {etcdFindings{own: peer.Lost, founder: true}, refuse, ""},
		"not the first":                 {etcdFindings{own: peer.Nothing, others: empty}, wait, "first member"},
		"one is silent":                 {etcdFindings{own: peer.Nothing, founder: true, others: []peer.Result{empty[0], silent}}, wait, "silent: n3"},
		"one holds data":                {etcdFindings{own: peer.Nothing, founder: true, others: []peer.Result{empty[0], is("n3", peer.Data)}}, wait, "n3 holds data"},
		"one has lost its data":         {etcdFindings{own: peer.Nothing, founder: true, others: []peer.Result{empty[0], is("n3", peer.Lost)}}, wait, "n3 holds lost"},
		"interrupted":                   {etcdFindings{own: peer.Begun, founder: true, others: empty}, startOver, ""},
		"interrupted, yet others came":  {etcdFindings{own: peer.Begun, log: true, founder: true, others: []peer.Result{empty[0], is("n3", peer.Data)}}, carryOn, ""},
		"listed, and interrupted":       {etcdFindings{own: peer.Begun, entered: true, others: []peer.Result{empty[0], is("n3", peer.Data)}}, resume, ""},
		"interrupted before it was":     {etcdFindings{own: peer.Begun, others: []peer.Result{empty[0], is("n3", peer.Data)}}, wait, "n3 holds data"},
		"interrupted, one is silent":    {etcdFindings{own: peer.Begun, founder: true, others: []peer.Result{empty[0], silent}}, wait, "silent: n3"},
		"own data":                      {etcdFindings{own: peer.Data}, carryOn, ""},
		"own data, listed":              {etcdFindings{own: peer.Data, cluster: true, listed: started}, carryOn, ""},
		"own data, listed no more":      {etcdFindings{own: peer.Data, cluster: true}, join, ""},
		"new in a cluster":              {etcdFindings{own: peer.Nothing, cluster: true}, join, ""},
		"new in a cluster, was listed":  {etcdFindings{own: peer.Nothing, cluster: true, listed: unstarted}, join, ""},
		"joining was interrupted":       {etcdFindings{own: peer.Begun, cluster: true, listed: unstarted}, join, ""},
		"joining was interrupted, log":  {etcdFindings{own: peer.Begun, log: true, cluster: true, listed: unstarted}, carryOn, ""},
		"joining was interrupted later": {etcdFindings{own: peer.Begun, cluster: true, listed: started}, replace, ""},
		"a copy":                        {etcdFindings{own: peer.Nothing, cluster: true, listed: started, active: true}, refuse, ""},
		"an empty disk":                 {etcdFindings{own: peer.Nothing, cluster: true, listed: started}, silence, ""},
		"lost data":                     {etcdFindings{own: peer.Lost, cluster: true, listed: started}, silence, ""},
		"all lost":                      {etcdFindings{own: peer.Lost, founder: true, others: empty}, wait, "gone from all"},
		"ordered":                       {etcdFindings{own: peer.Lost, bootstrap: true, others: nil}, begin, ""},
		"ordered, with data":            {etcdFindings{own: peer.Data, bootstrap: true}, isolate, ""},
		"ordered, there is a quorum":    {etcdFindings{own: peer.Data, bootstrap: true, cluster: true, listed: started}, carryOn, ""},
		"ordered, interrupted":          {etcdFindings{own: peer.Begun, bootstrap: true}, startOver, ""},
	} {
		got := decideEtcd(test.etcdFindings)
		if got.course != test.want || !strings.Contains(got.waiting, test.waiting) || (got.waiting == "") != (test.waiting == "") {
			t.Errorf("%s: %s %q, want %s %q", name, got.course, got.waiting, test.want, test.waiting)
		}
	}
}
