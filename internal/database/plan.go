package database

import (
	"fmt"
	"slices"
	"strings"

	"banyan/seeds"
)

// task is what is done for one thing that the seed wants.
type task struct {
	wanted
	sql  string // "" where it only has to be noted that it is there
	does string // in words
}

// plan is what a run does, in this order.
type plan struct {
	roles      []task          // in the database postgres, in one transaction
	databases  []task          // one by one: CREATE DATABASE cannot be in a transaction
	extensions []task          // one transaction for those of a database, which stand together
	notes      []string        // what stays otherwise than the seed has it
	problems   []error         // what cannot be made, by its key of the seed
	unmade     map[string]bool // the ids of that
}

// planner makes a plan.
type planner struct {
	plan
	state
	fresh map[string]bool // ids of roles and databases that are made, and were not there
}

// planOf compares what the seed wants with what the server has. What was made of the
// same words before is left, whatever has become of it: a DBA may have changed it since,
// or dropped it. What belongs to a role or a database that was not there is made with it.
func planOf(all []wanted, s state) plan {
	p := planner{state: s, fresh: map[string]bool{}, plan: plan{unmade: map[string]bool{}}}
	for _, w := range all {
		switch {
		case s.Digests[w.id] == w.digest && !p.fresh[w.of]:
		case p.unmade[w.of]:
			p.unmade[w.id] = true
		case w.group != "":
			p.membership(w)
		case w.role != nil:
			p.role(w)
		case w.extension != "":
			p.extension(w)
		default:
			p.database(w)
		}
	}
	return p.plan
}

// refuse notes what keeps something from being made, and at which key of the seed.
func (p *planner) refuse(w wanted, key, format string, values ...any) {
	p.problems = append(p.problems, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, values...)))
	p.unmade[w.id] = true
}

const createRole = "there is no role %s: list it under postgresql.roles, or create it"

// hasRole tells whether there is a role of that name, or will be.
func (p *planner) hasRole(name string) bool {
	return slices.Contains(p.Roles, name) || p.fresh[roleID(name)]
}

func (p *planner) role(w wanted) {
	verb, does := "ALTER", "set "
	if !p.hasRole(w.role.Name) {
		verb, does = "CREATE", "made "
		p.fresh[w.id] = true
	}
	p.roles = append(p.roles, task{w, roleSQL(verb, *w.role), does + w.id})
}

func (p *planner) membership(w wanted) {
	switch {
	case !p.hasRole(w.group):
		p.refuse(w, w.key, createRole, identifier(w.group))
	case !p.hasRole(w.role.Name):
		p.refuse(w, w.key, "%s was dropped after it had been made: take it out of the seed, or create it", w.of)
	default:
		sql := fmt.Sprintf("GRANT %s TO %s;", identifier(w.group), identifier(w.role.Name))
		p.roles = append(p.roles, task{w, sql, "granted " + identifier(w.group) + " to " + w.of})
	}
}

func (p *planner) database(w wanted) {
	d := *w.database
	if d.Owner != "" && !p.hasRole(d.Owner) {
		p.refuse(w, w.key+".owner", createRole, identifier(d.Owner))
		return
	}
	has, there := p.Databases[d.Name]
	switch {
	case !there:
		p.fresh[w.id] = true
		p.databases = append(p.databases, task{w, createDatabase(d, p.Databases["template1"]), "made " + w.id})
	case d.Owner != "" && d.Owner != has.Owner:
		sql := fmt.Sprintf("ALTER DATABASE %s OWNER TO %s;", identifier(d.Name), identifier(d.Owner))
		p.databases = append(p.databases, task{w, sql, "set the owner of " + w.id})
	default:
		p.databases = append(p.databases, task{wanted: w})
	}
	if there && !has.are(d) {
		p.notes = append(p.notes, fmt.Sprintf("%s: %s is there with encoding %s and locale %s, which stay", w.key, w.id, has.Encoding, has.Collate))
	}
}

func (p *planner) extension(w wanted) {
	_, there := p.Databases[w.database.Name]
	switch {
	case !there && !p.fresh[w.of]:
		p.refuse(w, w.key, "%s was dropped after it had been made: take it out of the seed, or create it", w.of)
	case !slices.Contains(p.Extensions, w.extension):
		p.refuse(w, w.key, "%s is not installed: install its package on every node that runs PostgreSQL; an image has those that its profile lists", identifier(w.extension))
	default:
		sql := fmt.Sprintf("CREATE EXTENSION IF NOT EXISTS %s CASCADE;", identifier(w.extension))
		p.extensions = append(p.extensions, task{w, sql, "made " + w.id})
	}
}

// roleSQL creates or alters a role. What the seed does not name stays as it is.
func roleSQL(verb string, r seeds.Role) string {
	var words strings.Builder
	for _, option := range r.Options {
		fmt.Fprintf(&words, " %s", option)
	}
	fmt.Fprintf(&words, " CONNECTION LIMIT %d", r.ConnectionLimit)
	if r.Password != "" {
		fmt.Fprintf(&words, " PASSWORD %s", literal(r.Password.Reveal()))
	}
	return fmt.Sprintf("%s ROLE %s WITH%s;", verb, identifier(r.Name), words.String())
}

// createDatabase copies template1, as CREATE DATABASE does, where a DBA may have left
// something for all databases; another encoding or locale than its own only the empty
// template0 lets a database have. LC_COLLATE and LC_CTYPE are LOCALE of PostgreSQL 13.
// https://www.postgresql.org/docs/current/manage-ag-templatedbs.html
func createDatabase(d seeds.Database, template settings) string {
	sql := "CREATE DATABASE " + identifier(d.Name)
	if d.Owner != "" {
		sql += " OWNER " + identifier(d.Owner)
	}
	if !template.are(d) {
		sql += " TEMPLATE template0"
		if d.Encoding != "" {
			sql += " ENCODING " + literal(d.Encoding)
		}
		if d.Locale != "" {
			sql += " LC_COLLATE " + literal(d.Locale) + " LC_CTYPE " + literal(d.Locale)
			if template.Provider != "" && template.Provider != libc {
				sql += " LOCALE_PROVIDER libc"
			}
		}
	}
	return sql + ";"
}

// libc is pg_database.datlocprovider of a database whose locale is the C library's, as
// those of the seed are.
const libc = "c"

// are tells whether a database with these settings has what the seed says of them.
func (s settings) are(d seeds.Database) bool {
	sameLocale := d.Locale == "" || (s.Provider == "" || s.Provider == libc) && plain(s.Collate) == plain(d.Locale) && plain(s.CType) == plain(d.Locale)
	return sameLocale && (d.Encoding == "" || plain(s.Encoding) == strings.ReplaceAll(plain(d.Encoding), "unicode", "utf8"))
}

// plain is a name of an encoding or a locale as the C library and PostgreSQL compare it.
func plain(name string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
}
