//go:build boot

package boot

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"banyan/rootfs"
)

// TestOtherImages boots each image of another profile once, by UEFI and by BIOS
// in turn.
func TestOtherImages(t *testing.T) {
	t.Parallel()
	const variable = "BANYAN_OTHER_IMAGES"
	for i, image := range strings.Split(os.Getenv(variable), ":") {
		t.Run(filepath.Base(image), func(t *testing.T) {
			t.Parallel()
			seed, disk := newSeed(t), writeDisk(t, variable, image)
			disk.dropSeed(t, seed.text)
			m := start(t, disk, []firmware{uefi, bios}[i%2])
			m.waitFor(ready, birthTime)
			n := login(t, m, seed)
			n.check()
			if got, want := n.sql("show server_version"), packagedPostgreSQL(t, image); !strings.HasPrefix(got, want+".") {
				t.Errorf("PostgreSQL is %s, the image has %s", got, want)
			}
			m.powerOff()
			checkBanyan(t, disk, seed)
		})
	}
}

// packagedPostgreSQL is the major version of the PostgreSQL that an image's
// manifest lists.
func packagedPostgreSQL(t *testing.T, image string) string {
	t.Helper()
	var manifest rootfs.Manifest
	if err := json.Unmarshal(read(t, image+".json"), &manifest); err != nil {
		t.Fatal(err)
	}
	server := regexp.MustCompile(`^postgresql-(\d+)$`)
	for _, p := range manifest.Packages {
		if m := server.FindStringSubmatch(p.Name); m != nil {
			return m[1]
		}
	}
	t.Fatalf("the manifest of %s lists no PostgreSQL", image)
	return ""
}
