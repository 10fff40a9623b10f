package status

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"banyan/internal/golden"
	"banyan/internal/node"
	"banyan/internal/patroni"
)

func TestMembers(t *testing.T) {
	r := with(report(Done), balanced)
	answered := Live{Cluster: &patroni.Cluster{Pause: true, Members: []patroni.Member{
		{Name: "pgsql-n1", Host: "172.16.32.11", Port: 5432, Role: "leader", State: "running", Timeline: 1},
		{Name: "pgsql-n2", Host: "172.16.32.12", Port: 5432, Role: "replica", State: "streaming", Timeline: 1, Lag: &patroni.Lag{}},
	}}}
	golden.Check(t, "testdata/members.golden", Members(r, answered))
	golden.Check(t, "testdata/members-unknown.golden", Members(r, Live{ClusterError: "https://172.16.32.11:8008/cluster: 503 Service Unavailable\nGet \"https://172.16.32.12:8008/cluster\": dial tcp 172.16.32.12:8008: connect: connection refused"}))
	if got := Members(Report{State: Waiting}, Live{}); got != "" {
		t.Errorf("before there is a seed: %q", got)
	}
}

// The node's own Patroni is asked first, and the others only where that does not answer.
func TestFirstAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		self    string
		answers []string // nodes
		asked   []string
		fails   bool
	}{
		"own":              {"pgsql-n2", []string{"pgsql-n1", "pgsql-n2"}, []string{"pgsql-n2"}, false},
		"another":          {"pgsql-n2", []string{"pgsql-n3"}, []string{"pgsql-n1", "pgsql-n2", "pgsql-n3"}, false},
		"of a balancer":    {"pgsql-b1", []string{"pgsql-n3"}, []string{"pgsql-n1", "pgsql-n2", "pgsql-n3"}, false},
		"nobody":           {"pgsql-n1", nil, []string{"pgsql-n1", "pgsql-n2", "pgsql-n3"}, true},
		"nobody, balancer": {"pgsql-b1", nil, []string{"pgsql-n1", "pgsql-n2", "pgsql-n3"}, true},
	} {
		r := Report{Node: test.self, Access: node.Access{PostgreSQL: servers(3)}}
		var mu sync.Mutex
		var asked []string
		var all sync.WaitGroup
		all.Add(len(test.asked))
		cluster, err := firstAnswer(t.Context(), r, func(_ context.Context, s node.Server) (patroni.Cluster, error) {
			defer all.Done()
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, s.Node)
			if !slices.Contains(test.answers, s.Node) {
				return patroni.Cluster{}, errors.New(s.Node + " is silent")
			}
			return patroni.Cluster{Members: []patroni.Member{{Name: s.Node}}}, nil
		})
		all.Wait()
		slices.Sort(asked)
		if !slices.Equal(asked, test.asked) {
			t.Errorf("%s: asked %q, want %q", name, asked, test.asked)
		}
		switch {
		case test.fails != (err != nil):
			t.Errorf("%s: the error is %v", name, err)
		case err == nil && !slices.Contains(test.answers, cluster.Members[0].Name):
			t.Errorf("%s: the answer is that of %s", name, cluster.Members[0].Name)
		case err != nil && strings.Count(err.Error(), "is silent") != 3:
			t.Errorf("%s: not all errors are told: %v", name, err)
		}
	}
}
