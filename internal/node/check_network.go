package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"banyan/internal/facts"
	"banyan/seeds"
)

// checkNetwork refuses what would leave the node without its network: interfaces that
// this machine lacks, and one that is to be two things.
func checkNetwork(n seeds.Network, nics []facts.NIC) error {
	if !n.Manage {
		return nil
	}
	links := linksOf(n, nics)
	var errs []error
	uses := map[string]string{} // what each interface is taken for, by its key
	use := func(path string, pick seeds.Interface) {
		errs = append(errs, links.checkInterface(path, pick))
		key := links.key(pick)
		if other, taken := uses[key]; taken {
			errs = append(errs, fmt.Errorf("%s: %s is taken by %s", path, key, other))
		}
		uses[key] = path
	}
	if n.Interface == (seeds.Interface{}) {
		errs = append(errs, links.checkOnly())
	}
	if n.Interface != (seeds.Interface{}) || len(links.free) == 1 {
		use("network.interface", n.Interface)
	}
	for i, b := range n.Bonds {
		for j, member := range b.Interfaces {
			use(fmt.Sprintf("network.bonds[%d].interfaces[%d]", i, j), member)
		}
	}
	for i, extra := range n.Interfaces {
		use(fmt.Sprintf("network.interfaces[%d].interface", i), extra.Interface)
	}
	for i, v := range n.VLANs {
		errs = append(errs, links.checkInterface(fmt.Sprintf("network.vlans[%d].link", i), v.Link))
	}
	return errors.Join(errs...)
}

// checkInterface refuses an interface that is neither there nor made.
func (l *links) checkInterface(path string, want seeds.Interface) error {
	switch {
	case want.Name != "":
		if !l.made[want.Name] && !slices.ContainsFunc(l.nics, func(n facts.NIC) bool { return n.Name == want.Name }) {
			return fmt.Errorf("%s.name: this machine has no Ethernet interface %s; it has %s", path, want.Name, list(l.nics))
		}
	case !want.MAC.IsZero():
		if !slices.ContainsFunc(l.nics, func(n facts.NIC) bool { return n.MAC == want.MAC.String() }) {
			return fmt.Errorf("%s.mac: no Ethernet interface has the address %s; this machine has %s", path, want.MAC, list(l.nics))
		}
	}
	return nil
}

// checkOnly refuses a machine of which nothing says which interface is the node's.
func (l *links) checkOnly() error {
	switch len(l.free) {
	case 0:
		return errors.New("network.interface: this machine has no Ethernet interface; if its driver came late, try again")
	case 1:
		return nil
	}
	return fmt.Errorf("network.interface: say by name or mac which one it is: this machine has %s", list(l.free))
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
