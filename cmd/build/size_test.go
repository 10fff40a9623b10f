package main

import "testing"

func TestSize(t *testing.T) {
	for text, want := range map[string]size{"1": 1, "512M": 512 << 20, "40G": 40 << 30, "1536M": 1536 << 20, "2T": 2 << 40} {
		var s size
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%s: got %d, %v", text, s, err)
		}
		if got := s.String(); got != text {
			t.Errorf("%s: written as %s", text, got)
		}
	}
	for _, text := range []string{"", "0", "G", "-1G", "1.5G", "1GB", "1 G", "99999999999T"} {
		var s size
		if err := s.Set(text); err == nil {
			t.Errorf("%q: got %d", text, s)
		}
	}
}
