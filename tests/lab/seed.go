//go:build lab

package lab

import (
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

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
	s := seed{secrets: fixture.NewSecrets()}
	s.text = clusterFile(h) + s.secrets.Section() + strings.Join(sections, "")
	return s
}

// clusterFile is a seed without its secrets.
func clusterFile(h *host) string {
	return fmt.Sprintf(`version: banyan/v1
cluster: {name: pgsql-cl}
nodes:
  - {name: %s, address: %s, gateway: %s}
network: {interface: {name: eth0}}
postgresql:
  pg_hba: ["host all all %s scram-sha-256"]
`, h.name, h.addr, prefix.Addr(), prefix.Masked())
}

// newKey makes the key of a person who logs in, and how a seed has its public half.
func newKey(t testing.TB) (key ssh.Signer, authorized string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err == nil {
		key, err = ssh.NewSignerFromKey(private)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))
}
