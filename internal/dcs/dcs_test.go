package dcs

import "testing"

func TestInitializeBorn(t *testing.T) {
	for value, want := range map[string]bool{
		"7711116296981745808": true,
		"4294967296":          true, // 1 << 32 of Patroni's sysid_valid
		"":                    false,
		"42":                  false,
		"77111162969817458O8": false,
	} {
		if got := (Initialize{There: true, Value: value}).Born(); got != want {
			t.Errorf("%q: %t, want %t", value, got, want)
		}
	}
}
