//go:build lab

package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"banyan/internal/check"
	"banyan/tests/fixture"
)

// TestStandbyCluster has a cluster, of its own authority, follow the leader of another one,
// and stand on its own once it is told to.
func TestStandbyCluster(t *testing.T) {
	t.Parallel()
	sites := newSites(t, 2)
	one := func(site int) []member { return []member{{fmt.Sprintf("pgsql-s%d", site+1), site, "postgresql, etcd"}} }
	primary := newClusterAt(t, sites, plan{
		members: one(0),
		patroni: "  slots: {standby: {type: physical}}\n",
		hba:     "hostssl replication,postgres replicator,rewind " + sites[1].prefix.Masked().String() + " scram-sha-256",
	})
	leader := primary.nodes[0]
	s := primary.minted.Seeds[leader.name]
	indent := func(pem string) string { return strings.ReplaceAll(strings.TrimSpace(pem), "\n", "\n      ") }
	standby := newClusterAt(t, sites, plan{
		members: one(1),
		patroni: fmt.Sprintf("  standby_cluster:\n    host: %s\n    primary_slot_name: standby\n    sslrootcert: |\n      %s\n", leader.addr.Addr(), indent(string(s.PKI.CA))),
		more: fmt.Sprintf("secrets: {superuser_password: %s, replication_password: %s, rewind_password: %s}\n",
			s.Secrets.SuperuserPassword.Reveal(), s.Secrets.ReplicationPassword.Reveal(), s.Secrets.RewindPassword.Reveal()),
	})
	follower := standby.nodes[0]
	primary.plant(leader)
	standby.plant(follower) // before there is anybody to follow
	primary.waitReady()
	until(t, birthTime, func(ctx context.Context) error { // its first attempts may have failed for want of the other
		_, err := follower.container.run(ctx, "firstboot status --wait >&2")
		return err
	})
	leader.sql("create table kept (word text); insert into kept values ('banyan') returning word")
	follower.awaits("what the other cluster has written", `su --login postgres --command "psql -tAc 'select word from kept'"`, "banyan")
	follower.expect([]fixture.Check{{"whom it follows", "firstboot status", "(?s).*standby.leader.*"}})
	if r, err := follower.verify(t.Context()); err != nil || slices.ContainsFunc(r.Checks, func(c check.Check) bool { return c.State == check.Fail }) {
		t.Errorf("what is wrong with it: %v\n%s", err, r)
	}

	follower.sh("su --login --command 'patronictl edit-config --force --set standby_cluster=null' >&2")
	follower.awaits("standing on its own", `su --login postgres --command "psql -tAc 'select pg_is_in_recovery()'"`, "f")
	if got := follower.sql("insert into kept values ('alone'); select count(*) from kept"); got != "2" {
		t.Errorf("on its own it has %s rows", got)
	}
}
