package ansible

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// nodeParameters are those that Patroni or the node sets, which a seed may not.
var nodeParameters = []string{"listen_addresses", "port", "cluster_name", "hot_standby", "hba_file", "ident_file", "config_file",
	"data_directory", "unix_socket_directories", "stats_temp_directory", "ssl", "ssl_ca_file", "ssl_cert_file", "ssl_key_file",
	"password_encryption"}

// entries are the items of a list that are mappings; what is not is reported.
func (im *importer) entries(from origin, v value) []value {
	if v.kind != list {
		im.warn(from, "expected a list")
		return nil
	}
	var entries []value
	for _, item := range v.items {
		at := origin{from.variable, item.at}
		if u, found := item.firstUnresolved(); found {
			im.needed(at, "", "cannot be resolved: %s", u.text)
		} else if item.kind != mapping {
			im.needed(at, "", "expected keys with values")
		} else {
			entries = append(entries, item)
		}
	}
	if len(v.items) == 0 {
		r, _ := tableRow(from.variable)
		im.note(&im.report.Taken, from.variable, from.at, r.Key, "it is empty")
	}
	return entries
}

// field is a single value of an entry, or "".
func field(v value, key string) string {
	item, _ := v.member(key)
	return item.text
}

// takeParameters writes the list as the map that it becomes in Patroni.
func takeParameters(im *importer, from origin, v value) {
	seen := map[string]place{}
	for _, entry := range im.entries(from, v) {
		at := origin{from.variable, entry.at}
		name := field(entry, "option")
		written, ok := entry.member("value")
		switch {
		case name == "" || !ok || written.kind != scalar && written.kind != null:
			im.needed(at, "", "expected an option and its value")
		case slices.Contains(nodeParameters, strings.ToLower(name)):
			im.none(at, "%s: the node sets it", shown(name))
		case written.text == "":
			im.needed(at, "postgresql.parameters", "%s has no value", shown(name))
		default:
			im.again(seen, name, at, "postgresql.parameters."+name)
			im.set(at, setting(written.text), "postgresql", "parameters", name)
		}
	}
}

// again notes that an earlier entry of an option counts no longer.
func (im *importer) again(seen map[string]place, name string, at origin, key string) {
	if earlier, twice := seen[name]; twice {
		im.changed(origin{at.variable, earlier}, key, "%s says %s again, which counts", at.at, shown(name))
	}
	seen[name] = at.at
}

var plainSetting = regexp.MustCompile(`^(true|false|0|-?[1-9][0-9]{0,14}|-?(0|[1-9][0-9]{0,14})\.[0-9]{1,15})$`)

// setting is a value of postgresql.conf: a number where it is one in YAML too, else text.
// The quotes that some values need in the playbook are YAML's.
func setting(s string) *yaml.Node {
	if plainSetting.MatchString(s) {
		return bare(s)
	}
	if len(s) > 1 && (s[0] == '\'' || s[0] == '"') && s[len(s)-1] == s[0] {
		var inner string
		if err := yaml.Unmarshal([]byte(s), &inner); err == nil {
			s = inner
		}
	}
	return text(s)
}

// takeEncryption: roles of today may have passwords by another algorithm.
func takeEncryption(im *importer, from origin, v value) {
	r, _ := tableRow(from.variable)
	if v.kind != scalar || v.text == "scram-sha-256" || v.text == "" {
		im.none(from, "%s", r.Note)
	} else {
		im.needed(from, "postgresql.pg_hba", "the node's own lines want scram-sha-256: roles with other passwords log in by your lines only")
	}
}

// sameHBA are lines that a node has by itself, before those of the seed.
var sameHBA = []string{
	"host all all 127.0.0.1/32 scram-sha-256",
	"host all all ::1/128 scram-sha-256",
	"local all all scram-sha-256",
}

