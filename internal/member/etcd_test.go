package member

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The two logs were written by etcd 3.5.16: void.wal by one that was killed
// between the making of its log and its first entry, born.wal by one that was not.
// Both are cut off where their preallocated space begins, or later.
func log(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

const firstSegment = "0000000000000000-0000000000000000.wal"

func TestLogHoldsEntries(t *testing.T) {
	void, born := log(t, "void.wal"), log(t, "born.wal")
	space := make([]byte, 64<<10)
	torn := bytes.Clone(born)
	clear(torn[128:]) // within the first entry
	tests := map[string]struct {
		segments map[string][]byte
		want     bool
	}{
		"no log":                 {nil, false},
		"a half-made one":        {map[string][]byte{"0.tmp": space}, false},
		"an empty file":          {map[string][]byte{firstSegment: nil}, false},
		"space alone":            {map[string][]byte{firstSegment: space}, false},
		"a header":               {map[string][]byte{firstSegment: append(void, space...)}, false},
		"a header cut short":     {map[string][]byte{firstSegment: void[:40]}, false},
		"a torn first entry":     {map[string][]byte{firstSegment: append(torn, space...)}, false},
		"entries":                {map[string][]byte{firstSegment: append(born, space...)}, true},
		"damage, then more":      {map[string][]byte{firstSegment: append(bytes.Replace(born, []byte("peerURLs"), []byte("peerurls"), 1), space...)}, true},
		"damage in the header":   {map[string][]byte{firstSegment: append([]byte{4, 0, 0, 0, 0, 0, 0, 0x84, 0xff}, born...)}, true},
		"a second segment":       {map[string][]byte{firstSegment: void, "0000000000000001-0000000000000100.wal": space}, true},
		"a later segment, alone": {map[string][]byte{"0000000000000001-0000000000000100.wal": space}, true},
	}
	for name, test := range tests {
		dir := t.TempDir()
		for file, content := range test.segments {
			if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := logHoldsEntries(dir); got != test.want || err != nil {
			t.Errorf("%s: %t, error %v, want %t", name, got, err, test.want)
		}
	}
}

func TestCheckEtcd(t *testing.T) {
	for name, test := range map[string]struct {
		log   string // in testdata, or "" for none
		born  bool
		moved bool
		err   string
	}{
		"a database without a log": {moved: true},
		"a void log":               {log: "void.wal", moved: true},
		"a member":                 {log: "born.wal"},
		"a born member":            {log: "born.wal", born: true},
		"data lost":                {born: true, err: "holds no data any more, and yet this node was born"},
	} {
		data := t.TempDir()
		member := filepath.Join(data, "member")
		if err := os.MkdirAll(filepath.Join(member, "wal"), 0o700); err != nil {
			t.Fatal(err)
		}
		if test.log != "" {
			if err := os.WriteFile(filepath.Join(member, "wal", firstSegment), log(t, test.log), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		said := ""
		err := checkEtcd(member, test.born, func(s string) { said += s })
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: error %v, want %q", name, err, test.err)
		}
		entries, err := os.ReadDir(data)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != 1 || strings.HasPrefix(entries[0].Name(), "member.interrupted-") != test.moved || (said != "") != test.moved {
			t.Errorf("%s: %v is there, and it said %q", name, entries, said)
		}
	}
	if err := checkEtcd(filepath.Join(t.TempDir(), "member"), false, nil); err != nil {
		t.Errorf("nothing yet: %v", err)
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
