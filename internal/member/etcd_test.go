package member

import "testing"

func TestDecideEtcd(t *testing.T) {
	for _, test := range []struct {
		born, log, data, begun bool
		want                   etcdCourse
	}{
		{want: etcdBegin},
		{begun: true, want: etcdBegin},
		{data: true, begun: true, want: etcdStartOver},
		{data: true, log: true, begun: true, want: etcdStartOver},
		{data: true, want: etcdCarryOn},
		{data: true, log: true, want: etcdCarryOn},
		{born: true, data: true, log: true, want: etcdCarryOn},
		{born: true, data: true, log: true, begun: true, want: etcdCarryOn},
		{born: true, data: true, want: etcdRefuse},
		{born: true, want: etcdRefuse},
	} {
		if got := decideEtcd(test.born, test.log, test.data, test.begun); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestInitializeBorn(t *testing.T) {
	for value, want := range map[string]bool{
		"7711116296981745808": true,
		"4294967296":          true, // 1 << 32 of Patroni's sysid_valid
		"":                    false,
		"42":                  false,
		"77111162969817458O8": false,
	} {
		if got := (initialize{there: true, value: value}).born(); got != want {
			t.Errorf("%q: %t, want %t", value, got, want)
		}
	}
}
