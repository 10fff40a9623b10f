package seeds

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Machine is what a machine is recognised by. What it does not have, or does not
// tell, is zero.
type Machine struct {
	MACs     []MAC // of its Ethernet interfaces
	Serial   string
	UUID     UUID
	Hostname string
}

// Self is the node that a machine is to be: the one that the seed is for, or the
// only one, or the one whose match fits. The error says how to write a match that
// does.
func (s *Seed) Self(m Machine) (Node, error) {
	switch {
	case s.Node != "":
		n, ok := s.ByName(s.Node)
		if !ok {
			return Node{}, fmt.Errorf("node: the seed is for %s, and has no node of that name", quote(s.Node))
		}
		return n, nil
	case len(s.Nodes) == 1:
		return s.Nodes[0], nil
	}
	var fitting []Node
	var names []string
	for _, n := range s.Nodes {
		if n.Match.fits(m) {
			fitting = append(fitting, n)
			names = append(names, n.Name)
		}
	}
	switch len(fitting) {
	case 1:
		return fitting[0], nil
	case 0:
		return Node{}, fmt.Errorf("nodes: none of the %d nodes is this machine by its match; write below the one that it is to be:\n%s", len(s.Nodes), m.match())
	}
	return Node{}, fmt.Errorf("nodes: by their match %s are all this machine, and it can be but one: tell them apart; this machine is\n%s", list(names), m.match())
}

// ByName is the node of that name.
func (s *Seed) ByName(name string) (Node, bool) {
	i := slices.IndexFunc(s.Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return Node{}, false
	}
	return s.Nodes[i], true
}

// Names are those of the nodes.
func (s *Seed) Names() []string {
	var names []string
	for _, n := range s.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// fits tells whether a machine is the one that is meant. No match fits none.
func (want Match) fits(m Machine) bool {
	if want == (Match{}) {
		return false
	}
	short, _, _ := strings.Cut(m.Hostname, ".")
	return (want.MAC.IsZero() || slices.Contains(m.MACs, want.MAC)) &&
		(want.Serial == "" || strings.EqualFold(want.Serial, m.Serial)) &&
		(want.UUID == "" || want.UUID == m.UUID || want.UUID == m.UUID.swapped()) &&
		(want.Hostname == "" || strings.EqualFold(want.Hostname, m.Hostname) || strings.EqualFold(want.Hostname, short))
}

// swapped is a UUID with the bytes of its first three fields turned around: up to
// version 2.5 SMBIOS did not say in which order they stand, and what a sticker, a
// hypervisor and the kernel make of them may differ. DSP0134, 7.2.1.
func (u UUID) swapped() UUID {
	fields := strings.Split(string(u), "-")
	if len(fields) != 5 {
		return u
	}
	for i, f := range fields[:3] {
		var turned string
		for ; len(f) >= 2; f = f[2:] {
			turned = f[:2] + turned
		}
		fields[i] = turned
	}
	return UUID(strings.Join(fields, "-"))
}

// match is a match that fits m, as it is written in a seed.
func (m Machine) match() string {
	var lines []string
	for i, mac := range m.MACs {
		if i == 0 {
			lines = append(lines, fmt.Sprintf("      mac: %q", mac.String()))
		} else {
			lines = append(lines, fmt.Sprintf("      # or mac: %q", mac.String()))
		}
	}
	if m.Serial != "" {
		lines = append(lines, "      serial: "+strconv.Quote(m.Serial))
	}
	if m.UUID != "" {
		lines = append(lines, fmt.Sprintf("      uuid: %q", m.UUID))
	}
	if lines == nil {
		return "    # it tells no MAC address, serial number or UUID: give it a seed of its own, with the key node"
	}
	return "    match:\n" + strings.Join(lines, "\n")
}

// FileNames are the names, without their endings and in lower case, of a file that
// is meant for m among those for others.
func (m Machine) FileNames() []string {
	var names []string
	for _, mac := range m.MACs {
		colons := mac.String()
		names = append(names, strings.ReplaceAll(colons, ":", "-"), strings.ReplaceAll(colons, ":", ""), colons)
	}
	short, _, _ := strings.Cut(m.Hostname, ".")
	for _, name := range []string{m.Serial, m.Hostname, short} {
		if name != "" {
			names = append(names, strings.ToLower(name))
		}
	}
	return names
}

// list writes names as a person would: a, b and c.
func list(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
