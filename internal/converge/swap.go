package converge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/durable"
)

// SwapFile is a file that is swapped to, by a unit of its own: systemd.swap(5). Its
// directory has to be there.
type SwapFile struct {
	Path string
	Size int64 // in bytes; 0 is that there shall be none
}

// ID is the file's path.
func (s SwapFile) ID() string { return s.Path }

// signature is what mkswap(8) writes at the end of the first page.
const signature = "SWAPSPACE2"

// Diff compares size, mode and signature, on a live machine only: in the initramfs no
// swap is worth waiting for.
func (s SwapFile) Diff(_ context.Context, m Machine, _ Changed) (Difference, error) {
	if !m.Live {
		return Difference{}, nil
	}
	path := m.path(s.Path)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.Size == 0:
		left, err := durable.Exists(unfinished(path))
		if err != nil || !left {
			return Difference{}, err
		}
		return Difference{What: "remove what an interrupted run left"}, nil
	case errors.Is(err, fs.ErrNotExist):
		return Difference{What: fmt.Sprintf("create with %d MiB", s.Size>>20)}, nil
	case err != nil:
		return Difference{}, err
	case !info.Mode().IsRegular():
		return Difference{}, errors.New("is no file: move it away")
	case s.Size == 0:
		return Difference{What: "remove"}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return Difference{}, err
	}
	defer f.Close()
	page := make([]byte, os.Getpagesize())
	if _, err := f.ReadAt(page, 0); err != nil || !strings.HasSuffix(string(page), signature) || info.Mode().Perm() != 0o600 {
		return Difference{What: fmt.Sprintf("make anew with %d MiB", s.Size>>20)}, nil
	}
	if info.Size() != s.Size {
		return Difference{What: fmt.Sprintf("change %d MiB to %d MiB", info.Size()>>20, s.Size>>20)}, nil
	}
	return Difference{}, nil
}

// Apply makes the file anew. It has its name once it is whole; until then there is none,
// so that a full disk need not hold two.
func (s SwapFile) Apply(ctx context.Context, m Machine, _ Changed) error {
	path := m.path(s.Path)
	if err := swapOff(ctx, m, path); err != nil {
		return err
	}
	next := unfinished(path)
	if err := errors.Join(durable.Remove(path), durable.Remove(next)); err != nil || s.Size == 0 {
		return err
	}
	if err := allocate(next, s.Size); err != nil {
		return fmt.Errorf("allocate %d MiB: %w", s.Size>>20, err)
	}
	_, err := command.Run(ctx, "mkswap", next)
	if err = errors.Join(err, syncFile(next)); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return durable.Rename(next, path)
}

// unfinished is the file's name until it is whole.
func unfinished(path string) string {
	return filepath.Join(filepath.Dir(path), ".banyan-"+filepath.Base(path))
}

// swapOff ends the use of a file that is swapped to.
func swapOff(ctx context.Context, m Machine, path string) error {
	swaps, err := os.ReadFile(m.path("/proc/swaps"))
	if errors.Is(err, fs.ErrNotExist) { // a kernel without swap
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(swaps)) {
		if name, _, _ := strings.Cut(line, " "); name == path {
			_, err := command.Run(ctx, "swapoff", path)
			return err
		}
	}
	return nil
}

// allocate makes a file without holes, which is not written to.
func allocate(name string, size int64) (err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(name))
		}
	}()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, size); err != nil {
		return err
	}
	return f.Sync()
}

// syncFile puts what a program wrote to a file, or a device, on the disk.
func syncFile(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
