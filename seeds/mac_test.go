package seeds

import "testing"

func TestMAC(t *testing.T) {
	for text, want := range map[string]string{
		"52:54:00:12:34:56": "52:54:00:12:34:56",
		"52-54-00-AB-CD-EF": "52:54:00:ab:cd:ef",
		"5254.00ab.cdef":    "52:54:00:ab:cd:ef",
	} {
		var m MAC
		if err := m.UnmarshalText([]byte(text)); err != nil || m.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, m, err, want)
		}
	}
	for _, text := range []string{"", "52:54:00:12:34", "52:54:00:12:34:56:78:90", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"} {
		var m MAC
		if err := m.UnmarshalText([]byte(text)); err == nil || !m.IsZero() {
			t.Errorf("%q was taken for %s", text, m)
		}
	}
	if got := (MAC{}).String(); got != "" {
		t.Errorf("no address is %q", got)
	}
}
