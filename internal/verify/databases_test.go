package verify

import (
	"errors"
	"testing"

	"banyan/internal/check"
	"banyan/seeds"
)

func TestDatabases(t *testing.T) {
	var following seeds.Node
	following.Patroni.StandbyCluster.Host = "192.0.2.1"
	for what, test := range map[string]struct {
		self  seeds.Node
		found *Databases
		want  check.State // "" for no check
	}{
		"no PostgreSQL": {seeds.Node{}, nil, ""},
		"all":           {seeds.Node{}, &Databases{Made: true}, check.OK},
		"not all":       {seeds.Node{}, &Databases{}, check.Warn},
		"not known":     {seeds.Node{}, &Databases{Err: errors.New("no server runs")}, check.Skip},
		"another's":     {following, &Databases{}, check.Skip},
	} {
		checks := checkDatabases(Facts{Self: test.self, Databases: test.found})
		if (len(checks) == 0) != (test.want == "") || len(checks) > 0 && checks[0].State != test.want {
			t.Errorf("%s: %+v, want %q", what, checks, test.want)
		}
	}
}
