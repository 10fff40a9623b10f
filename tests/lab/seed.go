//go:build lab

package lab

import (
	"crypto/rand"
	"fmt"
	"net/netip"
)

// prefix is that of the hosts' network, with the address of clients.
var prefix = netip.MustParsePrefix("10.213.0.1/24")

// address is one of the hosts' network.
func address(last byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 213, 0, last}) }

// seed is a seed and the password of the superuser in it.
type seed struct{ text, password string }

// newSeed makes the seed of a cluster of one node. A veth is no physical interface,
// so the seed has to name it.
func newSeed(h *host) seed {
	s := seed{password: rand.Text()}
	s.text = fmt.Sprintf(`version: banyan/v1
cluster: {name: pgsql-cl}
nodes:
  - {name: %s, address: %s, gateway: %s}
network: {interface: {name: eth0}}
postgresql:
  pg_hba: ["host all all %s scram-sha-256"]
secrets:
  superuser_password: %s
  replication_password: %s
  rewind_password: %s
`, h.name, h.addr, prefix.Addr(), prefix.Masked(), s.password, rand.Text(), rand.Text())
	return s
}
