//go:build boot

package boot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"banyan/internal/command"
)

// diskKind is how a machine is connected to a disk, and what the disk says it is.
type diskKind string

// The disks that servers have. A virtual disk says nothing of what it stands on, and
// Linux takes it for one that rotates.
const (
	virtualDisk diskKind = "virtio-blk"
	hardDisk    diskKind = "SCSI, 7200 revolutions a minute"
	ssd         diskKind = "SCSI, not rotating"
	nvme        diskKind = "NVMe"
)

// dataDisk is a disk beside the one that a machine boots from: a raw file that only
// takes the room of what was written.
type dataDisk struct {
	path   string
	kind   diskKind
	serial string
}

// gibibyte is the unit of their sizes, in bytes.
const gibibyte = 1 << 30

// newDataDisk makes an empty disk of that many bytes. Of a serial number QEMU passes
// on 20 characters.
func newDataDisk(t testing.TB, kind diskKind, serial string, size int64) *dataDisk {
	t.Helper()
	d := &dataDisk{filepath.Join(t.TempDir(), "data.img"), kind, serial}
	f, err := os.Create(d.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

// format puts an ext4 file system with these files on the whole disk, as somebody
// else might have done.
func (d *dataDisk) format(t testing.TB, label string, files map[string]string) {
	t.Helper()
	run(t, "mkfs.ext4", "-q", "-L", label, "-d", writeFiles(t, files), d.path)
}

// sum is the SHA-256 of all that is on the disk of a machine that is off. It reads
// the holes too: seconds for each gigabyte.
func (d *dataDisk) sum(t testing.TB) string {
	t.Helper()
	out, err := command.Run(t.Context(), "sha256sum", d.path)
	if err != nil {
		t.Fatal(err)
	}
	sum, _, _ := strings.Cut(out, " ")
	return sum
}

// dataDiskArguments is QEMU's command line for such disks.
func dataDiskArguments(disks []*dataDisk) []string {
	var args []string
	controller := false
	for i, d := range disks {
		id := fmt.Sprintf("data%d", i)
		args = append(args, "-blockdev", "raw,node-name="+id+",cache.direct=off,file.driver=file,file.filename="+d.path)
		device := ",id=" + id + "-device,drive=" + id + ",serial=" + d.serial
		switch d.kind {
		case virtualDisk:
			device = "virtio-blk-pci" + device
		case nvme:
			device = "nvme" + device
		case hardDisk, ssd:
			rotation := 7200
			if d.kind == ssd {
				rotation = 1 // "non-rotating medium", SCSI Block Commands
			}
			device = fmt.Sprintf("scsi-hd%s,bus=scsi.0,rotation_rate=%d", device, rotation)
			if !controller {
				args = append(args, "-device", "virtio-scsi-pci,id=scsi")
				controller = true
			}
		}
		args = append(args, "-device", device)
	}
	return args
}

// watchdogArguments is QEMU's command line for a watchdog timer as Intel's chipsets
// have one. It resets the machine when nobody writes to it in time.
func watchdogArguments() []string {
	return []string{"-device", "i6300esb", "-action", "watchdog=reset"}
}

// waitWatchdog waits until the watchdog has reset the machine.
func (m *machine) waitWatchdog() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), haltTime)
	defer cancel()
	var watchdog struct{ Action string }
	if err := m.qmp.waitEvent(ctx, "WATCHDOG", &watchdog); err != nil {
		m.t.Fatal(err)
	}
	if watchdog.Action != "reset" {
		m.t.Errorf("the watchdog's action is %q", watchdog.Action)
	}
	m.waitReset()
}
