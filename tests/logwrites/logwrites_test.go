package logwrites

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const diskSize = 128 << 10

// logged is an entry of a log that a test makes.
type logged struct {
	sector, count uint64
	flags         Flags
	fill          byte   // what was written
	text          string // of a mark
}

// makeLog makes a log as QEMU and Linux do.
func makeLog(sector int, entries ...logged) []byte {
	u64 := binary.LittleEndian.AppendUint64
	pad := func(log []byte) []byte { return append(log, make([]byte, -len(log)&(sector-1))...) }
	log := u64(u64(u64(nil, magic), version), uint64(len(entries)))
	log = pad(binary.LittleEndian.AppendUint32(log, uint32(sector)))
	for _, e := range entries {
		log = u64(u64(u64(u64(log, e.sector), e.count), uint64(e.flags)), uint64(len(e.text)))
		log = pad(append(log, e.text...))
		if e.flags&Discard == 0 {
			log = append(log, bytes.Repeat([]byte{e.fill}, int(e.count)*sector)...)
		}
	}
	return log
}

// ofAllKinds are a write, a flush, a zero write, one with FUA, a discard, a mark and a write.
var ofAllKinds = []logged{
	{sector: 0, count: 24, fill: 'a'},
	{flags: Flush},
	{sector: 8, count: 8},
	{sector: 30, count: 1, flags: FUA | Metadata, fill: 'f'},
	{sector: 1, count: 2, flags: Discard},
	{flags: Mark, text: "planted"},
	{sector: 3, count: 20, fill: 'b'},
}

func readLog(t *testing.T, content []byte) *Log {
	t.Helper()
	l, err := Read(bytes.NewReader(content), int64(len(content)), diskSize)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRead(t *testing.T) {
	for _, sector := range []int64{512, 4096} {
		got := readLog(t, append(makeLog(int(sector), ofAllKinds...), "not finished"...)).Entries
		want := []Entry{
			{0, 0, 24 * sector, 2 * sector},
			{Flush, 0, 0, 27 * sector},
			{0, 8 * sector, 8 * sector, 28 * sector},
			{FUA | Metadata, 30 * sector, sector, 37 * sector},
			{Discard, sector, 2 * sector, 39 * sector},
			{Mark, 0, 0, 40 * sector},
			{0, 3 * sector, 20 * sector, 41 * sector},
		}
		if !slices.Equal(got, want) {
			t.Errorf("sectors of %d bytes: got\n%+v\nwant\n%+v", sector, got, want)
		}
	}
}

func TestReadDamaged(t *testing.T) {
	whole := makeLog(512, ofAllKinds...)
	const third = 28 * 512 // the entry at index 2 is one sector before its data
	put := func(at int, v uint64) func([]byte) {
		return func(log []byte) { binary.LittleEndian.PutUint64(log[at:], v) }
	}
	for name, c := range map[string]struct {
		damage func([]byte)
		want   string
	}{
		"magic":       {put(0, 1), "superblock: the magic number is 0x1"},
		"version":     {put(8, 2), "superblock: its version is 2"},
		"sector":      {put(24, 513), "superblock: a sector has 513 bytes"},
		"sector size": {put(24, 1<<24), "superblock: a sector has 16777216 bytes"},
		"count":       {put(16, math.MaxUint64), "entry 7 of 18446744073709551615, at byte 31232 of the log: 0 bytes of 512: unexpected EOF"},
		"flags":       {put(third-512+16, 0x40|1), "entry 2 of 7, at byte 13824 of the log: its flags are 0x41, of which 0x40 are unknown"},
		"place":       {put(third-512, diskSize/512-7), "entry 2 of 7, at byte 13824 of the log: 8 sectors from sector 249 on are not on the disk"},
		"length":      {put(third-512+8, math.MaxUint64), "entry 2 of 7, at byte 13824 of the log: 18446744073709551615 sectors from"},
		"longer":      {put(third-512+8, 100), "entry 2 of 7, at byte 13824 of the log: it has 51200 bytes of data"},
		"shorter":     {put(512+8, 23), "entry 1 of 7, at byte 12800 of the log: its flags are"},
		"padding":     {put(third-8, 1), "entry 2 of 7, at byte 13824 of the log: byte 504 of its sector is not zero"},
		"mark":        {put(39*512+8, 1), "entry 5 of 7, at byte 19968 of the log: a mark has 1 sectors"},
		"mark's text": {put(39*512+24, 481), "entry 5 of 7, at byte 19968 of the log: a mark has 0 sectors and a text of 481 bytes"},
	} {
		log := slices.Clone(whole)
		c.damage(log)
		if _, err := Read(bytes.NewReader(log), int64(len(log)), diskSize); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.want)
		}
	}
	for size := range len(whole) {
		_, err := Read(bytes.NewReader(whole[:size]), int64(size), diskSize)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("a log that is cut after %d bytes of %d: %v", size, len(whole), err)
		}
	}
}

