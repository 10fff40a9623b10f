//go:build lab

package lab

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// BenchmarkNoop measures one firstboot on a node that is ready, where there is
// nothing to do; each is the median of five runs:
//
//	ms/noop      as long as it takes
//	ms/noop-cpu  of processors, in user and in system mode, with all that it starts itself
func BenchmarkNoop(b *testing.B) {
	n := born(b)
	var wall, cpu float64
	for b.Loop() {
		w, c := n.timeNoop()
		wall += w
		cpu += c
	}
	count := float64(b.N)
	b.ReportMetric(wall/count*1000, "ms/noop")
	b.ReportMetric(cpu/count*1000, "ms/noop-cpu")
	b.ReportMetric(0, "ns/op") // five runs, and what lies between: not shown
}

// timeNoop returns medians in seconds.
func (n *node) timeNoop() (wall, cpu float64) {
	n.t.Helper()
	// What firstboot says goes past the times, and into the error where it fails.
	out := n.sh(`exec 3>&2
TIMEFORMAT='%3R %3U %3S'
for _ in {1..5}; do
	{ time firstboot 2>&3; } 2>&1
done`)
	var walls, cpus []float64
	for line := range strings.Lines(out) {
		var real, user, system float64
		if _, err := fmt.Sscan(line, &real, &user, &system); err != nil {
			n.t.Fatalf("firstboot said more than it should: %v:\n%s", err, out)
		}
		walls, cpus = append(walls, real), append(cpus, user+system)
	}
	slices.Sort(walls)
	slices.Sort(cpus)
	return walls[len(walls)/2], cpus[len(cpus)/2]
}
