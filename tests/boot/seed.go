//go:build boot

package boot

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"banyan/tests/fixture"
)

// seed is the seed of a one-node cluster and what only its author knows.
type seed struct {
	file    string // the cluster file
	text    string // what was minted of it
	cluster *fixture.Cluster
	key     ssh.Signer // of the user dba
}

// network is QEMU's user networking, which a machine is a host of.
var network = netip.MustParsePrefix("10.0.2.0/24")

// newSeed makes a seed, with more sections that a test asks for.
func newSeed(t testing.TB, sections ...string) *seed {
	t.Helper()
	key, authorized := fixture.NewKey(t)
	file := fmt.Sprintf(`version: banyan/v1
cluster: {name: pgsql-cl}
sites: [{name: dc1, subnet: 10.0.2.0/24, vips: [10.0.2.180]}]
nodes:
  - {name: pgsql-n1, address: 10.0.2.15/24, gateway: 10.0.2.2}
network: {dns: [10.0.2.3]}
postgresql:
  pg_hba: [%q]
firewall: {allow: [{port: 8008, sources: [10.0.2.2/32]}]} # the tests ask Patroni from outside
patroni: {ttl: 60} # an emulated processor shared with others must not miss the watchdog's half of it
system:
  timezone: Europe/Moscow
  users:
    - %s
`, fixture.HBA(network), fixture.DBA(authorized)) + strings.Join(sections, "")
	c := fixture.Mint(t, file)
	return &seed{file, c.Seeds["pgsql-n1"].Text, c, key}
}

// next is the seed's next generation, for a cluster file in which these texts are replaced,
// as [strings.NewReplacer] takes them.
func (s *seed) next(t testing.TB, replaced ...string) string {
	t.Helper()
	s.cluster.Mint(t, strings.NewReplacer(replaced...).Replace(s.file))
	return s.cluster.Seeds["pgsql-n1"].Text
}
