package diff

import (
	"strings"
	"testing"
)

func TestUnified(t *testing.T) {
	long := strings.Repeat("the same\n", 100_000) // more than a pipe holds
	for _, test := range []struct{ from, to, want string }{
		{"a\n", "a\n", ""},
		{"a\nb\n", "a\nc\n", "--- old\n+++ new\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"},
		{"", "a", "--- old\n+++ new\n@@ -0,0 +1 @@\n+a\n\\ No newline at end of file\n"},
		{long, long + "more\n", "--- old\n+++ new\n@@ -99998,3 +99998,4 @@\n the same\n the same\n the same\n+more\n"},
	} {
		if got, err := Unified(t.Context(), "old", "new", test.from, test.to); err != nil || got != test.want {
			t.Errorf("got %q, %v\nwant %q", got, err, test.want)
		}
	}
}
