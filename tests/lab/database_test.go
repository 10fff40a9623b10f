//go:build lab

package lab

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"banyan/tests/fixture"
)

// odd is a name that SQL, psql, libpq and a shell would each take for something else.
const odd = `O"d'd=x $$ :app \q; drop role app; --`

// passwords are those of roles.
type passwords struct{ app, odd string }

// databases is a section of a seed that makes roles and databases, and further ones. All
// statements are logged and counted, so that what is not was kept out.
func databases(p passwords, roles, databases string) string {
	quoted := strings.ReplaceAll(odd, `'`, `''`)
	return fmt.Sprintf(`postgresql:
  parameters: {log_statement: all, log_min_duration_statement: 0}
  roles:
    - {name: app, password: %s, options: [LOGIN, CREATEDB], connection_limit: 5, in_role: [pg_monitor, team]}
    - {name: team, options: [NOLOGIN]}
    - {name: '%s', password: %s}
%s  databases:
    - {name: app, owner: app, extensions: [pg_trgm, earthdistance]}
    - {name: '%[2]s', owner: '%[2]s', encoding: LATIN1, locale: C, extensions: [pg_stat_statements]}
%[5]s`, p.app, quoted, p.odd, roles, databases)
}

const (
	// roles are those of the seed.
	roles = `select string_agg(concat_ws(' ', rolname, rolcanlogin, rolcreatedb, rolconnlimit), ', ' order by rolname)
		from pg_authid where oid >= 16384 and rolname not in ('replicator', 'rewind')`
	// rows tells when those of the catalogs were last written, and what was recorded.
	rows = `select (select array_agg((rolname, xmin) order by oid)::text from pg_authid) ||
		(select array_agg((datname, xmin) order by oid)::text from pg_database) ||
		(select array_agg((a, a.xmin) order by object)::text from banyan.applied a)`
)

// What the seed wants in the databases is made once, and again where a later seed has it
// otherwise; what a DBA has changed stays.
func TestDatabases(t *testing.T) {
	t.Parallel()
	p := passwords{rand.Text(), rand.Text()}
	n := born(t, databases(p, "", ""))
	n.checkDatabases(p)

	was := n.sql(rows)
	n.sh("firstboot")
	if now := n.sql(rows); now != was {
		t.Errorf("a second run has written; there was\n%s\nand there is\n%s", was, now)
	}

	// A boot leaves what a DBA has changed.
	n.sql("alter role app connection limit 7; revoke team from app; alter database app owner to postgres; select 1")
	n.in("app", "drop extension pg_trgm")
	n.stop()
	n.start()
	n.waitReady()
	n.checkChanged("after a boot")

	// And so does a run that makes something else. What cannot be made keeps nothing else.
	late := rand.Text()
	n.reseed(databases(p, "    - {name: late, password: "+late+"}\n", "    - {name: late, owner: late, extensions: [no_such_extension, pg_trgm]}\n"))
	var said string
	arguments := arguments(t, time.Millisecond, func() { said = n.exits(1, "firstboot") })
	const wrong = `postgresql.databases[2].extensions[0]: "no_such_extension" is not installed: install its package`
	if status := n.sh("firstboot status || true"); !strings.Contains(said, wrong) || !strings.Contains(status, "no_such_extension") {
		t.Errorf("of an extension that is not installed is said\n%s\nand the status is\n%s", said, status)
	}
	n.checkChanged("after another seed")
	if got := n.in("late", "select string_agg(extname, ' ' order by extname) from pg_extension"); got != "pg_trgm plpgsql" {
		t.Errorf("beside an extension that is not installed were made %q", got)
	}
	if got := n.as("late", late, "late", "select current_user"); got != "late" {
		t.Errorf("a role of another seed is %q", got)
	}
	verifiers := fixture.Secrets{"app": p.app, "odd": p.odd, "late": late}
	for _, name := range []string{"app", odd, "late"} {
		verifiers["verifier of "+name] = n.in("postgres", `select rolpassword from pg_authid where rolname = '`+strings.ReplaceAll(name, "'", "''")+`'`)
	}
	for where, text := range map[string]string{
		"the arguments of processes": arguments, "what firstboot says": said,
		"the journal":        n.sh("journalctl --all --no-pager --output=verbose"),
		"PostgreSQL's log":   n.sh("cat /var/log/postgresql/*"),
		"pg_stat_statements": n.in(odd, "select string_agg(query, ' ') from pg_stat_statements"),
	} {
		if leaked := verifiers.Leaked(text); leaked != nil {
			t.Errorf("%s: there is %q", where, leaked)
		}
	}
	if logged := n.sh("grep --count --text 'alter role app connection limit 7' /var/log/postgresql/* || true"); logged == "0" {
		t.Error("PostgreSQL logs no statement at all, so that it proves nothing that some are missing")
	}

	// A role's new password is set, and nothing else of it was to be.
	p.app = rand.Text()
	n.reseed(databases(p, "", ""))
	n.sh("firstboot")
	if got := n.as("app", p.app, "app", "select current_user"); got != "app" {
		t.Errorf("with its new password a role is %q", got)
	}
	if got := n.sql("select count(*) from pg_authid where rolname = 'late'"); got != "1" {
		t.Error("a role that the seed no longer has was dropped")
	}
	n.waitReady()
}

