package rootfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// writeFile writes a file and makes the directories that lead to it.
func writeFile(name, content string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		return err
	}
	return os.Chmod(name, mode) // whatever the umask
}

// removeAll removes what pattern matches in the tree.
func removeAll(root, pattern string) error {
	names, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

// removeIfThere removes a file, unless there is none.
func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// makeSparse makes a file that is one hole.
func makeSparse(name string, size int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// readable tells why a file cannot be read.
func readable(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Read(make([]byte, 1))
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s is empty", name)
	}
	return err
}

// makeDir makes a directory, unless it is there.
func makeDir(name string) (made bool, err error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return false, nil
	}
	return true, os.MkdirAll(name, 0o755)
}

// treeSize is what a tree takes on the disk, in bytes.
func treeSize(root string) (int64, error) {
	var total int64
	err := filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += onDisk(info)
		}
		return err
	})
	return total, err
}

func onDisk(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks * 512
	}
	return info.Size()
}

// checksums is the SHA256 of files, side by side, under the names that they are given.
func checksums(ctx context.Context, files map[string]string) (map[string]string, error) {
	var (
		mu    sync.Mutex
		sums  = map[string]string{}
		group errgroup.Group
	)
	for name, file := range files {
		group.Go(func() error {
			sum, err := checksum(ctx, file)
			mu.Lock()
			defer mu.Unlock()
			sums[name] = sum
			return err
		})
	}
	return sums, group.Wait()
}

// checksum is the SHA256 of a file. Holes, of which an image is full, are not read.
func checksum(ctx context.Context, name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	h, buffer := sha256.New(), make([]byte, mebibyte)
	zeros := make([]byte, mebibyte)
	hole := func(n int64) {
		for ; n > 0; n -= mebibyte {
			h.Write(zeros[:min(n, mebibyte)])
		}
	}
	at := int64(0)
	for data, err := range dataOf(f) {
		if err != nil {
			return "", err
		}
		hole(data.start - at)
		for at = data.start; at < data.end; {
			if ctx.Err() != nil {
				return "", context.Cause(ctx)
			}
			n, err := f.ReadAt(buffer[:min(int64(len(buffer)), data.end-at)], at)
			if err != nil {
				return "", err
			}
			h.Write(buffer[:n])
			at += int64(n)
		}
	}
	hole(info.Size() - at)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// extent is a stretch of a file, its end excluded.
type extent struct{ start, end int64 }

// dataOf is what of a file is no hole: lseek(2).
func dataOf(f *os.File) iter.Seq2[extent, error] {
	return func(yield func(extent, error) bool) {
		for at := int64(0); ; {
			start, err := f.Seek(at, unix.SEEK_DATA)
			if errors.Is(err, syscall.ENXIO) {
				return // nothing but a hole is left
			}
			end := start
			if err == nil {
				end, err = f.Seek(start, unix.SEEK_HOLE)
			}
			if !yield(extent{start, end}, err) || err != nil {
				return
			}
			at = end
		}
	}
}

// shellQuote is s as one word of sh(1).
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// syncAll puts the file system that a path is in on the disk.
func syncAll(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Syncfs(int(f.Fd())), f.Close()); err != nil {
		return fmt.Errorf("put %s on the disk: %w", path, err)
	}
	return nil
}
