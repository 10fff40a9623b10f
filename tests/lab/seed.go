//go:build lab

package lab

import (
	"fmt"
	"net/netip"
	"strings"

	"banyan/tests/fixture"
)

// prefix is that of the hosts' network, with the address of clients.
var prefix = netip.MustParsePrefix("10.213.0.1/24")

// address is one of the hosts' network.
func address(last byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 213, 0, last}) }

// seed is a seed and what only its author knows.
type seed struct {
	text    string
	secrets fixture.Secrets
}

// newSeed makes the seed of a cluster of one node, with more sections that a test asks
// for. A veth is no physical interface, so the seed has to name it.
func newSeed(h *host, sections ...string) seed {
	secrets := fixture.NewSecrets()
	return seed{seedText(h, secrets, sections), secrets}
}

func seedText(h *host, secrets fixture.Secrets, sections []string) string {
	return clusterFile(h) + secrets.Section() + strings.Join(sections, "")
}

// clusterFile is a seed without its secrets.
func clusterFile(h *host) string {
	return fmt.Sprintf(`version: banyan/v1
cluster: {name: pgsql-cl}
nodes:
  - {name: %s, address: %s, gateway: %s, postgresql: {pg_hba: ["host all all %s scram-sha-256"]}}
network: {interface: {name: eth0}}
`, h.name, h.addr, prefix.Addr(), prefix.Masked())
}
