// Package durable changes files so that the change outlasts a power cut: when a
// function returns, it is on the disk. It also tells what an earlier change left.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
)

// WriteFile makes a file, or replaces it. Should the power fail, path is the old
// file or the whole new one. The mode is as given, whatever the umask.
func WriteFile(path string, content []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	// In the same directory: what a crash leaves behind must not lie in /tmp.
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(dir), renameio.WithStaticPermissions(mode))
	if err != nil {
		return err
	}
	defer file.Cleanup() // does nothing once the file has been renamed
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return SyncDir(dir)
}

// RemoveRemains removes from dir what a WriteFile of one of these files left that was
// killed: a part of the new file, or all of it. Nobody may be writing them.
func RemoveRemains(dir string, names ...string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		file := strings.TrimRight(e.Name(), "0123456789") // renameio has .NAME and a number
		if len(file) == len(e.Name()) || !slices.Contains(names, strings.TrimPrefix(file, ".")) || file[0] != '.' {
			continue
		}
		if err := Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Rename moves a file or directory within its file system. What is in it is
// left to whoever wrote it.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if err := SyncDir(filepath.Dir(to)); err != nil {
		return err
	}
	if filepath.Dir(from) == filepath.Dir(to) {
		return nil
	}
	return SyncDir(filepath.Dir(from))
}

// Remove removes a file. What is not there is no error, and its absence is on
// the disk too: whoever removed it may have been interrupted.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := SyncDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Exists tells whether there is something of that name, if only a symbolic link that
// leads nowhere.
func Exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// SyncDir puts the names in a directory on the disk.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
