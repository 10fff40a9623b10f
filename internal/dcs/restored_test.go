package dcs

import (
	"slices"
	"testing"
)

// The texts are what Patroni 3.0 and 4.0 have written.
func TestParseSync(t *testing.T) {
	for text, want := range map[string][]string{
		`{"leader":"n1","sync_standby":"n2,n3"}`:            {"n1", "n2", "n3"},
		`{"leader":"n1","quorum":0,"sync_standby":null}`:    {"n1"},
		`{"leader":"n1","sync_standby":""}`:                 {"n1"},
		`{"leader":null,"quorum":0,"sync_standby":null}`:    {},
		`{"leader": "n1", "sync_standby": "n2","quorum":1}`: {"n1", "n2"},
	} {
		if got, err := parseSync(text); !slices.Equal(got, want) || err != nil {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if _, err := parseSync("n1"); err == nil {
		t.Error("another text is taken")
	}
}
