package seeds

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// wrongIdent says what is wrong with a line of pg_ident.conf, or "".
// https://www.postgresql.org/docs/current/auth-username-maps.html
func wrongIdent(line string) string {
	if strings.Count(line, `"`)%2 != 0 {
		return "a quote is not closed"
	}
	fields := identField.FindAllString(hbaComment.ReplaceAllString(line, "$1"), -1)
	switch {
	case len(fields) > 0 && strings.HasPrefix(fields[0], "include"):
		return "this includes a file, which the node does not have: write its lines here"
	case len(fields) != 3:
		return fmt.Sprintf("a line has 3 fields and this one has %d: MAPNAME SYSTEM-USERNAME DATABASE-USERNAME", len(fields))
	}
	return ""
}

var identField = regexp.MustCompile(`(?:"[^"]*"|[^\s"])+`)

// checkDirectories: what is in the data directory is initdb's and PostgreSQL's own.
func (d document) checkDirectories(prefix string, p PostgreSQL) {
	dataDir, walDir := prefix+"data_dir", prefix+"wal_dir"
	d.checkDirectory(dataDir, p.DataDir)
	d.checkDirectory(walDir, p.WALDir)
	data := p.DataDir
	if data == "" {
		data = fmt.Sprintf("/var/lib/postgresql/%d/main", p.Version)
	}
	if p.WALDir != "" && (p.WALDir == data || strings.HasPrefix(p.WALDir, data+"/") || strings.HasPrefix(data, p.WALDir+"/")) {
		d.Refuse(d.given(walDir, dataDir), "wal_dir and data_dir hold one another: write two directories beside each other")
	}
	if p.StatsTempSize < 1<<20 || p.StatsTempSize > 64<<30 {
		d.Refuse(prefix+"stats_temp_size", "%s is out of range: use 1MB to 64GB", p.StatsTempSize)
	}
}

// databaseLocale is a locale as initdb takes it.
var databaseLocale = regexp.MustCompile(`^(C|POSIX|[a-z]{2,3}_[A-Z]{2})(\.[A-Za-z0-9-]+)?(@[a-z]+)?$`)

// encodings are those that a database may have; PostgreSQL minds no case in them.
// https://www.postgresql.org/docs/current/multibyte.html
var encodings = []string{
	"EUC_CN", "EUC_JP", "EUC_JIS_2004", "EUC_KR", "EUC_TW", "ISO_8859_5", "ISO_8859_6", "ISO_8859_7", "ISO_8859_8", "KOI8R", "KOI8U",
	"LATIN1", "LATIN2", "LATIN3", "LATIN4", "LATIN5", "LATIN6", "LATIN7", "LATIN8", "LATIN9", "LATIN10", "MULE_INTERNAL", "SQL_ASCII",
	"UTF8", "WIN866", "WIN874", "WIN1250", "WIN1251", "WIN1252", "WIN1253", "WIN1254", "WIN1255", "WIN1256", "WIN1257", "WIN1258",
}

func (d document) checkEncoding(path, encoding string) {
	known := strings.NewReplacer("UTF-8", "UTF8", "UNICODE", "UTF8").Replace(strings.ToUpper(encoding))
	if !slices.Contains(encodings, known) {
		d.Refuse(path, "%s is not an encoding of a database%s", quote(encoding), meant(encoding, encodings, ", such as UTF8 or WIN1251"))
	}
}

func (d document) checkDatabaseLocale(path, locale string) {
	if !databaseLocale.MatchString(locale) {
		d.Refuse(path, "%s is not a locale, such as ru_RU.UTF-8 or C", quote(locale))
	}
}

func (d document) checkInitdb(prefix string, i Initdb) {
	d.checkEncoding(prefix+"encoding", i.Encoding)
	d.checkDatabaseLocale(prefix+"locale", i.Locale)
}

// longestName is NAMEDATALEN - 1 of PostgreSQL, which cuts off the rest.
const longestName = 63

func (d document) checkIdentifier(path, name string) {
	if name == "" || len(name) > longestName {
		d.Refuse(path, "%s cannot be a name: PostgreSQL takes 1 to %d bytes", quote(name), longestName)
	}
}

// The roles that Patroni itself uses; their passwords are under secrets.
const (
	SuperuserRole   = "postgres"
	ReplicationRole = "replicator"
	RewindRole      = "rewind"
)