func (n *node) checkDatabases(p passwords) {
	n.t.Helper()
	if got, want := n.sql(roles), odd+" t f -1, app t t 5, team f f -1"; got != want {
		n.t.Errorf("the roles are\n%s, want\n%s", got, want)
	}
	for _, test := range []struct{ database, query, want string }{
		{"app", "select string_agg(extname, ' ' order by extname) from pg_extension", "cube earthdistance pg_trgm plpgsql"},
		{"app", "select pg_encoding_to_char(encoding) || ' ' || datcollate || ' ' || pg_get_userbyid(datdba) from pg_database where datname = current_database()", "UTF8 ru_RU.UTF-8 app"},
		{odd, "select pg_encoding_to_char(encoding) || ' ' || datcollate || ' ' || pg_get_userbyid(datdba) from pg_database where datname = current_database()", "LATIN1 C " + odd},
		{odd, "select count(*) > 0 from pg_stat_statements", "t"},
		{"postgres", "select string_agg(pg_get_userbyid(roleid), ' ' order by 1) from pg_auth_members where member = 'app'::regrole", "pg_monitor team"},
		{"postgres", "select has_schema_privilege('app', 'banyan', 'usage') or has_table_privilege('app', 'banyan.applied', 'select')", "f"},
		{"postgres", "select count(*) || ' ' || count(distinct at) from banyan.applied", "10 1"},
	} {
		if got := n.in(test.database, test.query); got != test.want {
			n.t.Errorf("%s: got %q, want %q", test.query, got, test.want)
		}
	}
	for name, password := range map[string]string{"app": p.app, odd: p.odd} {
		if got := n.as(name, password, name, "select current_user"); got != name {
			n.t.Errorf("%s logs in as %q", name, got)
		}
	}
}

func (n *node) checkChanged(when string) {
	n.t.Helper()
	const changed = `select rolconnlimit || ' ' || (select string_agg(roleid::regrole::text, ' ') from pg_auth_members where member = a.oid) || ' ' ||
		(select datdba::regrole from pg_database where datname = 'app') from pg_authid a where rolname = 'app'`
	if got := n.sql(changed); got != "7 pg_monitor postgres" {
		n.t.Errorf("%s what a DBA has changed is %q", when, got)
	}
	if got := n.in("app", "select count(*) from pg_extension where extname = 'pg_trgm'"); got != "0" {
		n.t.Errorf("%s an extension is there that a DBA has dropped", when)
	}
}

// in runs a query of the superuser's in a database.
func (h *host) in(database, query string) string {
	h.t.Helper()
	return h.sh("export PGDATABASE=" + shellQuote(database) + "\nrunuser -u postgres -- psql -XAtq <<'EOF'\n" + query + "\nEOF")
}

// as runs a query of a role that logs in with its password.
func (h *host) as(role, password, database, query string) string {
	h.t.Helper()
	return h.sh("export PGHOST=127.0.0.1 PGUSER=" + shellQuote(role) + " PGPASSWORD=" + password + " PGDATABASE=" + shellQuote(database) + "\npsql -XAtq <<'EOF'\n" + query + "\nEOF")
}

func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
