package raft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// HasLog tells whether the member with that address keeps anything in dir: a log beyond the
// entry that each begins with, or a snapshot of it. What cannot be read counts as something,
// and is for the member itself to judge.
func HasLog(dir, address string) (bool, error) {
	path := filepath.Join(dir, address)
	if _, err := os.Stat(path + ".dump"); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err == nil, err
	}
	data, err := os.ReadFile(path + ".journal")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	last, err := lastIndex(data)
	if err != nil {
		return true, nil //nolint:nilerr // it was something
	}
	return last > 1, nil
}

// lastIndex reads the index of a journal's last entry, 0 where it has none. It says where it
// ends, and each entry has its length before and after it: pysyncobj/journal.py.
func lastIndex(journal []byte) (uint64, error) {
	const header, frame, index = 40, 4, 8
	if len(journal) < header {
		return 0, fmt.Errorf("a journal of %d bytes", len(journal))
	}
	end := int64(binary.LittleEndian.Uint32(journal[header-frame:]))
	if end == header {
		return 0, nil
	}
	if end < header+2*frame+index || end > int64(len(journal)) {
		return 0, fmt.Errorf("a journal that ends at %d of %d bytes", end, len(journal))
	}
	start := end - 2*frame - int64(binary.LittleEndian.Uint32(journal[end-frame:]))
	if start < header || start+frame+index > end {
		return 0, fmt.Errorf("the last entry of a journal begins at %d", start)
	}
	return binary.LittleEndian.Uint64(journal[start+frame:]), nil
}
