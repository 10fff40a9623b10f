package raft

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// journal is one of PySyncObj's with entries of these indexes and a tail, as the file is
// larger than what is in it.
func journal(indexes ...uint64) []byte {
	b := make([]byte, 40)
	copy(b, "PYSYNCOBJ")
	for _, i := range indexes {
		var entry []byte
		entry = binary.LittleEndian.AppendUint64(entry, i)
		entry = binary.LittleEndian.AppendUint64(entry, 7) // its term
		entry = append(entry, "command"...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(entry)))
		b = append(b, entry...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(entry)))
	}
	binary.LittleEndian.PutUint32(b[36:], uint32(len(b)))
	return append(b, make([]byte, 500)...)
}

func TestHasLog(t *testing.T) {
	const address = "172.16.32.11:2379"
	for name, test := range map[string]struct {
		files map[string][]byte
		want  bool
	}{
		"nothing":         {nil, false},
		"without entries": {map[string][]byte{".journal": journal()}, false},
		"never told":      {map[string][]byte{".journal": journal(1)}, false},
		"a log":           {map[string][]byte{".journal": journal(1, 2, 3)}, true},
		"a compacted one": {map[string][]byte{".journal": journal(41, 42)}, true},
		"a snapshot":      {map[string][]byte{".journal": journal(1), ".dump": nil}, true},
		"damaged":         {map[string][]byte{".journal": make([]byte, 100)}, true},
		"cut off":         {map[string][]byte{".journal": journal(1, 2)[:50]}, true},
		"of another":      {map[string][]byte{"9.journal": journal(1, 2)}, false},
	} {
		dir := t.TempDir()
		for suffix, data := range test.files {
			if err := os.WriteFile(filepath.Join(dir, address+suffix), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := HasLog(dir, address); err != nil || got != test.want {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
}
