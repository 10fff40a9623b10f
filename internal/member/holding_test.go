package member

import (
	"os"
	"path/filepath"
	"strings"
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

func TestIsWhole(t *testing.T) {
	for files, want := range map[string]bool{
		"":                            false,
		"PG_VERSION backup_label":     false,
		"pg_control backup_label":     false, // it comes last, and yet may come to the disk first
		"pg_control":                  true,  // a cold copy, or a server has come up with it
		"pg_control backup_label.old": true,
		"pg_control backup_label backup_manifest": true,
		"pg_control backup_label recovery.signal": true,
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "global"), 0o700); err != nil {
			t.Fatal(err)
		}
		for name := range strings.FieldsSeq(files) {
			if name == "pg_control" {
				name = "global/pg_control"
			}
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := isWhole(dir); got != want || err != nil {
			t.Errorf("%s: %v, %v", files, got, err)
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
	crashed, err := parseControl(strings.Replace(standby, "in archive recovery", "in crash recovery", 1))
	if !crashed.Primary || err != nil {
		t.Errorf("a primary that crashed: %+v, %v", crashed, err)
	}
	if _, err := parseControl("pg_control version number: 1700\n"); err == nil {
		t.Error("half an answer is taken")
	}
}
