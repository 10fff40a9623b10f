//go:build lab

package lab

import (
	"testing"

	"banyan/tests/fixture"
)

// TestServices has a node for each service, which has what that needs and no more: whoever
// only balances can open neither etcd nor PostgreSQL.
func TestServices(t *testing.T) {
	t.Parallel()
	c := newCluster(t, []member{
		{"pgsql-e1", 0, "etcd"},
		{"pgsql-n1", 0, "postgresql"},
		{"pgsql-n2", 0, "postgresql"},
		{"pgsql-b1", 0, "haproxy"},
	})
	c.bear()
	const units = "systemctl is-active etcd.service patroni.service haproxy.service | xargs"
	const keys = "cd /etc/banyan; find . -name '*.key' | sort | xargs"
	const passwords = "grep --count password: /var/lib/banyan/seed.yaml | cat"
	for name, want := range map[string][3]string{
		"pgsql-e1": {"active inactive inactive", `\./pki/etcd\.key \./pki/node\.key`, "0"},
		"pgsql-n1": {"inactive active inactive", `\./pki/node\.key`, "3"},
		"pgsql-b1": {"inactive inactive active", `\./pki/node\.key`, "0"},
	} {
		c.node(name).expect([]fixture.Check{
			{"what runs on " + name, units, want[0]},
			{"the keys of " + name, keys, want[1]},
			{"the passwords of " + name, passwords, want[2]},
			{"what failed on " + name, "systemctl --failed --plain --no-legend", ""},
		})
	}
	c.verified("nothing was done", c.nodes, nil)
	c.node("pgsql-b1").expect([]fixture.Check{
		{"what everybody is told of the cluster", "runuser -u nobody -- firstboot status | sed -n 's/^\\(pgsql-n[12]\\) .*/\\1/p' | xargs", "pgsql-n1 pgsql-n2"},
		{"what everybody may not ask", "runuser -u nobody -- firstboot verify 2>&1 | grep --count 'run this as root'", "1"},
	})
	c.cutLeader(c.openLedger(0))
}
