package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// immutable is FS_IMMUTABLE_FL of the kernel's include/uapi/linux/fs.h, the attribute i
// of chattr(1).
const immutable = 0x10

// IsImmutable tells whether nothing can be made in a directory, nor taken away from it. can
// is whether that can be had at all: not every file system has attributes.
func IsImmutable(dir *os.File) (is, can bool, err error) {
	flags, err := unix.IoctlGetUint32(int(dir.Fd()), unix.FS_IOC_GETFLAGS)
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) {
		return false, false, nil
	}
	return flags&immutable != 0, err == nil, err
}

// MakeImmutable makes it so, and puts that on the disk.
func MakeImmutable(dir *os.File) error {
	flags, err := unix.IoctlGetUint32(int(dir.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(dir.Fd()), unix.FS_IOC_SETFLAGS, int(flags|immutable))
	}
	if err != nil {
		return fmt.Errorf("make %s immutable: %w", dir.Name(), err)
	}
	return dir.Sync()
}
