// Package node says what a node is made of: a pure function computes all of its
// configuration from the seed and the facts, and touches no machine. One file
// holds one component.
//
// It writes for Debian 11, 12 and 13 alike. What depends on the version:
//
//   - KeepConfiguration=yes means the same from systemd 247 to 257, though the
//     other values of that key were renamed in 257. [Match] Kind= is known from
//     systemd 251 on: without it an interface that is not matched by its address
//     may also be a virtual one of type ether.
//   - /etc/default/locale is what PAM and, up to Debian 12, systemd read; it is a
//     link to /etc/locale.conf as Debian 13 has it. /etc/timezone is gone from
//     Debian 13, where nothing minds it.
//   - Patroni ignores keys that it does not know. Until 3.0 the start and stop timeouts
//     of a primary have other names; failsafe_mode is known from 3.0 on,
//     restapi.allowlist from 2.1, member_slots_ttl and the quorum mode from 4.0. An
//     older one takes quorum for off, and is given true.
//   - systemd-networkd.service of Debian 11 cannot reload and is restarted.
//   - The kernel has no kernel.sched_migration_cost_ns from 5.13 on.
//   - Which parameters of PostgreSQL a version knows is in their table, parameters.go.
//   - etcd has log levels from 3.4 on, and there in one of its two loggers; its
//     etcdctl takes API 3, which Patroni uses, for the default from 3.4 on.
package node

import (
	"errors"
	"net/netip"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

// The steps of a state that joining the cluster rests on.
const (
	StepEtcd    = "etcd"
	StepPatroni = "patroni"
)

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
	var sized sizes
	var database database
	if runs {
		if database, err = databaseOf(s, self, f); err != nil {
			return converge.State{}, err
		}
		sized = database.sizes(self)
	}

	add("identity", identity(s, self, f))
	steps = append(steps, people...)
	if self.Network.Manage {
		add("network", network(self, f))
	}
	steps = append(steps, storage(s, self, f)...)
	add("swap", swap(self.System.Swap)) // first: from then on memory is promised by the rules of the kernel step
	steps = append(steps, kernel(self, sized, f), converge.Step{
		Name: "disks", Loose: true, Resources: ioSchedulers(self.System.IOScheduler, f.Disks),
	})
	add("journal", journal())
	add("clock", clock(self.System.NTP))
	add("trust", trust(s.PKI, self.System.CACertificates))
	add("proxy", proxy(self.System.Proxy))
	add("ssh", ssh(self.System.SSHPort))
	add("firewall", firewall(s, self))
	if runs {
		add("limits", limits(self.System.NoFile))
		add("watchdog", watchdog(self.Patroni.Watchdog))
	}
	if s.IsEtcdMember(self) {
		steps = append(steps, etcd(s, self, f))
	}
	if runs {
		step, err := patroni(s, self, f, database)
		if err != nil {
			return converge.State{}, err
		}
		steps = append(steps, step)
	}
	return converge.State{Steps: steps}, nil
}

// Check says what a human must settle before self, of s, may be planted on this
// machine. It reports everything at once, one problem to a line.
func Check(s seeds.Seed, self seeds.Node, f facts.Facts) error {
	errs := []error{
		CheckRelease(s, self),
		checkNetwork(self.Network, f.NICs),
		checkIdentity(self.System, f),
		checkAccounts(self.System.Users, f),
		checkUIDs(self.System.Users, f),
		checkStorage(s, self, f),
	}
	if self.Runs(seeds.ServicePostgreSQL) {
		_, noVersion := PostgreSQLVersion(self, f)
		errs = append(errs, noVersion, checkInitdb(self.PostgreSQL.Initdb, f), checkPatroni(self.Patroni, f))
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

// dropIn adds to a unit of the distribution.
func dropIn(unit, content string) []converge.Resource {
	dir := "/etc/systemd/system/" + unit + ".d"
	return []converge.Resource{
		converge.Directory{Path: dir, Mode: 0o755},
		file(dir+"/banyan.conf", banner+content),
	}
}
