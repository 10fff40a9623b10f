package strict

import (
	"strconv"
	"strings"
	"testing"
)

func TestProblemString(t *testing.T) {
	x, y := strings.Repeat("x", 60), strings.Repeat("y", 60)
	for name, test := range map[string]struct {
		source string
		column int
		want   string // the line and the caret, without the indentation
	}{
		"plain":          {"a: b", 4, "a: b\n   ^"},
		"no column":      {"a: b", 0, "a: b\n^"},
		"behind the end": {"a: b", 9, "a: b\n    ^"},
		"tabs":           {"\ta:\tb", 5, "    a:    b\n          ^"},
		"wide":           {"база: 数据 b", 10, "база: 数据 b\n           ^"},
		"combining":      {"e\u0301: b", 5, "e\u0301: b\n   ^"},
		"for a terminal": {"a: \x1b[2J\u202eb", 9, "a: ?[2J?b\n        ^"},
		"cut at the end": {"a: " + x + y, 4, "a: " + x + y[:9] + "...\n   ^"},
		"cut at the start": {
			x + y + "a", 121,
			"..." + y[60-36:] + "a\n" + strings.Repeat(" ", 39) + "^",
		},
		"cut at both": {
			x + "a" + y, 61,
			"..." + x[60-36:] + "a" + y[:35] + "...\n" + strings.Repeat(" ", 39) + "^",
		},
		"cut, wide": {
			strings.Repeat("数", 50) + "a", 51,
			"..." + strings.Repeat("数", 18) + "a\n" + strings.Repeat(" ", 39) + "^",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Problem{File: "seed.yaml", Line: 7, Column: test.column, Message: "no", Source: test.source}.String()
			want := "seed.yaml:7:" + strconv.Itoa(test.column) + ": no\n    " + strings.Replace(test.want, "\n", "\n    ", 1)
			if got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
	if got := (Problem{File: "f", Line: 1, Column: 1, Message: "no"}).String(); got != "f:1:1: no" {
		t.Errorf("without a line: %q", got)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"address", "loop_wait", "ttl", "services"}
	for typed, want := range map[string]string{
		"addess": "address", "addresss": "address", "addrses": "address", "addrexx": "address", "addrxxx": "",
		"loop-wait": "loop_wait", "LoopWait": "loop_wait", "tll": "ttl", "tlt": "ttl", "lt": "", "service": "services", "nodes": "", "": "",
	} {
		if got := Nearest(typed, names); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}
