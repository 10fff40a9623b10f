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

// clusterFile is that of a cluster of one node, with more sections that a test asks
// for. A veth is no physical interface, so the seed has to name it.
func clusterFile(h *host, sections ...string) string {
	return fmt.Sprintf(`version: banyan/v1
cluster: {name: pgsql-cl}
nodes:
  - {name: %s, address: %s, gateway: %s, postgresql: {pg_hba: [%q]}}
network: {interface: {name: eth0}}
`, h.name, h.addr, prefix.Addr(), fixture.HBA(prefix.Masked())) + strings.Join(sections, "")
}
