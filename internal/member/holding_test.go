package member

import (
	"testing"

	"banyan/internal/peer"
)

func TestHolding(t *testing.T) {
	for _, test := range []struct {
		data, begun, born bool
		want              peer.Holding
	}{
		{want: peer.Nothing},
		{begun: true, want: peer.Begun},
		{data: true, begun: true, want: peer.Begun},
		{data: true, begun: true, born: true, want: peer.Begun}, // it replaces what was lost
		{data: true, want: peer.Data},
		{data: true, born: true, want: peer.Data},
		{born: true, want: peer.Lost},
	} {
		if got := holding(test.data, test.begun, test.born); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

// The text is a part of what pg_controldata 17 prints of a standby.
func TestParseControl(t *testing.T) {
	const standby = `pg_control version number:            1700
Database system identifier:           7712457308859536694
Database cluster state:               in archive recovery
pg_control last modified:             Thu Nov 26 12:38:49 2026
Latest checkpoint location:           0/2000080
Latest checkpoint's TimeLineID:       1
max_prepared_xacts setting:           7
Minimum recovery ending location:     1/30001A8
Min recovery ending loc's timeline:   2
`
	got, err := parseControl(standby)
	want := control{peer.Progress{Timeline: 2, LSN: 1<<32 | 0x30001a8}, "7712457308859536694", "in archive recovery", "7"}
	if got != want || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parseControl("pg_control version number: 1700\n"); err == nil {
		t.Error("half an answer is taken")
	}
}