var ownRoles = map[string]string{
	SuperuserRole: "superuser_password", ReplicationRole: "replication_password", RewindRole: "rewind_password",
}

var (
	scramVerifier = regexp.MustCompile(`^SCRAM-SHA-256\$[1-9][0-9]*:[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$`)
	md5Verifier   = regexp.MustCompile(`^md5[0-9a-f]{32}$`)
)

func (d document) checkRoles(path string, roles []Role) {
	if !d.HasKey(path) {
		return
	}
	seen := map[string]bool{}
	for i, role := range roles {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch key := ownRoles[role.Name]; {
		case key != "":
			d.Refuse(at+".name", "%s is Patroni's own role: its password is secrets.%s", role.Name, key)
		case strings.HasPrefix(role.Name, "pg_"), role.Name == "public", role.Name == "none":
			d.Refuse(at+".name", "%s is a name that PostgreSQL keeps for itself: choose another", quote(role.Name))
		case seen[role.Name]:
			d.Refuse(at+".name", "role %s is listed twice: remove one of them", quote(role.Name))
		default:
			d.checkIdentifier(at+".name", role.Name)
		}
		seen[role.Name] = true
		d.checkRolePassword(at+".password", role.Password.Reveal())
		d.checkRoleOptions(at+".options", role.Options)
		for j, group := range role.InRole {
			if group == role.Name {
				d.Refuse(fmt.Sprintf("%s.in_role[%d]", at, j), "a role cannot be a member of itself")
			}
		}
		checkTwice(d, at+".in_role", role.InRole, quote)
		d.checkRange(at+".connection_limit", int64(role.ConnectionLimit), -1, math.MaxInt32, "")
	}
}

// checkRolePassword: a verifier that is not one would become the password itself.
func (d document) checkRolePassword(path, password string) {
	switch {
	case md5Verifier.MatchString(password):
		d.Refuse(path, "md5 is no longer safe: write plain text, or a SCRAM verifier")
	case strings.HasPrefix(password, "SCRAM-SHA-256$") && !scramVerifier.MatchString(password):
		d.Refuse(path, "this begins like a SCRAM verifier and is none: write all that pg_authid shows, SCRAM-SHA-256$4096:...$...:...")
	case utf8.RuneCountInString(password) < shortestPassword:
		d.Refuse(path, "the password is shorter than %d characters", shortestPassword)
	}
}

func (d document) checkRoleOptions(path string, options []RoleOption) {
	checkTwice(d, path, options, plain)
	for i, option := range options {
		opposite := RoleOption("NO" + string(option))
		if positive, negated := strings.CutPrefix(string(option), "NO"); negated {
			opposite = RoleOption(positive)
		}
		if slices.Contains(options[:i], opposite) {
			d.Refuse(fmt.Sprintf("%s[%d]", path, i), "%s contradicts %s: remove one of them", option, opposite)
		}
	}
}

// extensionName is the name of an extension's control file.
var extensionName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`)

func (d document) checkDatabases(path string, p PostgreSQL) {
	if !d.HasKey(path) {
		return
	}
	owners, roles := []string{SuperuserRole}, map[string]bool{SuperuserRole: true}
	for _, role := range p.Roles {
		owners, roles[role.Name] = append(owners, role.Name), true
	}
	seen := map[string]bool{}
	for i, database := range p.Databases {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch database.Name {
		case "postgres", "template0", "template1":
			d.Refuse(at+".name", "the database %s is there from the beginning: list others only", database.Name)
		default:
			d.checkIdentifier(at+".name", database.Name)
		}
		if seen[database.Name] {
			d.Refuse(at+".name", "database %s is listed twice: remove one of them", quote(database.Name))
		}
		seen[database.Name] = true
		if !p.Existing && !roles[database.Owner] { // an existing PostgreSQL has roles of its own
			d.Refuse(at+".owner", "there is no role %s%s", quote(database.Owner), meant(database.Owner, owners, ": list it under roles"))
		}
		d.checkEncoding(at+".encoding", database.Encoding)
		d.checkDatabaseLocale(at+".locale", database.Locale)
		for j, extension := range database.Extensions {
			if !extensionName.MatchString(extension) {
				d.Refuse(fmt.Sprintf("%s.extensions[%d]", at, j), "%s is not the name of an extension, such as pg_stat_statements", quote(extension))
			}
		}
		checkTwice(d, at+".extensions", database.Extensions, quote)
	}
}
