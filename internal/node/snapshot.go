package node

import (
	"fmt"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

// snapshotService takes a snapshot of etcd, snapshotTimer starts it at night.
const (
	snapshotService = "banyan-etcd-snapshot.service"
	snapshotTimer   = "banyan-etcd-snapshot.timer"
)

// snapshots are taken at night of a member of etcd that has not left, unless none are
// kept. A timer that is masked is stopped too.
func snapshots(s seeds.Seed, self seeds.Node, left bool) []converge.Resource {
	var resources []converge.Resource
	member := s.IsEtcdMember(self)
	if member {
		resources = append(resources, dropIn(snapshotService, fmt.Sprintf("[Service]\nEnvironment=SNAPSHOTS=%d\n", self.Etcd.Snapshots))...)
		resources = append(resources, converge.Unit{Name: snapshotService}) // for its daemon-reload
	}
	taken := member && !left && self.Etcd.Snapshots > 0
	return append(resources, converge.Unit{Name: snapshotTimer, Enabled: taken, Running: taken, Masked: !taken})
}

// EtcdctlEnvironment is what etcdctl(1) finds the cluster's etcd by, as root has it.
func EtcdctlEnvironment(s seeds.Seed, self seeds.Node, f facts.Facts) []string {
	return etcdctlVariables(s, self, abilities(f))
}

// EtcdEnvironment is what the node's member of etcd is told.
func EtcdEnvironment(self seeds.Node, f facts.Facts) []string {
	var variables []string
	for line := range strings.Lines(etcdEnvironment(self, abilities(f))) {
		if !strings.HasPrefix(line, "#") {
			variables = append(variables, strings.TrimSuffix(line, "\n"))
		}
	}
	return variables
}

// SnapshotProgram is the program of etcd that checks and restores snapshots.
func SnapshotProgram(f facts.Facts) string {
	if abilities(f).hasEtcdutl() {
		return "etcdutl"
	}
	return "etcdctl"
}
