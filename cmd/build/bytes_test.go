package main

import "testing"

func TestBytes(t *testing.T) {
	for text, want := range map[string]bytes{"1": 1, "512M": 512 << 20, "40G": 40 << 30, "1536M": 1536 << 20, "2T": 2 << 40} {
		var b bytes
		if err := b.Set(text); err != nil || b != want {
			t.Errorf("%s: got %d, %v", text, b, err)
		}
		if got := b.String(); got != text {
			t.Errorf("%s: written as %s", text, got)
		}
	}
	for _, text := range []string{"", "0", "G", "-1G", "1.5G", "1GB", "1 G", "99999999999T"} {
		var b bytes
		if err := b.Set(text); err == nil {
			t.Errorf("%q: got %d", text, b)
		}
	}
}
