package progress

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Where there is no terminal each stage is a line, and the end a table.
func TestStagesInAFile(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stages := New(out, 2)
	if err := stages.Run("squashfs", func() (Made, error) { return Made{Bytes: 3 << 20}, nil }); err != nil {
		t.Fatal(err)
	}
	if err := stages.Run("base tree", func() (Made, error) { return Made{Bytes: 1, Cached: true}, nil }); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no space left")
	if err := stages.Run("image", func() (Made, error) { return Made{}, broken }); !errors.Is(err, broken) || err.Error() != "image: no space left" {
		t.Errorf("got %v", err)
	}
	stages.Close()
	if err := stages.Table(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`^squashfs \.\.\.
squashfs: \d+\.\d s, 3\.0 MiB
base tree \.\.\.
base tree: \d+\.\d s, cached
image \.\.\.
 +stage +seconds +bytes
 +squashfs +\d+\.\d +3145728
 +base tree \(cached\) +\d+\.\d +1
 +total +\d+\.\d +
$`)
	if !want.Match(content) {
		t.Errorf("got:\n%s", content)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 3 << 20: "3.0 MiB", 5 << 29: "2.50 GiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
