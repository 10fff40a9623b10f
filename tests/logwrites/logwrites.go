// Package logwrites reads the log of all that was written to a disk, and makes from
// it the disk that a power cut would have left.
//
// QEMU's driver blklogwrites (block/blklogwrites.c) and Linux's target log-writes
// (drivers/md/dm-log-writes.c, which the format comes from) keep such a log. All of
// it is little-endian and in sectors, whose size the superblock names:
//
//	superblock  magic, version, number of entries: 8 bytes each; size of a sector: 4 bytes
//	entry       first sector on the disk, number of sectors, flags, length of its own data: 8 bytes each
//	...         what was written, unless it was a discard; the next entry; and so on
//
// The superblock and an entry fill the rest of their sector with zeros, a mark with
// its text first. QEMU logs a write when it is done, and a flush when that is, so that
// a write which ends while a flush is under way is before it in the log and counts as flushed.
package logwrites

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	magic   = 0x6a736677736872
	version = 1

	superSize = 28
	entrySize = 32

	minSector, maxSector = 512, 1 << 23 // QEMU's own limits
)

// Flags says what an entry of the log was.
type Flags uint64

// The flags of an entry; one without any is a write.
const (
	Flush    Flags = 1 << iota // what the disk holds in its cache is made to last, before anything that comes with it is written
	FUA                        // what is written lasts at once, with no flush
	Discard                    // what is there is not wanted any more, and nothing is written
	Mark                       // whoever made the log left a word in it, and nothing is written
	Metadata                   // a file system's own, as Linux alone says

	known = Flush | FUA | Discard | Mark | Metadata
)

// Entry is what was done to the disk.
type Entry struct {
	Flags          Flags
	Offset, Length int64 // where on the disk, in bytes
	data           int64 // where in the log, unless it is a discard
}

// Log is a log that was read, without what was written, which stays where it is.
type Log struct {
	Entries []Entry // in the order in which they were done
	source  io.ReaderAt
}

// Read reads a log of so many bytes about a disk of so many bytes. A log that is cut
// short or damaged is an error, which says at which entry, counted from 0, and byte.
// What follows the last entry that the superblock counts was never finished, and is
// left out. The log is read again by [Log.Apply].
func Read(source io.ReaderAt, size, diskSize int64) (*Log, error) {
	sector, count, err := readSuper(source)
	if err != nil {
		return nil, fmt.Errorf("the log's superblock: %w", err)
	}
	l := &Log{source: source}
	header := make([]byte, sector)
	for at := sector; uint64(len(l.Entries)) < count; {
		e, end, err := readEntry(source, header, at, size, diskSize)
		if err != nil {
			return nil, fmt.Errorf("entry %d of %d, at byte %d of the log: %w", len(l.Entries), count, at, err)
		}
		l.Entries = append(l.Entries, e)
		at = end
	}
	return l, nil
}

func readSuper(source io.ReaderAt) (sector int64, count uint64, err error) {
	super := make([]byte, superSize)
	if err := readFull(source, super, 0); err != nil {
		return 0, 0, err
	}
	u64 := binary.LittleEndian.Uint64
	if got := u64(super); got != magic {
		return 0, 0, fmt.Errorf("the magic number is %#x, want %#x: it is no log of writes, or nothing was flushed to it", got, uint64(magic))
	}
	if got := u64(super[8:]); got != version {
		return 0, 0, fmt.Errorf("its version is %d, this program knows %d", got, version)
	}
	sector = int64(binary.LittleEndian.Uint32(super[24:]))
	if sector < minSector || sector > maxSector || sector&(sector-1) != 0 {
		return 0, 0, fmt.Errorf("a sector has %d bytes, want a power of two from %d to %d", sector, minSector, maxSector)
	}
	return sector, u64(super[16:]), nil
}

// readEntry reads the entry at a byte of the log, and returns where the next one is.
// A header is as long as a sector.
func readEntry(source io.ReaderAt, header []byte, at, size, diskSize int64) (e Entry, end int64, err error) {
	if err := readFull(source, header, at); err != nil {
		return Entry{}, 0, err
	}
	sector, u64 := uint64(len(header)), binary.LittleEndian.Uint64
	first, count, flags, own := u64(header), u64(header[8:]), u64(header[16:]), u64(header[24:])
	e.Flags = Flags(flags)
	text := uint64(0)
	switch {
	case e.Flags&^known != 0:
		return Entry{}, 0, fmt.Errorf("its flags are %#x, of which %#x are unknown", flags, uint64(e.Flags&^known))
	case e.Flags&Mark != 0 && (count != 0 || own > sector-entrySize):
		return Entry{}, 0, fmt.Errorf("a mark has %d sectors and a text of %d bytes, want none and at most %d", count, own, sector-entrySize)
	case e.Flags&Mark != 0:
		text = own
	}
	// What is not zero is not an entry: the one before it is wrong about its length.
	if i := bytes.IndexFunc(header[entrySize+text:], func(r rune) bool { return r != 0 }); i >= 0 {
		return Entry{}, 0, fmt.Errorf("byte %d of its sector is not zero: no entry is here", entrySize+text+uint64(i))
	}
	if disk := uint64(diskSize) / sector; count > disk || first > disk-count {
		return Entry{}, 0, fmt.Errorf("%d sectors from sector %d on are not on the disk, which has %d", count, first, disk)
	}
	e.Offset, e.Length, e.data = int64(first*sector), int64(count*sector), at+int64(sector)
	end = e.data
	if e.Flags&Discard == 0 {
		if e.Length > size-e.data {
			return Entry{}, 0, fmt.Errorf("it has %d bytes of data, of which the log holds %d: %w", e.Length, size-e.data, io.ErrUnexpectedEOF)
		}
		end += e.Length
	}
	return e, end, nil
}

// readFull takes no end for less than was asked for.
func readFull(source io.ReaderAt, p []byte, at int64) error {
	n, err := source.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%d bytes of %d: %w", n, len(p), err)
}

// All is everything that was ever written, in order.
func (l *Log) All() []Piece {
	var all []Piece
	for i := range l.Entries {
		all = append(all, l.whole(i)...)
	}
	return all
}

// lastFlush is the last flush of the first so many entries, -1 where there is none.
func (l *Log) lastFlush(point int) int {
	for i, e := range slices.Backward(l.Entries[:point]) {
		if e.Flags&Flush != 0 {
			return i
		}
	}
	return -1
}
