//go:build lab

package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOtherImages has a cluster of each other profile lose its leader and all of its power.
func TestOtherImages(t *testing.T) {
	t.Parallel()
	for image := range strings.SplitSeq(os.Getenv("BANYAN_OTHER_IMAGES"), ":") {
		t.Run(filepath.Base(image), func(t *testing.T) {
			t.Parallel()
			root, err := mountImage(t.Context(), image)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := unix.Unmount(root, 0); err != nil {
					t.Error(err)
				}
			})
			c := newCluster(t, three)
			for _, n := range c.nodes {
				n.image = root
			}
			c.bear()
			c.checkOne()
			l := c.openLedger(0)
			c.cutLeader(l)
			c.losePower(l)
		})
	}
}
