package member

import (
	"testing"

	"banyan/internal/dcs"
	"banyan/seeds"
)

func TestUnlistedMembers(t *testing.T) {
	members := []dcs.Member{{ID: 1, Name: "n1"}, {ID: 2, Name: "n2"}, {ID: 3}}
	got := unlistedMembers(members, []seeds.Node{{Name: "n1"}, {Name: "n4"}})
	if len(got) != 1 || got[0].Name != "n2" {
		t.Errorf("%v", got)
	}
}
