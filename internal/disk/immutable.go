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

// errNoAttributes says that a file system has no attributes, as tmpfs had none for long.
var errNoAttributes = errors.New("the file system has no attributes")

// IsImmutable tells whether nothing can be made in a directory, nor taken away from it. On
// a file system without attributes it is false.
func IsImmutable(dir string) (bool, error) {
	flags, err := attributes(dir)
	if errors.Is(err, errNoAttributes) {
		return false, nil
	}
	return flags&immutable != 0, err
}

// MakeImmutable makes it so, where the file system can, and puts that on the disk.
func MakeImmutable(dir string) error {
	flags, err := attributes(dir)
	if errors.Is(err, errNoAttributes) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags|immutable)); err != nil {
		return fmt.Errorf("make %s immutable: %w", dir, err)
	}
	return f.Sync()
}

// HasAttributes tells whether MakeImmutable can do anything.
func HasAttributes(dir string) (bool, error) {
	_, err := attributes(dir)
	if errors.Is(err, errNoAttributes) {
		return false, nil
	}
	return err == nil, err
}

func attributes(dir string) (uint32, error) {
	f, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) {
		return 0, errNoAttributes
	}
	return flags, err
}
