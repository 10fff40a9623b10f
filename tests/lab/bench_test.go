//go:build lab

package lab

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
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

// BenchmarkCluster measures a cluster of three with Patroni's usual times (ttl 30 s), as a
// client sees it that writes every 50 ms through HAProxy:
//
//	s/birth              from the power of all nodes, until all are synchronous replicas of one
//	s/failover           the power of the leader is cut; the median of ten, and the worst
//	s/worst-failover
//	s/switchover         an operator has another lead; likewise
//	s/worst-switchover
func BenchmarkCluster(b *testing.B) {
	const times = 10
	var birth time.Duration
	var failovers, switchovers []time.Duration
	for b.Loop() {
		c := newClusterAt(b, newSites(b, 1), plan{members: three, times: usualTimes})
		began := time.Now()
		c.bear()
		birth += time.Since(began)

		l := c.openLedger(0)
		for range times {
			failovers = append(failovers, c.cutLeader(l))
		}
		for range times {
			leader := c.leader()
			to := c.without(leader)[0]
			switchovers = append(switchovers, c.survives("a switchover to "+to.name, l, c.nodes, func() { c.switchover(to) }))
		}
	}
	slices.Sort(failovers)
	slices.Sort(switchovers)
	b.ReportMetric(birth.Seconds()/float64(b.N), "s/birth")
	b.ReportMetric(failovers[len(failovers)/2].Seconds(), "s/failover")
	b.ReportMetric(failovers[len(failovers)-1].Seconds(), "s/worst-failover")
	b.ReportMetric(switchovers[len(switchovers)/2].Seconds(), "s/switchover")
	b.ReportMetric(switchovers[len(switchovers)-1].Seconds(), "s/worst-switchover")
	b.ReportMetric(0, "ns/op") // all of the above, and what lies between: not shown
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
