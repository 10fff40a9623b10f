package rootfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"banyan/seeds"
)

// The node finds in the tree the key that the image was built with, and the
// manifest names it.
func TestSeedKey(t *testing.T) {
	secret, public, err := seeds.GenerateKey("")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	o := Options{SeedKey: string(public)}
	if err := o.laySeedKey(root); err != nil {
		t.Fatal(err)
	}
	key, err := seeds.AcceptedKey(root)
	if err != nil || key == nil {
		t.Fatal(key, err)
	}
	if id, err := o.seedKeyID(); err != nil || id != seeds.KeyID(key.ID()) {
		t.Errorf("its id is %s, %v", id, err)
	}
	if _, err := Build(t.Context(), Options{SeedKey: string(secret), Profile: &Profile{}}, os.Stderr); err == nil || !strings.Contains(err.Error(), "secret key") {
		t.Errorf("built with a secret key: %v", err)
	}

	anySeed, empty := Options{}, t.TempDir()
	if err := anySeed.laySeedKey(empty); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(empty + "/*"); err != nil || len(left) > 0 {
		t.Errorf("without a key it lays %v, %v", left, err)
	}
	if id, err := anySeed.seedKeyID(); err != nil || id != "" {
		t.Errorf("without a key its id is %q, %v", id, err)
	}
}