// newDisk makes a disk that is all 'o'.
func newDisk(t *testing.T) *os.File {
	t.Helper()
	disk, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err == nil {
		t.Cleanup(func() {
			if err := disk.Close(); err != nil {
				t.Error(err)
			}
		})
		_, err = disk.Write(bytes.Repeat([]byte{'o'}, diskSize))
	}
	if err != nil {
		t.Fatal(err)
	}
	return disk
}

// shown is a disk, a character for each sector, '.' for zeros.
func shown(t *testing.T, disk *os.File) string {
	t.Helper()
	content, err := os.ReadFile(disk.Name())
	if err != nil {
		t.Fatal(err)
	}
	if len(content) != diskSize {
		t.Fatalf("the disk has %d bytes now", len(content))
	}
	var s strings.Builder
	for sector := range slices.Chunk(content, 512) {
		if !bytes.Equal(sector, bytes.Repeat(sector[:1], 512)) {
			t.Fatalf("sector %d is mixed", s.Len())
		}
		s.WriteByte(max(sector[0], '.'))
	}
	return strings.TrimRight(s.String(), "o")
}

func TestApplyAll(t *testing.T) {
	l, disk := readLog(t, makeLog(512, ofAllKinds...)), newDisk(t)
	if err := l.Apply(disk, l.All()); err != nil {
		t.Fatal(err)
	}
	if got, want := shown(t, disk), "a.."+strings.Repeat("b", 20)+"a"+strings.Repeat("o", 6)+"f"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What is zero or discarded takes no room on the disk.
func TestApplySparse(t *testing.T) {
	disk := newDisk(t)
	const half = diskSize / 512 / 2
	l := readLog(t, makeLog(512, logged{sector: 0, count: half}, logged{sector: half, count: half, flags: Discard}))
	if err := l.Apply(disk, l.All()); err != nil {
		t.Fatal(err)
	}
	if got := shown(t, disk); got != strings.Repeat(".", 2*half) {
		t.Errorf("the disk is %s", got)
	}
	if at, err := disk.Seek(0, unix.SEEK_DATA); !errors.Is(err, unix.ENXIO) {
		t.Errorf("at byte %d the disk is no hole, %v", at, err)
	}
}

func TestApplyFails(t *testing.T) {
	log := makeLog(512, ofAllKinds...)
	l := readLog(t, log)
	l.source = bytes.NewReader(log[:len(log)-1])
	err := l.Apply(newDisk(t), l.All())
	if err == nil || !strings.Contains(err.Error(), "write entry 6, 10240 bytes at byte 1536, to ") || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a log that was cut after it had been read: %v", err)
	}
	closed := newDisk(t)
	readOnly, err := os.Open(closed.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	if err := readLog(t, log).Apply(readOnly, l.All()); err == nil || !strings.Contains(err.Error(), "write entry 0") {
		t.Errorf("a disk that is not writable: %v", err)
	}
}

// A cut keeps what was flushed or written with FUA, loses what came after it, and of
// what lies between any part may be there; all of these happen.
func TestCut(t *testing.T) {
	l := readLog(t, makeLog(512, slices.Concat(ofAllKinds, []logged{{flags: Flush, sector: 64, count: 8, fill: 'c'}, {sector: 200, count: 1, fill: 'z'}})...))
	for point, durable := range []int{0, 0, 1, 1, 1, 1, 1, 1, 7, 7} {
		seen := map[string]bool{}
		for seed := range uint64(300) {
			left := l.Cut(point, rand.New(rand.NewPCG(seed, 0)))
			if again := l.Cut(point, rand.New(rand.NewPCG(seed, 0))); !slices.Equal(left, again) {
				t.Fatalf("the seed %d gives %v and %v", seed, left, again)
			}
			checkCut(t, l, left, point, durable)
			disk := newDisk(t)
			if err := l.Apply(disk, left); err != nil {
				t.Fatal(err)
			}
			seen[shown(t, disk)] = true
		}
		// What may be there or not: three blocks, of which the last write's first may also
		// lie on a discard and its second on zeros.
		if want := []int{1, 8, 1, 2, 2, 4, 4, 4 * 3 * 2, 2, 4}[point]; len(seen) != want {
			t.Errorf("after %d entries the disk may be %d ways, want %d:\n%s", point, len(seen), want, strings.Join(slices.Sorted(maps.Keys(seen)), "\n"))
		}
		if got, want := l.Unflushed(point), []int{0, 1, 0, 1, 1, 2, 2, 3, 1, 2}[point]; got != want {
			t.Errorf("after %d entries %d writes are in question, want %d", point, got, want)
		}
	}
}

func checkCut(t *testing.T, l *Log, left []Piece, point, durable int) {
	t.Helper()
	var must []Piece
	for i := range point {
		if i < durable || l.Entries[i].Flags&FUA != 0 {
			must = append(must, l.whole(i)...)
		}
	}
	for _, p := range must {
		if !slices.Contains(left, p) {
			t.Fatalf("a cut after %d entries leaves %v, without %v", point, left, p)
		}
	}
	for i, p := range left {
		e := l.Entries[p.Entry]
		switch {
		case p.Entry >= point:
			t.Fatalf("a cut after %d entries leaves %v", point, p)
		case p.Length <= 0 || p.Offset < e.Offset || p.Offset+p.Length > e.Offset+e.Length:
			t.Fatalf("%v is no part of %+v", p, e)
		case p.Offset != e.Offset && p.Offset%block != 0:
			t.Fatalf("%v begins within a block of %+v", p, e)
		case i > 0 && (p.Entry < left[i-1].Entry || p.Entry == left[i-1].Entry && p.Offset < left[i-1].Offset+left[i-1].Length):
			t.Fatalf("%v comes after %v", p, left[i-1])
		}
	}
}

// Read never panics, what it reads fits, and what was made by makeLog is what it says.
func FuzzRead(f *testing.F) {
	// Short ones, or the fuzzer spends its time on making them so.
	f.Add(makeLog(512, logged{count: 1, fill: 'a'}, logged{flags: Flush}, logged{count: 1, flags: Discard}), uint64(2))
	f.Add(makeLog(1024, logged{flags: Mark, text: "planted"}, logged{sector: 1, count: 2, flags: FUA}), uint64(1))
	f.Add(makeLog(512), uint64(0))
	f.Fuzz(func(t *testing.T, content []byte, seed uint64) {
		l, err := Read(bytes.NewReader(content), int64(len(content)), diskSize)
		if err != nil {
			return
		}
		for i, e := range l.Entries {
			end := e.data
			if e.Flags&Discard == 0 {
				end += e.Length
			}
			if e.Offset < 0 || e.Length < 0 || e.Offset+e.Length > diskSize || end > int64(len(content)) {
				t.Fatalf("entry %d, %+v, does not fit", i, e)
			}
		}
		point := int(seed % uint64(len(l.Entries)+1))
		checkCut(t, l, l.Cut(point, rand.New(rand.NewPCG(seed, 0))), point, max(0, l.lastFlush(point)))
		if again, err := Read(bytes.NewReader(content), int64(len(content)), diskSize); err != nil || !reflect.DeepEqual(again, l) {
			t.Fatalf("it was read as %+v and as %+v, %v", l, again, err)
		}
	})
}