func takeHBA(im *importer, from origin, v value) {
	lines := &yaml.Node{Kind: yaml.SequenceNode}
	for _, entry := range im.entries(from, v) {
		at := origin{from.variable, entry.at}
		or := func(key, fallback string) string { // as the playbook's template has it
			if s := field(entry, key); s != "" {
				return s
			}
			return fallback
		}
		kind, database, user, method := or("type", "host"), or("database", "all"), or("user", "all"), or("method", "md5")
		line := strings.Join(strings.Fields(strings.Join([]string{kind, database, user, field(entry, "address"), method, field(entry, "options")}, " ")), " ")
		superuser := user == "postgres" || user == im.word("patroni_superuser_username")
		switch {
		case kind == "local" && superuser && (method == "trust" || method == "peer"):
			im.none(at, "the node lets postgres in over the socket by peer")
			continue
		case slices.Contains(sameHBA, line):
			im.none(at, "the node has this line by itself")
			continue
		case kind == "local" && database == "all" && user == "all":
			im.changed(at, "postgresql.pg_hba", "the node's own line for local connections comes before it and asks for a password")
		case method == "trust":
			im.needed(at, "postgresql.pg_hba", "this line lets in without a password")
		}
		n := text(line)
		im.origins[n] = at
		lines.Content = append(lines.Content, n)
	}
	if len(lines.Content) > 0 {
		im.set(from, lines, "postgresql", "pg_hba")
	}
}

func takeIdent(im *importer, from origin, v value) {
	lines := &yaml.Node{Kind: yaml.SequenceNode}
	for _, entry := range im.entries(from, v) {
		n := text(strings.Join(strings.Fields(field(entry, "mapname")+" "+field(entry, "system_username")+" "+field(entry, "pg_username")), " "))
		im.origins[n] = origin{from.variable, entry.at}
		lines.Content = append(lines.Content, n)
	}
	if len(lines.Content) > 0 {
		im.set(from, lines, "postgresql", "pg_ident")
	}
}

// takeExtensions writes the databases that get extensions.
func takeExtensions(im *importer, from origin, v value) {
	databases := &yaml.Node{Kind: yaml.SequenceNode}
	extensions := map[string]*yaml.Node{}
	for _, entry := range im.entries(from, v) {
		at, db, extension := origin{from.variable, entry.at}, field(entry, "db"), field(entry, "ext")
		if db == "" || extension == "" {
			im.needed(at, "", "expected db and ext")
			continue
		}
		if extensions[db] == nil {
			database := &yaml.Node{Kind: yaml.MappingNode}
			extensions[db] = words()
			im.cluster.set(database, at, text(db), "name")
			im.cluster.set(database, at, extensions[db], "extensions")
			databases.Content = append(databases.Content, database)
		}
		extensions[db].Content = append(extensions[db].Content, text(extension))
	}
	if len(databases.Content) > 0 {
		im.set(from, databases, "postgresql", "databases")
	}
}

func takeStandbyPort(im *importer, from origin, v value) {
	if im.word("patroni_standby_cluster.host") == "" {
		im.none(from, "without a host this is no standby cluster")
		return
	}
	numeric(im, from, v)
}

func takeMethods(im *importer, from origin, v value) {
	if v.kind != list {
		im.warn(from, "expected a list")
		return
	}
	methods := words()
	for _, item := range v.items {
		if item.kind != scalar {
			im.warn(from, "expected the name of a method")
			continue
		}
		n := text(item.text)
		im.origins[n] = origin{from.variable, item.at}
		methods.Content = append(methods.Content, n)
	}
	if len(methods.Content) > 0 {
		im.set(from, methods, "patroni", "create_replica_methods")
	}
}

// takeOptions writes those options of a list that the seed has.
func takeOptions(known ...string) func(*importer, origin, value) {
	return func(im *importer, from origin, v value) {
		r, _ := tableRow(from.variable)
		seen := map[string]place{}
		for _, entry := range im.entries(from, v) {
			at, name, written := origin{from.variable, entry.at}, field(entry, "option"), field(entry, "value")
			if !slices.Contains(known, name) {
				im.none(at, "%s: a seed has %s only", shown(name), strings.Join(known, ", "))
				continue
			}
			n := text(written)
			if is, ok := truth(written); ok {
				n = bare(fmt.Sprint(is))
			}
			im.again(seen, name, at, r.Key+"."+name)
			im.set(at, n, append(strings.Split(r.Key, "."), name)...)
		}
	}
}

// takeDirectory writes where data is, unless Debian has it there.
func takeDirectory(im *importer, from origin, v value) {
	if v.kind == scalar && strings.TrimSuffix(v.text, "/") == "/var/lib/postgresql/"+im.word("postgresql_version")+"/main" {
		im.note(&im.report.Taken, from.variable, from.at, "postgresql.data_dir", "the default: left out")
		return
	}
	if plain(im, from, v); v.kind == scalar && v.text != "" {
		im.needed(from, "storage.volumes", "where this is on a disk of its own, say on which: a node mounts no other")
	}
}

func takeSize(im *importer, from origin, v value) { im.put(from, v, size) }
