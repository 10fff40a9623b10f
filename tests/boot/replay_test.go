//go:build boot && soak

package boot

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"banyan/internal/command"
	"banyan/tests/logwrites"
)

// TestPowerCutReplayed is stronger than TestPowerCutEverywhere: whoever kills QEMU
// leaves on the disk all that the guest wrote, flushed or not, since this machine's
// kernel has it. Here the disk has its own cache, and loses what was not flushed.
func TestPowerCutReplayed(t *testing.T) {
	const points = 5 // of each firmware
	draws := drawSeed(t)
	for _, firmware := range []firmware{uefi, bios} {
		t.Run(string(firmware), func(t *testing.T) {
			t.Parallel()
			r := record(t, firmware)
			for i := range points {
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					t.Parallel()
					draw := rand.New(rand.NewPCG(draws, uint64(i)))
					part := len(r.log.Entries) / points
					point := i*part + 1 + draw.IntN(part)
					t.Logf("the power is cut after %d of %d entries, %d of them not flushed", point, len(r.log.Entries), r.log.Unflushed(point))
					r.check(t, r.log.Cut(point, draw))
				})
			}
		})
	}
}

// drawSeed draws what the cuts are drawn from. A first boot never writes quite the
// same twice, so that the same seed gives cuts that are alike; the disk of one that
// failed is kept as well.
func drawSeed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("BANYAN_CUT_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("BANYAN_CUT_SEED: %v", err)
		}
	}
	t.Logf("to draw these cuts again set BANYAN_CUT_SEED=%d", seed)
	return seed
}

// recording is a first boot of which each write was logged.
type recording struct {
	firmware firmware
	seed     *seed
	before   *disk // as it was when the power came
	after    *disk
	log      *logwrites.Log
}

// record boots a new disk with a seed on it until the node is ready, and sees to it
// that the log tells all that has become of the disk.
func record(t *testing.T, firmware firmware) *recording {
	t.Helper()
	r := &recording{firmware: firmware, seed: newSeed(t), before: newDisk(t)}
	r.before.dropSeed(t, r.seed.text)
	r.after = r.before.copyTo(t, filepath.Join(t.TempDir(), "disk.img"))
	file, err := os.Create(filepath.Join(t.TempDir(), "writes.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
	m := startWith(t, r.after, firmware, extra{log: file.Name()})
	m.waitFor(ready, birthTime)
	checkFirstBootWrites(t, m)
	m.quit()

	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if r.log, err = logwrites.Read(file, info.Size(), diskSize); err != nil {
		t.Fatal(err)
	}
	t.Logf("the log has %d entries and %d MiB", len(r.log.Entries), info.Size()>>20)
	whole := r.replay(t, filepath.Join(t.TempDir(), "disk.img"), r.log.All())
	if _, err := command.Run(t.Context(), "cmp", whole.path, r.after.path); err != nil {
		t.Fatalf("the log of all writes does not make the disk that they were made to: %v", err)
	}
	return r
}

// replay makes the disk on which these pieces of the log were written.
func (r *recording) replay(t *testing.T, path string, pieces []logwrites.Piece) *disk {
	t.Helper()
	d := r.before.copyTo(t, path)
	d.twinOf = r.after
	f, err := os.OpenFile(d.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.log.Apply(f, pieces); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

// check boots the disk that a power cut has left, which is made once more and kept
// where that fails.
func (r *recording) check(t *testing.T, left []logwrites.Piece) {
	t.Helper()
	disk := r.replay(t, filepath.Join(t.TempDir(), "disk.img"), left)
	t.Cleanup(func() {
		if t.Failed() {
			kept := filepath.Join(artifacts(t), filepath.Base(filepath.Dir(t.Name()))+"-"+filepath.Base(t.Name())+"-cut.img")
			t.Logf("the disk as the cut left it is %s", r.replay(t, kept, left).path)
		}
	})
	checkCarriesOn(t, disk, r.firmware, r.seed, extra{})
}
