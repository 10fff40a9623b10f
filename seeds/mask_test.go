package seeds

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"banyan/internal/strict"
)

// TestMaskWithoutYAML: what a line shows where nothing but its text is known.
func TestMaskWithoutYAML(t *testing.T) {
	for name, test := range map[string]struct{ before, line, want string }{
		"nothing to hide":     {"", "name: pgsql-n1", "name: pgsql-n1"},
		"a key":               {"", "  superuser_password: hush", "  superuser_password: (secret)"},
		"of an item":          {"", "- hashed_passwd: hush", "- hashed_passwd: (secret)"},
		"quoted":              {"", `"API-Token" : "hush"`, `"API-Token" : (secret)`},
		"in capitals":         {"", "PASSWORD: hush", "PASSWORD: (secret)"},
		"without a value":     {"", "secrets:", "secrets:"},
		"in braces":           {"", "- {name: dba, passwd: hush, uid: 1}", "- {name: dba, passwd: (secret)"},
		"two in braces":       {"", "{a_key: hush, token: hush}", "{a_key: (secret)"},
		"no colon":            {"", "  superuser_password hush", "  (secret)"},
		"colon too late":      {"", "  superuser_password hush: x", "  (secret)"},
		"no space":            {"", "  superuser_password:hush", "  superuser_password:(secret)"},
		"in the value":        {"", "dsn: host=a password=hush", "dsn: (secret)"},
		"in the value, late":  {"", "dsn: host=a password=hush, token: x", "dsn: (secret)"},
		"list in a line":      {"", "tokens: [hush, hush]", "tokens: (secret)"},
		"on the next line":    {"superuser_password:", "  hush", "  (secret)"},
		"below a key":         {"secrets:\n", "  a: hush", "  a: (secret)"},
		"far below a key":     {"secrets:\n# no\n\n  x:\n    y: z", "    a: hush", "    a: (secret)"},
		"below a value's key": {"superuser_password:\n", "  a: hush", "  (secret)"},
		"an item below":       {"tokens:", "- hush", "- (secret)"},
		"beside":              {"users:\n- passwd: hush", "  name: dba", "  name: dba"},
		"after":               {"  passwd: hush", "name: dba", "name: dba"},
		"in a URL":            {"", "- https://u:hush@h:1, http://hush@h", "- https://(secret)@h:1, http://(secret)@h"},
		"in a URL, slashed":   {"", "a: [https://u:hu/h@ush@h:1]", "a: [https://(secret)@h:1]"},
		"a comment":           {"", "a: b # password: hush", "a: b # password: (secret)"},
	} {
		t.Run(name, func(t *testing.T) {
			lines := strings.Split(test.before+"\n"+test.line, "\n")
			if got := source(lines, len(lines), nil); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if strings.Contains(test.want, "hush") {
				t.Error("the test wants to see the secret")
			}
		})
	}
}

