package logwrites

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

// block is what a disk writes whole or not at all, in bytes: the physical sector of
// today's disks.
const block = 4096

// Piece is a part of an entry, or all of it, that reached the disk.
type Piece struct {
	Entry          int
	Offset, Length int64 // on the disk, in bytes
}

// Cut is what a disk holds when its power is cut after so many entries: all that came
// before the last flush, and of what has come since what the draw decides. A write is
// there, is not there, or some of its blocks are, each as likely as the others; one
// with FUA is there. What survives is in the order in which it was written. A point
// that is not in the log panics.
func (l *Log) Cut(point int, draw *rand.Rand) []Piece {
	flush := l.lastFlush(point)
	var left []Piece
	for i, e := range l.Entries[:point] {
		if i < flush || e.Flags&FUA != 0 {
			left = append(left, l.whole(i)...)
			continue
		}
		switch draw.IntN(3) {
		case 0:
			left = append(left, l.whole(i)...)
		case 1:
			left = append(left, l.torn(i, draw)...)
		}
	}
	return left
}

// Unflushed is how many of the first so many entries wrote something that no flush
// has made to last.
func (l *Log) Unflushed(point int) int {
	n := 0
	for i := max(0, l.lastFlush(point)); i < point; i++ {
		if e := l.Entries[i]; e.Length > 0 && e.Flags&FUA == 0 {
			n++
		}
	}
	return n
}

// whole is all of an entry, and nothing where it wrote nothing.
func (l *Log) whole(i int) []Piece {
	if e := l.Entries[i]; e.Length > 0 {
		return []Piece{{i, e.Offset, e.Length}}
	}
	return nil
}

// torn is some of an entry's blocks.
func (l *Log) torn(i int, draw *rand.Rand) []Piece {
	var some []Piece
	e := l.Entries[i]
	for at, end := e.Offset, e.Offset+e.Length; at < end; {
		next := min(end, at-at%block+block)
		if draw.IntN(2) == 0 {
			some = append(some, Piece{i, at, next - at})
		}
		at = next
	}
	return some
}

// Apply writes pieces of the log to a disk that is as it was when the log began. What
// is zero, or was discarded, becomes a hole.
func (l *Log) Apply(disk *os.File, pieces []Piece) error {
	buffer := make([]byte, 1<<16)
	for _, p := range pieces {
		if err := l.apply(disk, p, buffer); err != nil {
			return fmt.Errorf("write entry %d, %d bytes at byte %d, to %s: %w", p.Entry, p.Length, p.Offset, disk.Name(), err)
		}
	}
	return nil
}

func (l *Log) apply(disk *os.File, p Piece, buffer []byte) error {
	e := l.Entries[p.Entry]
	if e.Flags&Discard != 0 {
		return punch(disk, p.Offset, p.Length)
	}
	for at, end := p.Offset, p.Offset+p.Length; at < end; {
		chunk := buffer[:min(int64(len(buffer)), end-at)]
		if err := readFull(l.source, chunk, e.data+at-e.Offset); err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if zero(chunk) {
			if err := punch(disk, at, int64(len(chunk))); err != nil {
				return err
			}
		} else if _, err := disk.WriteAt(chunk, at); err != nil {
			return err
		}
		at += int64(len(chunk))
	}
	return nil
}

// punch makes a hole, which reads as zeros: fallocate(2).
func punch(disk *os.File, offset, length int64) error {
	err := unix.Fallocate(int(disk.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, length)
	if err != nil {
		return fmt.Errorf("make a hole of %d bytes: %w", length, err)
	}
	return nil
}

func zero(p []byte) bool { return bytes.Count(p, []byte{0}) == len(p) }
