package member

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestExpired(t *testing.T) {
	const first, second, third, fourth = "20261101T030000Z.db", "20261102T030000Z.db", "20261103T030000Z.db", "20261104T030000Z.db"
	for name, test := range map[string]struct {
		names []string
		made  string
		keep  int
		want  []string
	}{
		"the first":                  {[]string{first}, first, 7, nil},
		"as many as are kept":        {[]string{first, second, third}, third, 3, nil},
		"one more":                   {[]string{first, second, third}, third, 2, []string{first}},
		"fewer are kept than before": {[]string{first, second, third, fourth}, fourth, 1, []string{first, second, third}},
		"in no order":                {[]string{third, first, fourth, second}, fourth, 2, []string{first, second}},
		"the clock was ahead":        {[]string{first, second, third}, first, 2, []string{second}},
		"the clock was far ahead":    {[]string{first, second}, first, 1, []string{second}},
	} {
		if got := expired(test.names, test.made, test.keep); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q go, want %q", name, got, test.want)
		}
	}
}

// What is not named as a snapshot is somebody else's, and what was not finished goes.
func TestSnapshotNames(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const second, first = "20261102T030000Z.db", "20261101T030000Z.db"
	for _, name := range []string{second, first, "before-the-upgrade.db", "20261103T030000Z.db.part"} {
		write(name)
	}
	for _, name := range []string{unfinished + "1", unfinished + "2", "20261103T030000Z.db"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(unfinished + "1/20261103T030000Z.db.part")
	if got, err := snapshotNames(dir); err != nil || !slices.Equal(got, []string{first, second}) {
		t.Errorf("got %q, %v", got, err)
	}
	if err := removeUnfinished(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 5 {
		t.Errorf("there are %v, %v", entries, err)
	}
	if got, err := snapshotNames(filepath.Join(dir, "none")); err != nil || got != nil {
		t.Errorf("where no snapshot was ever taken: got %q, %v", got, err)
	}
}

func TestCheckSum(t *testing.T) {
	pages := []byte(strings.Repeat("page of a database ", 4096))[:8192]
	sum := sha256.Sum256(pages)
	whole := slices.Concat(pages, sum[:])
	damaged := slices.Clone(whole)
	damaged[4711]++
	for name, test := range map[string]struct {
		content []byte
		summed  bool
		err     string
	}{
		"a snapshot":             {whole, true, ""},
		"a damaged one":          {damaged, false, "is damaged"},
		"another's checksum":     {slices.Concat(pages[:4096], sum[:]), false, "is damaged"},
		"a member's database":    {pages, false, ""},
		"one that was cut short": {whole[:6000], false, ""},
		"nothing":                {nil, false, ""},
	} {
		path := filepath.Join(t.TempDir(), "snapshot")
		if err := os.WriteFile(path, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		summed, err := checkSum(path)
		if summed != test.summed || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %t, %v; want %t, %q", name, summed, err, test.summed, test.err)
		}
	}
}
