package seeds

import (
	"strings"
	"testing"
)

// TestOwnSecrets: a seed has to have the secrets of the nodes that it is for, and no
// others.
func TestOwnSecrets(t *testing.T) {
	const etcd = `version: banyan/v1
cluster: {name: c}
sites: [{name: a, subnet: 10.0.0.0/24, vips: [10.0.0.100]}]
dns: {name: c, zone: example.org, auth: gss-tsig}
nodes:
  - {name: n1, address: 10.0.0.1/24, services: [postgresql, etcd]}
  - {name: n2, address: 10.0.0.2/24, services: [etcd]}
  - {name: n3, address: 10.0.0.3/24, services: [witness]}
  - {name: n4, address: 10.0.0.4/24, services: [haproxy]}
`
	raft := strings.NewReplacer("{name: c}\n", "{name: c, dcs: raft}\n", ", etcd]", "]", "[etcd]", "[haproxy]").Replace(etcd)
	const passwords = "secrets: {superuser_password: Hush-superuser, replication_password: Hush-replicator, rewind_password: Hush-rewind, dns_password: Hush-password"
	for _, c := range []struct{ node, cluster, secrets, missing string }{
		{"n1", etcd, "", `missing "secrets"`},
		{"", etcd, "", `missing "secrets"`},
		{"n1", etcd, passwords + "}", ""},
		{"n1", etcd, strings.Replace(passwords, "dns_password", "# ", 1) + "\n}", `missing "dns_password"`},
		{"n2", etcd, "", ""},
		{"n3", etcd, "", ""},
		{"n4", etcd, "", ""},
		{"n1", raft, passwords + "}", `missing "raft_password"`},
		{"n1", raft, passwords + ", raft_password: Hush-raft}", ""},
		{"n2", raft, "", ""},
		{"n3", raft, "", `missing "secrets"`},
		{"n3", raft, "secrets: {raft_password: Hush-raft}", ""},
		{"", raft, passwords + "}", `missing "raft_password"`},
	} {
		text := c.cluster + c.secrets + "\n"
		if c.node != "" {
			text += "node: " + c.node + "\n"
		}
		if _, err := Parse("seed.yaml", []byte(text)); (err == nil) != (c.missing == "") || err != nil && !strings.Contains(err.Error(), c.missing) {
			t.Errorf("of %q with %q: got %v, want %q", c.node, c.secrets, err, c.missing)
		}
	}
}
