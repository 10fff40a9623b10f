package disk

import (
	"archive/zip"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"banyan/internal/strict"
)

// rack is a volume whose file cz2.yaml cannot be read.
type rack struct{ fstest.MapFS }

func (r rack) Open(name string) (fs.File, error) {
	if name == "seeds/cz2.yaml" {
		return nil, errors.New("input/output error")
	}
	return r.MapFS.Open(name)
}

// exported is what Files has of a volume.
func exported(t *testing.T, volume fs.ReadDirFS) (fs.FS, error) {
	t.Helper()
	var archive strings.Builder
	w := zip.NewWriter(&archive)
	if err := export(w, volume); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return openArchive(archive.String())
}

// A file that cannot be read is of no account to a machine that wants another, and
// neither empty nor absent to the one that wants it.
func TestExportWithAFileThatIsNotReadable(t *testing.T) {
	files, err := exported(t, rack{fstest.MapFS{"seeds/cz1.yaml": {Data: []byte("first")}, "seeds/cz2.yaml": {Data: []byte("second")}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fs.ReadFile(files, "seeds/cz1.yaml"); err != nil || string(got) != "first" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := fs.ReadFile(files, "seeds/cz2.yaml"); err == nil || !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("got the error %v", err)
	}
	if list, err := fs.ReadDir(files, "seeds"); err != nil || len(list) != 2 {
		t.Errorf("got %v, %v", list, err)
	}
}

// What the caller has to hold in memory does not depend on the stick.
func TestExportIsLimited(t *testing.T) {
	volume := fstest.MapFS{}
	for _, c := range "abcdefghijklmnop" {
		volume[string(c)+".yaml"] = &fstest.MapFile{Data: make([]byte, strict.MaxSize)}
	}
	if _, err := exported(t, volume); err != nil {
		t.Errorf("16 MiB: %v", err)
	}
	volume["one-more.yaml"] = &fstest.MapFile{Data: []byte("x")}
	if _, err := exported(t, volume); err == nil || err.Error() != "its seeds have more than 16 MiB together: put fewer there" {
		t.Errorf("got the error %v", err)
	}
}
