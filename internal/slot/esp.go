package slot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"banyan/internal/disk"
	"banyan/internal/initramfs"
)

// WithESP mounts the ESP of the disk that was booted while do runs; booted is the
// slot that runs. The disk is the one that the initramfs found: at its first boot
// it gave its ESP another GUID than GRUB's banyan.esp= said.
func WithESP(access disk.Access, do func(esp ESP, booted string) error) error {
	boot, err := initramfs.ReadBoot()
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("this host was not booted from an image, so it has no slots")
	}
	if err != nil {
		return err
	}
	esp, err := disk.Find(boot.Disk, "esp")
	if err != nil {
		return err
	}
	unlock, err := lock(esp.Device)
	if err != nil {
		return err
	}
	defer unlock()
	return disk.Mounted(esp.Device, "vfat", access, func(dir string) error { return do(ESP(dir), boot.Slot) })
}

// lock waits for its turn: what was read must not change before it is written,
// and a volume that is mounted to be written cannot be mounted to be read.
func lock(device string) (unlock func(), err error) {
	f, err := os.Open(device)
	if err != nil {
		return nil, err
	}
	unlock = func() { _ = f.Close() } // which is what unlocks; nothing was written
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		unlock()
		return nil, fmt.Errorf("lock %s: %w", device, err)
	}
	return unlock, nil
}
