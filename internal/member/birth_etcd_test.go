package member

import "testing"

func TestDecideEtcd(t *testing.T) {
	for _, test := range []struct {
		born, wal, data, begun bool
		want                   course
	}{
		{want: begin},
		{begun: true, want: begin},
		{data: true, begun: true, want: startOver},
		{data: true, wal: true, begun: true, want: startOver},
		{data: true, want: carryOn},
		{data: true, wal: true, want: carryOn},
		{born: true, data: true, wal: true, want: carryOn},
		{born: true, data: true, wal: true, begun: true, want: carryOn},
		{born: true, data: true, want: refuse},
		{born: true, want: refuse},
	} {
		if got := decideEtcd(test.born, test.wal, test.data, test.begun); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}
