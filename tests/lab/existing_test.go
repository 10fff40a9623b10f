//go:build lab

package lab

import (
	"strings"
	"testing"

	"banyan/tests/fixture"
)

// existing is a section of a seed whose first node holds data already.
const existing = "postgresql: {existing: true, roles: [{name: team, options: [NOLOGIN]}]}\n"

// programs names PostgreSQL's version, programs and data directory in a script.
const programs = "V=$(ls /usr/lib/postgresql)\nB=/usr/lib/postgresql/$V/bin\nD=/var/lib/postgresql/$V/main\n"

// A cluster that is to begin with data which is there begins with nothing else, and takes
// that data over as it is.
func TestExisting(t *testing.T) {
	for name, test := range map[string]struct {
		make  string // data, and a server on it
		leave string // what becomes of the server before the data is taken over
		owner string // the superuser
		cut   bool   // the power is cut while the data is being prepared
	}{
		"crashed": {
			make: `runuser -u postgres -- $B/initdb --username=admin --locale=C.UTF-8 --auth=trust -D $D >&2
runuser -u postgres -- $B/pg_ctl -D $D -w -l /tmp/log -o "-c max_prepared_transactions=3 -c wal_level=logical -c max_replication_slots=12" start >&2`,
			leave: "kill -KILL $(head -n 1 $D/postmaster.pid)",
			owner: "admin", cut: true,
		},
		"running": {
			make:  "pg_createcluster --port 5433 $V main >&2\nsystemctl daemon-reload\nsystemctl start postgresql@$V-main.service",
			leave: "systemctl is-active postgresql@$V-main.service >&2; test ! -e $D/postgresql.conf",
			owner: "postgres",
		},
		"stopped": {
			make: `runuser -u postgres -- $B/initdb --auth=trust -D $D >&2
runuser -u postgres -- $B/pg_ctl -D $D -w -l /tmp/log start >&2`,
			leave: "runuser -u postgres -- $B/pg_ctl -D $D -w stop >&2",
			owner: "postgres",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, newNetwork(t, prefix), "pgsql-n1", address(11))
			n := &node{h, fixture.Mint(t, clusterFile(h, existing))}
			n.plant(n.cluster.Seeds[n.name].Text)
			n.exits(1, "firstboot status --wait")
			const refused = "firstboot: birth: postgresql.existing: .* holds no data to begin with: put it there, or .*"
			n.expect([]fixture.Check{
				{"what is said", "journalctl --boot --unit banyan-firstboot --output cat | grep 'birth: postgresql.existing'", refused},
				{"Patroni", "systemctl is-active patroni.service || true", "inactive"},
				{"the data directory", "ls -A /var/lib/postgresql/*/main 2>/dev/null | cat", ""},
			})

			n.sh(programs + test.make + `
cd /; psql="runuser -u postgres -- psql -Xq --username=` + test.owner + ` --dbname=postgres --port=$(sed -n 4p $D/postmaster.pid)"
$psql <<'EOF'
create table kept as select generate_series(1, 1000) as number;
create role replicator nologin;
EOF
` + test.leave)
			if test.cut {
				n.sh("systemctl restart --no-block banyan-firstboot.service; until pgrep --full -- ' --single ' >/dev/null; do sleep 0.02; done")
				n.kill()
				n.start()
			} else {
				n.sh("firstboot >&2")
			}
			n.waitReady()
			n.checkAdopted()
			n.stop()
			n.start()
			n.waitReady()
			n.checkAdopted()
		})
	}
}

func (n *node) checkAdopted() {
	n.t.Helper()
	if got := n.sql("select count(*) from kept"); got != "1000" {
		n.t.Errorf("of 1000 rows there are %s", got)
	}
	const can = `select string_agg(concat_ws(' ', rolname, rolcanlogin, rolsuper, rolreplication, rolpassword like 'SCRAM-SHA-256$%'), ', ' order by rolname)
		from pg_authid where rolname in ('postgres', 'replicator', 'rewind', 'team')`
	if got := n.sql(can); !strings.HasPrefix(got, "postgres t t ") || !strings.HasSuffix(got, ", replicator t f t t, rewind t f f t, team f f f") {
		n.t.Errorf("the roles are %q", got)
	}
	for _, function := range []string{"pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)", "pg_read_binary_file(text)", "pg_read_binary_file(text, bigint, bigint, boolean)"} {
		if got := n.sql("select has_function_privilege('rewind', 'pg_catalog." + function + "', 'execute')"); got != "t" {
			n.t.Errorf("the role rewind may not execute %s", function)
		}
	}
	n.expect([]fixture.Check{
		{"Debian's own servers", "systemctl list-units --plain --no-legend --state=active 'postgresql@*'", ""},
		{"data that was moved", "ls -d /var/lib/postgresql/*/main.* 2>/dev/null || true", ""},
		{"the role replicator", "PGPASSWORD=" + n.cluster.Secrets["replication_password"] + ` psql -XAtq "host=127.0.0.1 port=5432 user=replicator replication=database dbname=postgres" -c 'show transaction_read_only' 2>&1 || true`, "o(n|ff)"},
		{"the journal", "journalctl --all --quiet --output cat --grep 'SCRAM-SHA-256\\$' | cat", ""},
	})
	if leaked := n.cluster.Secrets.Leaked(n.sh("journalctl --all --no-pager --output=verbose")); leaked != nil {
		n.t.Errorf("the journal shows %q", leaked)
	}
}

// The other nodes wait for the first one's data, and become replicas of it.
func TestExistingReplicas(t *testing.T) {
	t.Parallel()
	c := newClusterAt(t, newSites(t, 1), plan{members: three, postgresql: "  existing: true\n  roles: [{name: team, options: [NOLOGIN]}]\n"})
	c.plant(c.nodes...)
	first := c.nodes[0]
	for _, n := range c.nodes[1:] {
		n.says("waits for the first node, with whose data the cluster begins")
	}
	first.exits(1, "firstboot status --wait")
	first.sh(programs + `runuser -u postgres -- $B/initdb --auth=trust -D $D >&2
echo 'create table kept as select generate_series(1, 1000) as number' | runuser -u postgres -- $B/postgres --single -D $D postgres >&2`)
	first.shWithin(birthTime, "firstboot >&2")
	c.waitReady()
	for _, n := range c.nodes {
		n.checkAdopted()
	}
	const follow = `su --login postgres --command "psql -tAc \"select count(*) from pg_stat_replication where usename = 'replicator'\""`
	first.awaits("how many replicas follow", follow, "2")
}