// TestMaskByPlace: in braces a secret can lie on a line that has no word of it.
func TestMaskByPlace(t *testing.T) {
	head, _, _ := strings.Cut(minimal, "secrets:")
	for name, secrets := range map[string]string{
		"value below":         "{superuser_password:\nHush, zzz: 1, replication_password: Hush-replicator, rewind_password: Hush-rewind}",
		"quoted, two lines":   "{superuser_password:\n\"Hush\nHush\", zzz: 1, replication_password: Hush-replicator, rewind_password: Hush-rewind}",
		"plain, two lines":    "{superuser_password:\nHush\nHush, zzz: 1, replication_password: Hush-replicator, rewind_password: Hush-rewind}",
		"anchored":            "{superuser_password:\n&Hush Hush, zzz: 1, replication_password: Hush-replicator, rewind_password: Hush-rewind}",
		"tagged":              "{superuser_password:\n!Hush Hush, zzz: 1, replication_password: Hush-replicator, rewind_password: Hush-rewind}",
		"a list":              "{superuser_password:\n[Hush, Hush], zzz: 1, replication_password: Hush-replicator, rewind_password: Hush-rewind}",
		"a list, two lines":   "{zzz: 1, superuser_password:\n[Hush, Hush,\nHush], yyy: 1, replication_password: Hush-replicator, rewind_password: Hush-rewind}",
		"tagged, two lines":   "{zzz: 1, superuser_password:\n!Hush \"Hush\nHush\", yyy: 1, replication_password: Hush-replicator, rewind_password: Hush-rewind}",
		"two lists":           "{zzz: 1, superuser_password:\n[Hush], replication_password: [Hush,\nHush], yyy: 1, rewind_password: Hush-rewind}",
		"a duplicate":         "{superuser_password:\nHush, superuser_password:\nHush, zzz: 1, replication_password: Hush-replicator, rewind_password: Hush-rewind}",
		"two on a line":       "{superuser_password:\nHush, replication_password:\nHush, zzz: 1, rewind_password:\nHush, yyy: 1}",
		"single quotes":       "{superuser_password:\n'Hush''Hush', zzz: 1, replication_password: Hush-replicator, rewind_password: Hush-rewind}",
		"escapes":             "{superuser_password:\n\"Hush\\\"\\\\\\u0048ush\", zzz: 1, replication_password: Hush-replicator, rewind_password: Hush-rewind}",
		"explicit keys":       "\n  ? superuser_password\n  : Hush\n  ? zzz\n  : 1\n  ? replication_password\n  : Hush\n  ? rewind_password\n  : Hush\n",
		"a block on its line": "\n  superuser_password: >-\n\n    Hush\n    Hush\n  zzz: 1\n  replication_password: Hush\n  rewind_password: Hush\n",
	} {
		t.Run(name, func(t *testing.T) {
			data := head + "secrets: " + secrets
			_, err := Parse("seed.yaml", []byte(data))
			if err == nil || !strings.Contains(err.Error(), "zzz") || strings.Contains(err.Error(), "ush") || strings.Contains(err.Error(), masked+masked) {
				t.Errorf("got:\n%v", err)
			}
		})
	}
}

// TestMaskOverrides: what stands below a node is read after the rest, and hidden like it.
func TestMaskOverrides(t *testing.T) {
	for name, overrides := range map[string]string{
		"before another": "zzz: 1, system: {proxy: {http_proxy: Hush}}",
		"a duplicate":    "system: {proxy: {http_proxy: Hush}}, zzz: 1, system: {proxy: {http_proxy: Hush}}",
	} {
		data := strings.Replace(minimal, "11/24}", "11/24, "+overrides+"}", 1)
		if _, err := Parse("seed.yaml", []byte(data)); err == nil || !strings.Contains(err.Error(), "zzz") || strings.Contains(err.Error(), "ush") {
			t.Errorf("%s: got:\n%v", name, err)
		}
	}
}

// No secret is left in a masked seed, wherever the schema has one.
func TestMasked(t *testing.T) {
	var s Seed
	fill(reflect.ValueOf(&s).Elem())
	s.PostgreSQL.Parameters = map[string]any{"work_mem": "4MB", "jit": nil, "primary_conninfo": "host=a password=a-real-secret"}
	s.PostgreSQL.PgHBA = []string{"host all all samenet ldap ldapserver=a ldapbindpasswd=a-real-secret"}
	s.Patroni.PgProbackup.Command = "PGPASSWORD=a-real-secret pg_probackup restore"
	maskedSeed := s.Masked()
	if text := fmt.Sprintf("%+v", *maskedSeed); strings.Contains(text, "a-real-secret") || !strings.Contains(text, "ldapserver=a ldapbindpasswd=(secret)") ||
		!strings.Contains(text, "work_mem:4MB") || !strings.Contains(text, "PGPASSWORD=(secret) pg_probackup restore") {
		t.Errorf("a text is not as it may be shown: %s", text)
	}
	text := fmt.Sprintf("%+v", reveal(reflect.ValueOf(*maskedSeed)))
	if strings.Contains(text, "a-real-secret") || !strings.Contains(text, masked) {
		t.Errorf("a secret is left: %s", text)
	}
	if text := fmt.Sprintf("%+v", reveal(reflect.ValueOf(s))); !strings.Contains(text, "a-real-secret") || strings.Contains(text, masked) {
		t.Error("the seed itself was masked")
	}
}

