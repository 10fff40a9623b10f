package database

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"banyan/internal/scram"
	"banyan/seeds"
)

// wanted is one thing that the seed wants in the databases: a role, a membership, a
// database or an extension.
type wanted struct {
	id     string // what it is, as people read it; the digest is kept under it
	key    string // where the seed has it
	digest string // of all that the seed says of it
	of     string // the id of the role or database that it belongs to, or ""

	role      *seeds.Role // with a verifier for its password
	group     string      // of which the role of is a member
	database  *seeds.Database
	extension string
}

// everything is all that the seed wants: roles and what they are members of, then
// databases and their extensions.
func everything(s seeds.Seed) ([]wanted, error) {
	var all, memberships []wanted
	for i, role := range s.PostgreSQL.Roles {
		key := fmt.Sprintf("postgresql.roles[%d]", i)
		if err := verify(&role, s.Cluster); err != nil {
			return nil, fmt.Errorf("%s.password: %w", key, err)
		}
		id := roleID(role.Name)
		all = append(all, wanted{
			id: id, key: key, role: &role,
			digest: digest(role.Password.Reveal(), sorted(role.Options), role.ConnectionLimit),
		})
		for j, group := range role.InRole {
			memberships = append(memberships, wanted{
				id: id + " in " + identifier(group), key: fmt.Sprintf("%s.in_role[%d]", key, j), of: id, role: &role, group: group, digest: digest(),
			})
		}
	}
	all = append(all, memberships...)
	for i, database := range s.PostgreSQL.Databases {
		key := fmt.Sprintf("postgresql.databases[%d]", i)
		id := "database " + identifier(database.Name)
		all = append(all, wanted{
			id: id, key: key, database: &database,
			digest: digest(database.Owner, database.Encoding, database.Locale),
		})
		for j, extension := range database.Extensions {
			all = append(all, wanted{
				id: "extension " + identifier(extension) + " in " + id, key: fmt.Sprintf("%s.extensions[%d]", key, j), of: id,
				database: &database, extension: extension, digest: digest(),
			})
		}
	}
	return all, nil
}

func roleID(name string) string { return "role " + identifier(name) }

// verify puts a verifier in the place of a role's password, if it has one that is plain
// text: a seed that `build seed mint` has made holds verifiers already.
//
// The salt follows from the cluster and the role, so that the same seed gives the same
// verifier at every run. It keeps the verifiers of two of them apart, which is what a
// salt is for; a secret it never is: the server tells it to whoever tries to log in.
func verify(role *seeds.Role, c seeds.Cluster) (err error) {
	if role.Password == "" || scram.IsVerifier(role.Password) {
		return nil
	}
	salt := sha256.Sum256([]byte(digest("salt", c.ID, c.Name, role.Name)))
	role.Password, err = scram.Verifier(role.Password, salt[:scram.SaltSize])
	return err
}

// digest is of values and not of the SQL that is made of them, so that another release
// which writes it otherwise does not do everything again.
func digest(values ...any) string {
	text, err := json.Marshal(values)
	if err != nil {
		panic(err) // of texts and numbers there is none
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func sorted[T ~string](list []T) []T { return slices.Sorted(slices.Values(list)) }

// identifier writes a name as SQL takes it, whatever it is made of.
func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal writes a text as SQL takes it with standard_conforming_strings, which a
// session sets: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
