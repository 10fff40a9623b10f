package rootfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"banyan/internal/command"
)

func TestPackageOf(t *testing.T) {
	want := Package{Name: "util-linux", Version: "1:2.41-5+deb13u1", Architecture: "amd64"}
	const file = "util-linux_1%3a2.41-5+deb13u1_amd64.deb"
	if got, err := packageOf(file); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if got := want.file(); got != file {
		t.Errorf("got %s", got)
	}
	for _, bad := range []string{"util-linux.deb", "a_1_amd64", "a_1_amd64_x.deb", "a_%zz_all.deb"} {
		if p, err := packageOf(bad); err == nil {
			t.Errorf("%s: got %+v", bad, p)
		}
	}
}

// sparse makes a file of data, a hole, data, a hole.
func sparse(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sparse")
	if err := makeSparse(name, 5*mebibyte+77); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 2*mebibyte - 3} {
		if _, err := f.WriteAt([]byte("data"), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestChecksumOfAFileWithHoles(t *testing.T) {
	name := sparse(t)
	got, err := checksum(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	want, err := command.Run(t.Context(), "sha256sum", name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(want, got+" ") {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestChecksumIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if _, err := checksum(ctx, sparse(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestMergeSums(t *testing.T) {
	dir := t.TempDir()
	const old = "11  gone.img\n22  other.img\n33  new.img\n"
	for name, content := range map[string]string{sumsName: old, "other.img": ""} {
		if err := writeFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := mergeSums(dir, map[string]string{"new.img": "44", "new.img.json": "55"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "44  new.img\n55  new.img.json\n22  other.img\n"; got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}
