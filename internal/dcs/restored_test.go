package dcs

import "testing"

func TestSyncOf(t *testing.T) {
	const alone = `{"leader":"n2","sync_standby":null,"quorum":0}`
	for _, test := range []struct{ before, candidate, want string }{
		{`{"leader":"n1","sync_standby":"n3"}`, "n2", alone},
		{`{"leader":"n1","quorum":1,"sync_standby":"n2,n3"}`, "n2", alone},
		{`{"leader":"n1","sync_standby":"n3"}`, "", ""}, // nobody holds data
		{`{"leader":null,"sync_standby":null}`, "n2", ""},
		{`{}`, "n2", ""},
		{"", "n2", ""}, // no synchronous mode
	} {
		if got := syncOf(test.before, test.candidate); got != test.want {
			t.Errorf("%s, %s: %s, want %s", test.before, test.candidate, got, test.want)
		}
	}
}
