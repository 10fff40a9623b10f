package node

import (
	"testing"

	"banyan/internal/facts"
	"banyan/seeds"
)

// What PostgreSQL 17 takes by its parameter shared_memory_size, in MB, finds room in the
// huge pages, and not much is left.
func TestHugePagesHoldSharedMemory(t *testing.T) {
	for _, test := range []struct{ sharedBuffers, connections, takes int64 }{
		{128 * mb, 200, 169}, {128 * mb, 1000, 270}, {256 * mb, 200, 305}, {512 * mb, 200, 577}, {512 * mb, 1000, 678}, {gb, 200, 1105}, {gb, 1000, 1206},
		{4 * gb, 200, 4272}, {4 * gb, 1000, 4373}, {16 * gb, 200, 16842}, {128 * gb, 200, 133956}, {128 * gb, 1000, 134057},
	} {
		m := sharedMemory{memory: 1 << 40, sharedBuffers: test.sharedBuffers, locks: test.connections * 256, hugePage: seeds.HugePageSize2MB}
		if got, most := m.hugePages()*2, test.takes+test.takes/20+64; got < test.takes || got > most {
			t.Errorf("shared_buffers of %d MB and %d connections: %d MB are reserved, %d are taken", test.sharedBuffers/mb, test.connections, got, test.takes)
		}
	}
}

func TestHugePageSizes(t *testing.T) {
	for size, want := range map[seeds.HugePageSize]int64{seeds.HugePageSizeNone: 0, seeds.HugePageSize2MB: 2167, seeds.HugePageSize1GB: 5} {
		m := sharedMemory{memory: 16 * gb, sharedBuffers: 4 * gb, locks: 200 * 4, hugePage: size}
		if got := m.hugePages(); got != want {
			t.Errorf("%s: %d pages, want %d", size, got, want)
		}
		if got, large := len(m.kernelArguments()) > 0, size == seeds.HugePageSize1GB; got != large {
			t.Errorf("%s: kernel arguments: %t", size, got)
		}
		if m.memory = 0; m.hugePages() != 0 || m.kernelArguments() != nil {
			t.Errorf("%s: pages of a machine that is not known", size)
		}
	}
}

// What the seed gives is counted, in its own units; what it leaves to PostgreSQL is not.
func TestSharedMemoryOfGivenParameters(t *testing.T) {
	for _, test := range []struct {
		given map[string]any
		want  sharedMemory
	}{
		{nil, sharedMemory{sharedBuffers: 4 * gb, locks: 200 * 256}},
		{map[string]any{"wal_buffers": -1}, sharedMemory{sharedBuffers: 4 * gb, locks: 200 * 256}},
		{map[string]any{"WAL_Buffers": "64MB"}, sharedMemory{sharedBuffers: 4 * gb, walBuffers: 64 * mb, locks: 200 * 256}},
		{map[string]any{"wal_buffers": 8192}, sharedMemory{sharedBuffers: 4 * gb, walBuffers: 64 * mb, locks: 200 * 256}},
		{
			map[string]any{"Max_Connections": "100", "max_prepared_transactions": 50, "max_locks_per_transaction": 64, "shared_buffers": "1GB"},
			sharedMemory{sharedBuffers: gb, locks: 150 * 64},
		},
	} {
		self := seeds.Node{PostgreSQL: seeds.PostgreSQL{Parameters: test.given}, System: seeds.System{HugePageSize: seeds.HugePageSize2MB}}
		d, err := databaseOf(self, facts.Facts{Installed: facts.Installed{PostgreSQL: []int{17}}, Memory: 16 * gb}, nil)
		test.want.memory, test.want.hugePage = 16*gb, seeds.HugePageSize2MB
		if got := d.sharedMemory(); err != nil || got != test.want {
			t.Errorf("%v: %+v, %v, want %+v", test.given, got, err, test.want)
		}
	}
}

// All that is promised beside huge pages and swap is there, and something is left for the kernel.
func TestOvercommitRatio(t *testing.T) {
	for _, test := range []struct {
		memory, sharedBuffers int64
		hugePage              seeds.HugePageSize
		want                  int
	}{
		{2 * gb, 512 * mb, seeds.HugePageSize2MB, 82},
		{64 * gb, 16 * gb, seeds.HugePageSize2MB, 93},
		{64 * gb, 16 * gb, seeds.HugePageSizeNone, 95},
		{64 * gb, 26 * gb, seeds.HugePageSize1GB, 91},
		{512 * mb, 128 * mb, seeds.HugePageSize2MB, 50},
	} {
		m := sharedMemory{memory: test.memory, sharedBuffers: test.sharedBuffers, hugePage: test.hugePage}
		if got := m.overcommitRatio(); got != test.want {
			t.Errorf("%d MB with shared_buffers of %d MB in pages of %s: %d %%, want %d", test.memory/mb, test.sharedBuffers/mb, test.hugePage, got, test.want)
		}
		left := m.memory - m.hugePages()*pageSize[m.hugePage]
		if promised := left * int64(m.overcommitRatio()) / 100; promised > left-64*mb && left > gb {
			t.Errorf("%d MB: %d of %d MB are promised", test.memory/mb, promised/mb, left/mb)
		}
	}
}
