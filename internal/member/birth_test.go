package member

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestHoldsData(t *testing.T) {
	for _, test := range []struct {
		files []string
		want  bool
	}{
		{nil, false},
		{[]string{"lost+found", ".snapshot"}, false},
		{[]string{"lost+found", "PG_VERSION"}, true},
	} {
		dir := t.TempDir()
		for _, f := range test.files {
			if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := holdsData(dir); got != test.want || err != nil {
			t.Errorf("%v: %t, error %v", test.files, got, err)
		}
	}
	if got, err := holdsData(filepath.Join(t.TempDir(), "absent")); got || err != nil {
		t.Errorf("an absent directory: %t, error %v", got, err)
	}
}

func TestMoveAside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "main")
	if err := os.MkdirAll(filepath.Join(dir, "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	aside, err := moveAside(dir, time.Date(2026, 11, 22, 21, 23, 45, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if aside != dir+".interrupted-20261122T212345Z" {
		t.Errorf("moved to %s", aside)
	}
	if _, err := os.Stat(filepath.Join(aside, "base")); err != nil {
		t.Errorf("what it held is lost: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there", dir)
	}
}
