package namespace

import "testing"

func TestIsWhole(t *testing.T) {
	for ids, want := range map[string]bool{
		"         0          0 4294967295\n":                      true,
		"         0       1000          1\n":                      false,
		"         0       1000          1\n     1 100000 65535\n": false,
		"         0          0      65536\n":                      false,
		"         0          0 4294967295\n  5 6 7\n":             false,
	} {
		if isWhole(ids) != want {
			t.Errorf("%q: not %t", ids, want)
		}
	}
}
