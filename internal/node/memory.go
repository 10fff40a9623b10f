package node

import (
	"fmt"

	"banyan/seeds"
)

// pageSize is the size of a huge page in bytes.
var pageSize = map[seeds.HugePageSize]int64{seeds.HugePageSize2MB: 2 * mb, seeds.HugePageSize1GB: gb}

// sharedMemory is what PostgreSQL's processes share, and the memory that it is part of.
type sharedMemory struct {
	memory        int64 // bytes of RAM; 0 where the machine is not known
	sharedBuffers int64 // bytes
	walBuffers    int64 // bytes; 0 where PostgreSQL chooses, up to 16 MB
	locks         int64 // of all transactions: (max_connections + max_prepared_transactions) * max_locks_per_transaction
	hugePage      seeds.HugePageSize
}

// hugePages is how many huge pages shared memory takes: 5 % more than shared_buffers, as
// pgsql_cluster has it, and what does not grow with it: 512 bytes for a lock, and 32 MB for
// the rest. With one page too few PostgreSQL takes none at all. PostgreSQL 17 says by
// shared_memory_size what it takes: 169 MB for 128, 1105 MB for 1 GB, 4272 MB for 4 GB,
// with 200 connections; 270 MB for 128 with 1000.
func (m sharedMemory) hugePages() int64 {
	size := pageSize[m.hugePage]
	if size == 0 || m.memory == 0 {
		return 0
	}
	shared := m.sharedBuffers + m.sharedBuffers/20 + 512*m.locks + m.walBuffers + 32*mb
	pages := (shared + size - 1) / size
	if pages*size > m.memory/4*3 {
		return 0 // a machine that has lost memory still has to boot; PostgreSQL does without
	}
	return pages
}

// kernelArguments reserve huge pages of 1 GB, which later cannot be found any more.
func (m sharedMemory) kernelArguments() []string {
	pages := m.hugePages()
	if m.hugePage != seeds.HugePageSize1GB || pages == 0 {
		return nil
	}
	return []string{"default_hugepagesz=1G", "hugepagesz=1G", fmt.Sprintf("hugepages=%d", pages)}
}

// overcommitRatio is how much of the memory that is no huge page may be promised to
// programs, in percent, swap being promised besides: all but 5 % of RAM, at least 256
// MB, for the kernel and its caches. The kernel's own default of 50 % starves a node
// whose shared_buffers are in huge pages:
// https://www.kernel.org/doc/html/latest/mm/overcommit-accounting.html
func (m sharedMemory) overcommitRatio() int {
	left := m.memory - m.hugePages()*pageSize[m.hugePage]
	if left <= 0 {
		return 50
	}
	kept := max(256*mb, m.memory/20)
	return int(min(95, max(50, 100*(left-kept)/left)))
}

// sharedMemory is by the parameters in force, whoever sets them.
func (d database) sharedMemory() sharedMemory {
	return sharedMemory{
		memory: d.sizing.memory, hugePage: d.sizing.hugePage,
		sharedBuffers: d.inForce["shared_buffers"],
		walBuffers:    d.inForce["wal_buffers"],
		locks:         (d.inForce["max_connections"] + d.inForce["max_prepared_transactions"]) * d.inForce["max_locks_per_transaction"],
	}
}

// checkMemory refuses huge pages that leave a machine nothing to work in.
func (d database) checkMemory() error {
	m := d.sharedMemory()
	if m.memory > 0 && pageSize[m.hugePage] > 0 && m.hugePages() == 0 {
		return fmt.Errorf("system.huge_page_size: shared_buffers of %s take more than three quarters of the %s that this machine has, in pages of %s: lower shared_buffers or the size of a page",
			seeds.Size(m.sharedBuffers), seeds.Size(m.memory/mb*mb), m.hugePage)
	}
	return nil
}
