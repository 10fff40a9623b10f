//go:build boot

package boot

import (
	"fmt"
	"testing"

	"golang.org/x/crypto/ssh"

	"banyan/tests/fixture"
)

// seed is the seed of a one-node cluster and what only its author knows.
type seed struct {
	text    string
	secrets fixture.Secrets
	key     ssh.Signer // of the user dba
}

// newSeed makes a seed. Its addresses are those of QEMU's user networking; its
// secrets are such that nothing else holds them by chance.
func newSeed(t testing.TB) *seed {
	t.Helper()
	key, authorized := fixture.NewKey(t)
	s := &seed{key: key, secrets: fixture.NewSecrets()}
	s.text = fmt.Sprintf(`version: banyan/v1
cluster: {name: pgsql-cl}
nodes:
  - {name: pgsql-n1, address: 10.0.2.15/24, gateway: 10.0.2.2}
network: {dns: [10.0.2.3]}
postgresql:
  pg_hba: ["host all all 10.0.2.0/24 scram-sha-256"]
firewall: {allow: [{port: 8008, sources: [10.0.2.2/32]}]} # the tests ask Patroni from outside
system:
  timezone: Europe/Moscow
  users:
    - %s
%s`, fixture.DBA(authorized), s.secrets.Section())
	return s
}
