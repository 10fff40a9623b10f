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
//   - Patroni is given no key that 2.0.2 refuses; that one ignores
//     restapi.allowlist_include_members.
//   - systemd-networkd.service of Debian 11 cannot reload and is restarted.
//   - etcd has log levels from 3.4 on, and there in one of its two loggers; its
//     etcdctl takes API 3, which Patroni uses, for the default from 3.4 on.
package node

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

// The ports of a node: the ones that the packages have without being told.
const (
	PostgreSQLPort = 5432
	PatroniPort    = 8008 // of its REST API
	etcdClientPort = 2379
	etcdPeerPort   = 2380
)

// Desired is the whole configuration of the node that s describes.
func Desired(s seeds.Seed, f facts.Facts) (converge.State, error) {
	self, err := Self(s)
	if err != nil {
		return converge.State{}, err
	}
	people, err := users(s, f)
	if err != nil {
		return converge.State{}, err
	}
	database, err := patroni(s, self, f)
	if err != nil {
		return converge.State{}, err
	}
	steps := []converge.Step{{Name: "identity", Resources: identity(s, self)}}
	steps = append(steps, people...)
	return converge.State{Steps: append(steps,
		converge.Step{Name: "network", Resources: network(s, self, f)},
		converge.Step{Name: "etcd", Resources: etcd(s, self, f)},
		converge.Step{Name: "patroni", Resources: database},
	)}, nil
}

// Self is this node's own entry in s.
func Self(s seeds.Seed) (seeds.Node, error) {
	if len(s.Nodes) != 1 {
		return seeds.Node{}, fmt.Errorf("nodes: the seed has %d, and a cluster of one is all that this release can make", len(s.Nodes))
	}
	return s.Nodes[0], nil
}

// Check says what a human must settle before s may be planted on this machine.
// It reports everything at once, one problem to a line.
func Check(s seeds.Seed, f facts.Facts) error {
	if _, err := Self(s); err != nil {
		return err
	}
	_, noVersion := PostgreSQLVersion(s, f)
	return errors.Join(
		checkInterface(s.Network.Interface, f.NICs),
		checkIdentity(s.System, f),
		checkAccounts(s.System.Users, f),
		checkUIDs(s.System.Users, f),
		noVersion,
		checkInitdb(f.Locales),
	)
}

func checkInterface(want seeds.Interface, nics []facts.NIC) error {
	switch {
	case want.Name != "":
		if !slices.ContainsFunc(nics, func(n facts.NIC) bool { return n.Name == want.Name }) {
			return fmt.Errorf("network.interface.name: this machine has no Ethernet interface %s; it has %s", want.Name, list(nics))
		}
	case !want.MAC.IsZero():
		if !slices.ContainsFunc(nics, func(n facts.NIC) bool { return n.MAC == want.MAC.String() }) {
			return fmt.Errorf("network.interface.mac: no Ethernet interface has the address %s; this machine has %s", want.MAC, list(nics))
		}
	default:
		wired := physical(nics)
		switch len(wired) {
		case 0:
			return errors.New("network.interface: this machine has no Ethernet interface; if its driver came late, try again")
		case 1:
		default:
			return fmt.Errorf("network.interface: say by name or mac which one it is: this machine has %s", list(wired))
		}
	}
	return nil
}

func physical(nics []facts.NIC) []facts.NIC {
	return slices.DeleteFunc(slices.Clone(nics), func(n facts.NIC) bool { return !n.Physical })
}

func list(nics []facts.NIC) string {
	if len(nics) == 0 {
		return "none"
	}
	var words []string
	for _, n := range nics {
		words = append(words, fmt.Sprintf("%s (%s)", n.Name, n.MAC))
	}
	return strings.Join(words, ", ")
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