// fill puts a secret wherever there is room for one, in lists and maps too.
func fill(v reflect.Value) {
	switch t := v.Type(); {
	case t == reflect.TypeFor[Secret]():
		v.SetString("a-real-secret")
	case t == reflect.TypeFor[PrivateKey](), strict.FormOf(t) == strict.Section:
		for i := range t.NumField() {
			fill(v.Field(i))
		}
	case t.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(t, 1, 1))
		fill(v.Index(0))
	case t.Kind() == reflect.Map:
		element := reflect.New(t.Elem()).Elem()
		if element.Kind() != reflect.Interface {
			fill(element)
		}
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.ValueOf("key"), element)
	}
}

// reveal lists the secrets below v.
func reveal(v reflect.Value) []string {
	var all []string
	switch t := v.Type(); {
	case t == reflect.TypeFor[Secret]():
		return []string{v.String()}
	case t == reflect.TypeFor[PrivateKey](), strict.FormOf(t) == strict.Section:
		for i := range t.NumField() {
			all = append(all, reveal(v.Field(i))...)
		}
	case t.Kind() == reflect.Slice:
		for i := range v.Len() {
			all = append(all, reveal(v.Index(i))...)
		}
	case t.Kind() == reflect.Map && t.Elem().Kind() != reflect.Interface:
		for _, element := range v.Seq2() {
			all = append(all, reveal(element)...)
		}
	}
	return all
}

// TestMaskText: all of a secret goes, and what is around it stays.
func TestMaskText(t *testing.T) {
	for text, want := range map[string]string{
		"host=a password=Hush user=b":                              "host=a password=(secret) user=b",
		"host=a password = 'Hush it\\'s Hush' user=b":              "host=a password = (secret) user=b",
		"host=a password=Hush'Hush user=b":                         "host=a password=(secret) user=b",
		"postgresql://u:Hush@a/db?sslmode=require":                 "postgresql://u:(secret)@a/db?sslmode=require",
		"PGPASSWORD=Hush pg_probackup restore":                     "PGPASSWORD=(secret) pg_probackup restore",
		`PGPASSWORD="Hush Hush"'Hush Hush'\ Hush pg restore`:       "PGPASSWORD=(secret) pg restore",
		"sh -c 'cd /a; PGPASSWORD=Hush pg restore'":                "sh -c 'cd /a; PGPASSWORD=(secret) pg restore'",
		"sh -c 'pg restore --pass=Hush' && b":                      "sh -c 'pg restore --pass=(secret)' && b",
		"env 'PGPASSWORD=Hush Hush' pg restore":                    "env 'PGPASSWORD=(secret)' pg restore",
		"s3 --secret-access-key=Hush --api.token=Hush get %f %p":   "s3 --secret-access-key=(secret) --api.token=(secret) get %f %p",
		`host all all samenet ldap "ldapbindpasswd=Hush ""Hush" a`: `host all all samenet ldap "ldapbindpasswd=(secret)" a`,
		"host all all samenet radius radiussecrets=Hush,Hush":      "host all all samenet radius radiussecrets=(secret)",
		"cp /mnt/archive/%f %p":                                    "cp /mnt/archive/%f %p",
		"ecdsa AAAAkey== dba@office":                               "ecdsa AAAAkey== dba@office",
		"keys == 3":                                                "keys == 3",
	} {
		if got := maskText(text); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

// TestMaskedHBA: a line that is shown is still one that PostgreSQL takes.
func TestMaskedHBA(t *testing.T) {
	for _, line := range []string{
		`host all all samenet ldap ldapserver=a ldapprefix="cn=" ldapbindpasswd="Hush Hush"`,
		`host all all samenet ldap ldapserver=a ldapbasedn=b "ldapbindpasswd=Hush Hush" ldapscheme="ldaps"`,
		`host all all samenet radius radiusservers="10.0.0.1,10.0.0.2" radiussecrets="Hush,Hush"`,
	} {
		masked := maskText(line)
		parse(t, minimal+"postgresql: {pg_hba: ['"+masked+"']}\n")
		if strings.Contains(masked, "Hush") {
			t.Error(masked)
		}
	}
}
