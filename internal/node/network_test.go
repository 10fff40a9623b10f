package node

import (
	"fmt"
	"strings"
	"testing"

	"banyan/internal/facts"
	"banyan/internal/golden"
	"banyan/seeds"
)

// nics are the wired interfaces eno1 to eno4 of a machine.
func nics() []facts.NIC {
	var all []facts.NIC
	for i := 1; i <= 4; i++ {
		all = append(all, facts.NIC{Name: fmt.Sprintf("eno%d", i), MAC: fmt.Sprintf("52:54:00:00:00:0%d", i), Physical: true})
	}
	return all
}

// networked is a seed of a node with that section network.
func networked(t *testing.T, network string) (seeds.Seed, seeds.Node) {
	t.Helper()
	text := "version: banyan/v1\ncluster: {name: pgsql-cl}\nnodes: [{name: pgsql-n1, address: 172.16.32.11/24, gateway: 172.16.32.1}]\nnetwork:\n" + network
	s, _, err := seeds.ParseCluster("network.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	certify(s)
	return *s, s.Nodes[0]
}

var networks = map[string]string{
	"one": "  {mtu: 9000, routes: [{to: 10.0.0.0/8, via: 172.16.32.254}, {to: 10.1.0.0/16, via: 172.16.32.253}]}\n",
	"bond": `  interface: {name: bond0}
  bonds:
    - {name: bond0, interfaces: [{name: eno1}, {mac: "52:54:00:00:00:02"}], primary: eno1}
`,
	"lacp-vlans": `  interface: {name: bond0.32}
  mtu: 9000
  bonds: [{name: bond0, interfaces: [{name: eno1}, {name: eno2}], mode: 802.3ad, lacp_rate: fast, xmit_hash_policy: layer3+4, miimon: 50}]
  vlans:
    - {name: bond0.32, id: 32, link: {name: bond0}}
    - {name: backup, id: 33, link: {name: bond0}}
  interfaces:
    - {interface: {name: backup}, addresses: [10.33.0.11/24], routes: [{to: 10.34.0.0/16, via: 10.33.0.1}]}
`,
	"several": `  interface: {mac: "52:54:00:00:00:01"}
  dns: [172.16.32.2]
  interfaces:
    - {interface: {name: eno2}, dhcp: true}
    - {interface: {mac: "52:54:00:00:00:03"}, addresses: [10.1.0.11/24, "2001:db8:1::11/64"], mtu: 9000}
`,
	"vlan-beside": `  interface: {name: eno1}
  vlans: [{name: office, id: 7, link: {mac: "52:54:00:00:00:01"}}]
`,
	"the-free-one": "  interfaces: [{interface: {name: eno2}, dhcp: true}, {interface: {mac: \"52:54:00:00:00:04\"}, dhcp: true}]\n",
	"storage": `  interface: {name: eno1}
  bonds: [{name: storage, mode: balance-xor, interfaces: [{name: eno2}, {name: eno3}]}]
  interfaces:
    - {interface: {name: storage}, addresses: [10.1.0.11/24]}
    - {interface: {name: eno4}, dhcp: true}
`,
}

func TestNetworkFiles(t *testing.T) {
	for name, text := range networks {
		t.Run(name, func(t *testing.T) {
			_, self := networked(t, text)
			f := facts.Facts{NICs: nics()}
			switch name {
			case "one":
				f.NICs = f.NICs[:1]
			case "the-free-one":
				f.NICs = append(f.NICs[:2:2], f.NICs[3])
			}
			if err := checkNetwork(self.Network, f.NICs); err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, file := range networkFiles(self, f) {
				fmt.Fprintf(&b, "%s\n", file.Path)
				for line := range strings.Lines(strings.TrimPrefix(file.Content, banner)) {
					b.WriteString("    " + line)
				}
			}
			golden.Check(t, "testdata/network-"+name+".golden", b.String())
		})
	}
}

// What is not ours to set up is left alone.
func TestNetworkNotManaged(t *testing.T) {
	s, self := networked(t, "  manage: false\n")
	f := machine()
	f.NICs = nil
	if err := Check(s, self, f); err != nil {
		t.Error(err)
	}
	state, err := Desired(s, self, f)
	if err != nil {
		t.Fatal(err)
	}
	if text := Text(show(state)); strings.Contains(text, "network") && strings.Contains(text, "/etc/systemd/network") || strings.Contains(text, "resolv") {
		t.Errorf("the network is set up:\n%s", text)
	}
}

func TestCheckNetwork(t *testing.T) {
	const has = "it has eno1 (52:54:00:00:00:01), eno2 (52:54:00:00:00:02), eno3 (52:54:00:00:00:03), eno4 (52:54:00:00:00:04)"
	for text, want := range map[string]string{
		"  interface: {name: bond0}\n  bonds: [{name: bond0, interfaces: [{name: eno1}, {name: eno9}]}]\n":   "network.bonds[0].interfaces[1].name: this machine has no Ethernet interface eno9; " + has,
		"  interface: {name: eno1}\n  vlans: [{name: v7, id: 7, link: {name: eth0}}]\n":                      "network.vlans[0].link.name: this machine has no Ethernet interface eth0; " + has,
		"  interface: {name: eno1}\n  interfaces: [{interface: {mac: \"52:54:00:00:00:01\"}, dhcp: true}]\n": "network.interfaces[0].interface: eno1 is taken by network.interface",
		"  interfaces: [{interface: {name: eno1}, dhcp: true}, {interface: {name: eno2}, dhcp: true}]\n":     "network.interface: say by name or mac which one it is: this machine has eno3 (52:54:00:00:00:03), eno4 (52:54:00:00:00:04)",
	} {
		_, self := networked(t, text)
		if err := checkNetwork(self.Network, nics()); err == nil || err.Error() != want {
			t.Errorf("%s\ngot:  %v\nwant: %s", text, err, want)
		}
	}
}
