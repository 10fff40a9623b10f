//go:build boot

package boot

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkBoot measures how long a machine takes from its power to a node that
// is ready, and how long firstboot takes where there is nothing to do:
//
//	s/first-ready  a new disk with a seed on it: the cluster is born
//	s/ready        the same disk again
//	ms/noop        firstboot on the running node, the median of five runs
func BenchmarkBoot(b *testing.B) {
	var first, second, noop float64
	for b.Loop() {
		seed, disk := newSeed(b), newDisk(b)
		disk.dropSeed(b, seed.text)

		n, took := timeBoot(b, disk, seed)
		first += took.Seconds()
		n.machine.powerOff()

		n, took = timeBoot(b, disk, seed)
		second += took.Seconds()
		noop += n.timeNoop().Seconds() * 1000
		n.machine.powerOff()
	}
	count := float64(b.N)
	b.ReportMetric(first/count, "s/first-ready")
	b.ReportMetric(second/count, "s/ready")
	b.ReportMetric(noop/count, "ms/noop")
	b.ReportMetric(0, "ns/op") // all of the above, and what lies between: not shown
}

// timeBoot turns a machine on and waits until whoever logs in is told that the
// node is ready.
func timeBoot(b *testing.B, disk *disk, seed *seed) (*node, time.Duration) {
	b.Helper()
	began := time.Now()
	m := start(b, disk, uefi)
	m.waitFor(ready, birthTime)
	n := login(b, m, seed)
	n.root("firstboot status --wait")
	return n, time.Since(began)
}

// timeNoop runs firstboot five times and returns the median of what it took.
func (n *node) timeNoop() time.Duration {
	n.Helper()
	// EPOCHREALTIME has microseconds, after whatever the locale's decimal separator is.
	out := n.root(`bash -eu <<'END'
for _ in {1..5}; do
	began=${EPOCHREALTIME//[!0-9]/}
	firstboot
	echo $((${EPOCHREALTIME//[!0-9]/} - began))
done
END`)
	var took []time.Duration
	for line := range strings.Lines(out) {
		us, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			n.Fatalf("firstboot said more than it should:\n%s", out)
		}
		took = append(took, time.Duration(us)*time.Microsecond)
	}
	slices.Sort(took)
	return took[len(took)/2]
}
