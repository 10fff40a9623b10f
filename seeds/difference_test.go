package seeds

import (
	"slices"
	"strings"
	"testing"
)

// cluster parses a cluster file of two nodes with more below it.
func cluster(t *testing.T, more string) *Seed {
	t.Helper()
	s, _, err := ParseCluster("cluster.yaml", []byte(`version: banyan/v1
cluster: {name: pgsql-cl}
nodes:
  - {name: pgsql-n1, address: 172.16.32.11/24}
  - {name: pgsql-n2, address: 172.16.32.12/24}
  - {name: pgsql-n3, address: 172.16.32.13/24}
`+more))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDiff(t *testing.T) {
	from := cluster(t, "patroni: {ttl: 40, synchronous_node_count: 1}\nsecrets: {superuser_password: the-old-one, rewind_password: the-same-one}\n"+
		"system: {sysctl: {vm.swappiness: 1}, users: [{name: dba, hashed_passwd: $6$aaaaaaaa}]}\npostgresql: {pg_hba: [host all all 10.0.0.0/8 scram-sha-256], parameters: {primary_conninfo: host=a password=the-old-one}}\n")
	to := cluster(t, "patroni: {ttl: 60, synchronous_node_count: 1}\nsecrets: {superuser_password: the-new-one, rewind_password: the-same-one, replication_password: added-to-it}\n"+
		"system: {sysctl: {vm.swappiness: 10}, users: [{name: dba, hashed_passwd: $6$bbbbbbbb}]}\npostgresql: {port: 5433, parameters: {primary_conninfo: host=a password=the-new-one}}\nnetwork: {bonds: [{name: bond0, interfaces: [{name: eno1}, {name: eno2}]}], interface: {name: bond0}}\n")
	to.Nodes[2].Name = "pgsql-n4"
	to.Nodes[1].Patroni.Tags.NoSync = true
	var got []string
	for _, d := range Diff(from, to) {
		got = append(got, strings.TrimSpace(strings.Join(d.Nodes, ",")+" "+d.Path+": "+d.Change()))
	}
	want := []string{
		"secrets.superuser_password: changed (secret)",
		"secrets.replication_password: set to (secret)",
		"pgsql-n1,pgsql-n2 postgresql.port: 5432 -> 5433",
		"pgsql-n1,pgsql-n2 postgresql.pg_hba: no longer [host all all 10.0.0.0/8 scram-sha-256]",
		"pgsql-n1,pgsql-n2 postgresql.parameters.primary_conninfo: changed host=a password=(secret)",
		"pgsql-n1,pgsql-n2 patroni.ttl: 40 -> 60",
		"pgsql-n2 patroni.tags.nosync: set to true",
		"pgsql-n1,pgsql-n2 system.users[dba].hashed_passwd: changed (secret)",
		"pgsql-n1,pgsql-n2 system.sysctl.vm.swappiness: 1 -> 10",
		"pgsql-n1,pgsql-n2 network.interface.name: set to bond0",
		"pgsql-n1,pgsql-n2 network.bonds[bond0].name: set to bond0",
		"pgsql-n4 nodes[pgsql-n4]: set to 172.16.32.13/24",
		"pgsql-n3 nodes[pgsql-n3]: no longer 172.16.32.13/24",
	}
	for _, w := range want {
		w = strings.Replace(strings.Replace(w, "pgsql-n4 nodes", "nodes", 1), "pgsql-n3 nodes", "nodes", 1)
		if !slices.Contains(got, w) {
			t.Errorf("no %q in\n%s", w, strings.Join(got, "\n"))
		}
	}
	for _, g := range got {
		if strings.Contains(g, "the-") || strings.Contains(g, "$6$") || strings.Contains(g, "rewind") {
			t.Errorf("shows a secret, or what is the same: %s", g)
		}
	}
	if same := Diff(from, from); len(same) > 0 {
		t.Errorf("a seed differs from itself: %+v", same)
	}
}
