package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/renameio/v2"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for content, mode := range map[string]fs.FileMode{"one": 0o600, "two": 0o666} {
		if err := WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != content {
			t.Errorf("it holds %q, want %q, error %v", got, content, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%v, %v: want mode %v", info, err, mode)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, error %v", entries, err)
	}
	if err := WriteFile(filepath.Join(dir, "absent/file"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
}

func TestRename(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{filepath.Join(dir, "b"), filepath.Join(other, "c")} {
		if err := Rename(path, to); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(to); err != nil {
			t.Error(err)
		}
		path = to
	}
	if err := Rename(filepath.Join(dir, "a"), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, path, filepath.Join(dir, "absent/file")} {
		if err := Remove(path); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}

// What a killed WriteFile left goes, and nothing else.
func TestRemoveRemains(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".a.yaml123", ".b1", ".b0", ".a.yaml", "a.yaml", "a.yaml12", ".c.yaml12", "12", ".a.yaml12x", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// As renameio itself names one.
	if _, err := renameio.NewPendingFile(filepath.Join(dir, "a.yaml"), renameio.WithTempDir(dir)); err != nil {
		t.Fatal(err)
	}
	if err := RemoveRemains(dir, "a.yaml", "b"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{".a.yaml", ".a.yaml12x", ".c.yaml12", "12", "a.yaml", "a.yaml12", "b"}; !slices.Equal(left, want) {
		t.Errorf("there is %q", left)
	}
	if err := RemoveRemains(filepath.Join(dir, "absent"), "b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no directory: %v", err)
	}
}

func TestExists(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{dir: true, link: true, filepath.Join(dir, "nowhere"): false} {
		if got, err := Exists(path); got != want || err != nil {
			t.Errorf("%s: %v, %v", path, got, err)
		}
	}
	if _, err := Exists(filepath.Join(dir, "nul\x00")); err == nil {
		t.Error("what cannot be looked at is said to be there or not")
	}
}
