package rootfs

import (
	"fmt"

	"banyan/internal/progress"
)

// around is what the disk has beside the partitions of a profile, in bytes: the
// partition table, the BIOS boot partition and the backup table.
const around = 3 * mebibyte

// fill is p with a state that fills a disk of size bytes, rounded down to whole
// mebibytes; 0 stands for the size that p has by itself.
func (p Partitions) fill(size int64) (Partitions, error) {
	least := around + (p.ESP+p.Banyan+2*p.Root+p.State)*mebibyte
	switch {
	case size == 0:
	case size < least:
		return p, fmt.Errorf("a disk of %s is too small: the partitions of the profile take %s: raise --size", progress.Bytes(size), progress.Bytes(least))
	default:
		p.State += (size - least) / mebibyte
	}
	return p, nil
}
