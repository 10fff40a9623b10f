package rootfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func openCache(t *testing.T, dir string) *Cache {
	t.Helper()
	c, err := OpenCache(t.Context(), dir, func() { t.Error("nobody else has the cache") })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOneBuilderAtATimeHasTheCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	first := openCache(t, dir)

	ctx, give := context.WithCancel(t.Context())
	if _, err := OpenCache(ctx, dir, give); !errors.Is(err, context.Canceled) {
		t.Errorf("one that was interrupted as it waited: %v", err)
	}
	second, err := OpenCache(t.Context(), dir, func() {
		if err := first.Close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestACacheHasAPlace(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := OpenCache(t.Context(), "", nil); err == nil || !strings.Contains(err.Error(), "--cache") {
		t.Errorf("got %v", err)
	}
}

func TestACacheIsNotWhatIsSomebodys(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "trees")
	if err := writeFile(mine, "of mine", 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCache(t.Context(), dir, nil); err == nil || !strings.Contains(err.Error(), "--cache") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
}

func TestCacheListsClearsAndForgetsWhatIsHalf(t *testing.T) {
	dir := t.TempDir()
	c := openCache(t, dir)
	for _, name := range []string{"debs/a_1_all.deb", "debs/lock", "lists/debian-13/sources.list", "trees/trixie-abc/root/etc/passwd", "trees/half" + unfinished + "/x"} {
		if err := writeFile(c.path(name), "content", 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = openCache(t, dir)
	defer c.Close()
	entries, err := c.List()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, e := range entries {
		kinds[e.Kind] = e.Name
		if e.Bytes == 0 {
			t.Errorf("%s takes nothing", e.Name)
		}
	}
	if len(entries) != 3 || kinds["tree"] != "trixie-abc" || kinds["lists"] != "debian-13" || kinds["package"] != "a_1_all.deb" {
		t.Errorf("got %+v", entries)
	}
	if freed, err := c.Clear(); err != nil || freed == 0 {
		t.Errorf("freed %d, %v", freed, err)
	}
	if entries, err := c.List(); err != nil || len(entries) > 0 {
		t.Errorf("left are %+v, %v", entries, err)
	}
}

func TestSurplusIsWhatWasUsedLongestAgo(t *testing.T) {
	now := time.Now()
	at := func(name string, bytes int64, ago time.Duration) Entry {
		return Entry{Name: name, Bytes: bytes, Used: now.Add(-ago)}
	}
	entries := []Entry{at("new", 5, -time.Second), at("recent", 2, time.Hour), at("old", 3, 2*time.Hour), at("oldest", 1, 3*time.Hour)}
	for limit, want := range map[int64]string{11: "", 10: "oldest", 9: "oldest old", 7: "oldest old", 1: "oldest old recent"} {
		var got []string
		for _, e := range surplus(entries, limit, now) {
			got = append(got, e.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%d: got %q, want %s", limit, got, want)
		}
	}
}
