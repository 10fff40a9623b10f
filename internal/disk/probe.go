package disk

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
)

// Claim opens a device, unless a file system on it is mounted or another device is
// made of it: open(2) on O_EXCL. As long as it is open, that stays so.
func Claim(device string) (*os.File, error) {
	f, err := os.OpenFile(device, os.O_RDWR|unix.O_EXCL, 0)
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, fmt.Errorf("%s is in use: lsblk %s says by what", device, device)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: writing to a device takes root", err)
	}
	return f, err
}

// Blkid is what blkid(8) finds in size bytes of a device from offset on, by the names of
// its tags; nothing where it knows nothing of what is there. It reads the device
// itself: udev may remember something else.
func Blkid(ctx context.Context, device string, offset, size int64) (map[string]string, error) {
	const nothing, ambiguous = 2, 8 // exit codes
	out, err := command.Run(ctx, "blkid", "--probe", "--output", "export",
		"--offset", strconv.FormatInt(offset, 10), "--size", strconv.FormatInt(size, 10), device)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == nothing:
		return nil, nil
	case errors.As(err, &exit) && exit.ExitCode() == ambiguous:
		return map[string]string{"TYPE": "several things at once"}, nil
	case err != nil:
		return nil, fmt.Errorf("look at %s: %w", device, err)
	}
	found := map[string]string{}
	for line := range strings.Lines(out) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			found[key] = escaped.ReplaceAllString(value, "$1")
		}
	}
	return found, nil
}

// escaped is what blkid has of a character that would mean something to a shell.
var escaped = regexp.MustCompile(`\\(.)`)

// Holding is what a whole disk holds.
type Holding struct {
	Size                    int64  // of the disk, in bytes
	Filesystem, UUID, Label string // of a file system, or of what else has a signature
	Table                   string // the kind of partition table
	Empty                   bool   // it has no signature, and nothing but zeros where one would be
}

// Known tells whether the disk has a signature: it was somebody's on purpose, and is not
// merely written to.
func (h Holding) Known() bool { return h.Filesystem != "" || h.Table != "" }

func (h Holding) String() string {
	words := cmp.Or(h.Filesystem, "data of no known kind")
	if h.Filesystem == "" && h.Table != "" {
		words = "a partition table (" + h.Table + ")"
	}
	if h.Label != "" {
		words += fmt.Sprintf(", labelled %q", h.Label)
	}
	if h.UUID != "" {
		words += ", UUID " + h.UUID
	}
	return words
}

// edge is how much at the beginning and at the end of a disk has to be zero where it is
// to count as empty: all signatures that blkid knows, and some that it does not, such as
// the header of encrypted data, lie in there.
const edge = 1 << 20

// Probe says what a whole disk holds.
func Probe(ctx context.Context, device string) (Holding, error) {
	f, err := os.Open(device)
	if err != nil {
		return Holding{}, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return Holding{}, err
	}
	found, err := Blkid(ctx, device, 0, size)
	if err != nil {
		return Holding{}, err
	}
	h := Holding{Size: size, Filesystem: found["TYPE"], UUID: found["UUID"], Label: found["LABEL"], Table: found["PTTYPE"]}
	if len(found) > 0 {
		return h, nil
	}
	h.Empty = true
	for _, at := range []int64{0, max(0, size-edge)} {
		part := make([]byte, min(edge, size))
		if _, err := f.ReadAt(part, at); err != nil {
			return Holding{}, fmt.Errorf("read %s: %w", device, err)
		}
		h.Empty = h.Empty && len(bytes.Trim(part, "\x00")) == 0
	}
	return h, nil
}
