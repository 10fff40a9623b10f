// Package node says what a node is made of: a pure function computes all of its
// configuration from the seed and the facts, and touches no machine. One file
// holds one component.
//
// It writes for Debian 11, 12 and 13 alike; versions.go has what depends on versions.
package node

import (
	"errors"
	"net/netip"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

// The steps of a state that joining the cluster rests on. On a node that has no part in
// one, nothing starts its service, such as the installation of a package.
const (
	StepEtcd    = "etcd"
	StepRaft    = "raft"
	StepPatroni = "patroni"
)

// peerSocket is where the other nodes ask what this one holds.
const peerSocket = "banyan-peer.socket"

// Desired is the whole configuration of self, one of the nodes of s.
func Desired(s seeds.Seed, self seeds.Node, f facts.Facts) (converge.State, error) {
	people, err := users(self, f)
	if err != nil {
		return converge.State{}, err
	}
	var steps []converge.Step
	add := func(name string, resources []converge.Resource) {
		steps = append(steps, converge.Step{Name: name, Resources: resources})
	}
	runs := self.Runs(seeds.ServicePostgreSQL)
	volumes := volumesOf(s, self, f)
	var memory sharedMemory
	var database database
	if runs {
		if database, err = databaseOf(self, f, volumes); err != nil {
			return converge.State{}, err
		}
		memory = database.sharedMemory()
	}

	add("identity", identity(s, self, f))
	steps = append(steps, people...)
	if self.Network.Manage {
		add("network", network(self, f))
	}
	steps = append(steps, storage(s, self, f, volumes)...)
	add("swap", swap(self.System.Swap)) // before kernel: with overcommit_memory=2 swap counts as memory that may be promised
	steps = append(steps, kernel(s, self, memory, f), converge.Step{
		Name: "disks", Loose: true, Resources: ioSchedulers(self.System.IOScheduler, f.Disks),
	})
	add("journal", journal())
	add("clock", clock(self.System.NTP))
	add("certificates", certificates(s, self))
	add("trust", trust(s.PKI, self.System.CACertificates))
	add("proxy", proxy(self.System.Proxy))
	steps = append(steps, firewall(s, self)...)
	add("peer", []converge.Resource{converge.Unit{Name: peerSocket, Enabled: s.HoldsState(self), Running: s.HoldsState(self)}})
	if runs {
		add("limits", limits(self.System.NoFile))
		add("watchdog", watchdog(self.Patroni.Watchdog))
	}
	switch {
	case s.IsEtcdMember(self):
		steps = append(steps, etcd(self, f, volumes))
	case s.Cluster.DCS != seeds.DCSExternal: // which may run here all the same
		add(StepEtcd, []converge.Resource{converge.Unit{Name: etcdUnit, Masked: true}})
	}
	add("etcd snapshots", snapshots(s, self, f.Left))
	if s.IsRaftMember(self) {
		step, err := raft(s, self, f, volumes)
		if err != nil {
			return converge.State{}, err
		}
		steps = append(steps, step)
	}
	if !runs {
		add(StepPatroni, []converge.Resource{converge.Unit{Name: patroniUnit, Masked: true}})
	} else {
		step, err := patroni(s, self, f, database)
		if err != nil {
			return converge.State{}, err
		}
		steps = append(steps, step)
	}
	if self.Runs(seeds.ServiceHAProxy) && !f.Left {
		add("haproxy", haproxy(s, self))
	} else {
		add("haproxy", []converge.Resource{converge.Unit{Name: haproxyUnit, Masked: true}})
	}
	guard, err := dnscp(s, self, f.Left)
	if err != nil {
		return converge.State{}, err
	}
	add("connection point", guard)
	return converge.State{Steps: steps}, nil
}

// Check says what a human must settle before self, of s, may be planted on this
// machine. It reports everything at once, one problem to a line.
func Check(s seeds.Seed, self seeds.Node, f facts.Facts) error {
	volumes := volumesOf(s, self, f)
	errs := []error{
		checkCertificates(s, self),
		checkNetwork(self.Network, f.NICs),
		checkIdentity(self.System, f),
		checkAccounts(self.System.Users, f),
		checkUIDs(self.System.Users, f),
		checkStorage(volumes, f),
		checkSSH(self.System.SSHPort, f),
	}
	if self.Runs(seeds.ServicePostgreSQL) {
		if d, err := databaseOf(self, f, volumes); err != nil {
			errs = append(errs, err)
		} else {
			errs = append(errs, d.checkMemory())
		}
		errs = append(errs, checkInitdb(self.PostgreSQL.Initdb, f), checkPatroni(self.Patroni, f))
	}
	return errors.Join(errs...)
}

// addrPort writes an address as listeners and URLs want it, IPv6 in brackets.
func addrPort(a netip.Addr, port uint16) string { return netip.AddrPortFrom(a, port).String() }

// file is a configuration file of root's that everybody may read.
func file(path, content string) converge.File {
	return converge.File{Path: path, Mode: 0o644, Content: content}
}

// banner opens a file that we write.
const banner = "# Written by Banyan from its seed. Changes are lost: change the seed.\n"

// ownDirectory holds files that no program of the distribution has a place for.
var ownDirectory = converge.Directory{Path: "/etc/banyan", Mode: 0o755}

// unitDir is where a machine has units of its own: systemd.unit(5).
const unitDir = "/etc/systemd/system/"

// unitFile is a unit of ours.
func unitFile(name, content string) converge.File { return file(unitDir+name, banner+content) }

// dropIn adds to a unit of the distribution.
func dropIn(unit, content string) []converge.Resource {
	return []converge.Resource{
		converge.Directory{Path: unitDir + unit + ".d", Mode: 0o755},
		unitFile(unit+".d/banyan.conf", content),
	}
}
