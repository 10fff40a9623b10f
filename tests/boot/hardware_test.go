//go:build boot && soak

package boot

import (
	"strings"
	"testing"
)

// TestHardware proves the means of other tests: what a disk says that it is, and that its
// content is seen from outside. A disk that the seed does not name stays as it is.
func TestHardware(t *testing.T) {
	t.Parallel()
	seed, disk := newSeed(t), newDisk(t)
	disk.dropSeed(t, seed.text)
	const size = 128 << 20
	disks := []*dataDisk{
		newDataDisk(t, virtualDisk, "virtual-1", size), newDataDisk(t, hardDisk, "hard-1", 2*size),
		newDataDisk(t, ssd, "ssd-1", size), newDataDisk(t, nvme, "nvme-1", 2*size),
	}
	for _, d := range disks {
		d.format(t, "somebodys", map[string]string{"precious/data": d.serial})
	}
	before := sums(t, disks)
	m := startWith(t, disk, bios, extra{dataDisks: disks})
	m.waitFor(ready, birthTime)
	n := login(t, m, seed)
	n.check()

	const rotational = `for s in virtual-1 hard-1 ssd-1 nvme-1; do
	lsblk --nodeps --noheadings --raw --output SERIAL,ROTA,TRAN,FSTYPE,LABEL | grep "^$s "
done`
	const want = "virtual-1 1 virtio ext4 somebodys\nhard-1 1  ext4 somebodys\nssd-1 0  ext4 somebodys\nnvme-1 0 nvme ext4 somebodys"
	if got := n.root(rotational); got != want {
		t.Errorf("the disks are\n%s\nwant\n%s", got, want)
	}
	if after := sums(t, disks); after != before {
		t.Errorf("the disks hold\n%s\nafter a first boot, held\n%s", after, before)
	}
	const hard = 1 // of disks
	n.root(`printf written | dd of="$(lsblk --nodeps --noheadings --paths --raw --output NAME,SERIAL | sed -n 's/ hard-1$//p')" conv=fsync`)
	if disks[hard].sum(t) == strings.Split(before, "\n")[hard] {
		t.Error("what was written to a disk is not seen from outside")
	}
	m.powerOff()
	checkBanyan(t, disk, seed)
}

func sums(t *testing.T, disks []*dataDisk) string {
	t.Helper()
	var sums []string
	for _, d := range disks {
		sums = append(sums, d.sum(t))
	}
	return strings.Join(sums, "\n")
}
