package seeds

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"banyan/internal/golden"
	"banyan/internal/strict"
)

// TestBadSeeds: each seed of testdata/bad breaks one rule, unless its name says
// otherwise. The secrets of all of them have "Hush" in them.
func TestBadSeeds(t *testing.T) {
	names, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d seeds, %v", len(names), err)
	}
	for _, name := range names {
		base := strings.TrimSuffix(name, ".yaml")
		t.Run(filepath.Base(base), func(t *testing.T) {
			_, err := Parse("seed.yaml", readTestFile(t, name))
			if err == nil {
				t.Fatal("was taken")
			}
			got := err.Error() + "\n"
			if strings.Contains(got, "Hush") {
				t.Errorf("shows a secret:\n%s", got)
			}
			golden.Check(t, base+".golden", got)
		})
	}
}

func readTestFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t *testing.T, data string) *Seed {
	t.Helper()
	seed, err := Parse("seed.yaml", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

const minimal = `version: banyan/v1
cluster: {name: pgsql-cl}
nodes: [{name: pgsql-n1, address: 172.16.32.11/24}]
system: {users: [{name: dba}]}
secrets: {superuser_password: Hush-superuser, replication_password: Hush-replicator, rewind_password: Hush-rewind}
`

// TestParsed: what becomes of each key, and of those that are absent. A secret is
// masked there.
func TestParsed(t *testing.T) {
	for name, data := range map[string]string{
		"minimal":  minimal,
		"full":     string(readTestFile(t, "testdata/good/full.yaml")),
		"override": string(readTestFile(t, "testdata/good/override.yaml")),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(parse(t, data), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, "testdata/good/"+name+".json", string(got)+"\n")
		})
	}
}

func TestSecretsAsTheyStand(t *testing.T) {
	got := parse(t, string(readTestFile(t, "testdata/good/full.yaml"))).Secrets
	want := Secrets{SuperuserPassword: "0123456789", ReplicationPassword: `it's "quoted" # no comment`, RewindPassword: "тайный пароль"}
	if got != want {
		t.Error("a secret is not what stands there")
	}
}

func TestGoodSeeds(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(minimal, old) {
			t.Fatalf("%q is not in the seed", old)
		}
		return strings.Replace(minimal, old, new, 1)
	}
	for name, data := range map[string]string{
		"the example":            Example,
		"all styles of YAML":     string(readTestFile(t, "testdata/good/styles.yaml")),
		"Windows":                "\ufeff" + strings.ReplaceAll(minimal, "\n", "\r\n"),
		"no line break at end":   strings.TrimSpace(minimal),
		"document marks":         "%YAML 1.1\n---\n" + minimal + "...\n",
		"JSON":                   `{"version": "banyan/v1", "cluster": {"name": "c"}, "nodes": [{"name": "n", "address": "10.0.0.1/8"}], "secrets": {"superuser_password": "Hush-superuser", "replication_password": "Hush-replicator", "rewind_password": "Hush-rewind"}}`,
		"keys without values":    minimal + "patroni:\nnetwork: ~\npostgresql: {parameters: , pg_hba: null}\n",
		"both of a pair, IPv4":   replace("172.16.32.11/24", "172.16.32.10/31"),
		"both of a pair, IPv6":   replace("172.16.32.11/24", "2001:db8::/127"),
		"a single address":       replace("172.16.32.11/24", "172.16.32.11/32"),
		"DHCP":                   minimal + "network: {dhcp: true, interface: {mac: 52-54-00-AB-cd-EF}}\n",
		"a digit first":          replace("pgsql-cl", "1c"),
		"the longest cluster":    replace("pgsql-cl", strings.Repeat("c", 63)),
		"the least of Patroni":   minimal + "patroni: {ttl: 20, loop_wait: 14, retry_timeout: 3}\n",
		"bounds of uid":          replace("{name: dba}", "{name: a, uid: 1000}, {name: b, uid: 59999}"),
		"a literal secret":       replace("{superuser_password: Hush-superuser, replication_password: Hush-replicator, rewind_password: Hush-rewind}", "\n  superuser_password: |-\n    Hush: superuser\n  replication_password: Hush-replicator\n  rewind_password: Hush-rewind"),
		"the mark of a planting": "# planted on pgsql-n1, and the secrets put back\n" + minimal,
	} {
		t.Run(name, func(t *testing.T) { parse(t, data) })
	}
}

// TestGoodHBA: PostgreSQL 17 loads every one of these lines.
func TestGoodHBA(t *testing.T) {
	for _, line := range []string{
		"local all all peer map=admins",
		"local all all ident",
		"host all all all reject",
		"host all all samehost trust # a comment, with a comma",
		"host all all 172.16.32.7/24 md5", // host bits are set
		"host all all 172.16.32.0 255.255.255.0 scram-sha-256",
		"host all all 2001:db8::/32 password",
		"host all all 2001:db8:: ffff:ffff:: scram-sha-256",
		"host all all db1.example.org ident map=x",
		`host "all", "my db" +dba,"@admin", app .example.org "scram-sha-256"`,
		"hostssl all all 0.0.0.0/0 cert map=x clientcert=verify-full clientname=DN",
		"hostssl all all 0.0.0.0/0 scram-sha-256 clientcert=verify-ca",
		"hostgssenc all all ::/0 gss include_realm=0 krb_realm=EXAMPLE.ORG",
		"host all all samenet pam pamservice=postgresql",
		`host all all samenet ldap ldapurl="ldap://ldap.example.org/dc=example,dc=org?uid?sub"`,
		`host all all samenet radius radiusservers="10.0.0.1,10.0.0.2" radiussecrets="hush,hush"`,
	} {
		t.Run(line, func(t *testing.T) {
			quoted := "'" + strings.ReplaceAll(line, "'", "''") + "'"
			parse(t, minimal+"postgresql: {pg_hba: ["+quoted+"]}\n")
		})
	}
}

func TestGoodKeys(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	for _, line := range []string{
		key,
		key + " dba@office, the second",
		"restrict,pty " + key,
		`no-X11-forwarding,from="10.0.0.0/8,*.example.org",command="echo \"hello, world\"" ` + key + " dba",
	} {
		t.Run(line, func(t *testing.T) {
			parse(t, strings.Replace(minimal, "{name: dba}", "{name: dba, ssh_authorized_keys: ['"+line+"']}", 1))
		})
	}
}

func TestExampleIsToBeChanged(t *testing.T) {
	s := parse(t, Example)
	for _, secret := range []Secret{s.Secrets.SuperuserPassword, s.Secrets.ReplicationPassword, s.Secrets.RewindPassword} {
		if !strings.HasPrefix(secret.Reveal(), "change-me") {
			t.Errorf("the example has a password that nobody sees to be one: %s", secret.Reveal())
		}
	}
}

func TestInterfaceByMAC(t *testing.T) {
	s := parse(t, minimal+"network: {interface: {mac: 52-54-00-AB-cd-EF}}\n")
	if got := s.Network.Interface.MAC.String(); got != "52:54:00:ab:cd:ef" {
		t.Errorf("got %q", got)
	}
}

// TestLargeSeeds: a file that was made to hurt ends in a bounded report, soon.
func TestLargeSeeds(t *testing.T) {
	var laughs, keys strings.Builder
	laughs.WriteString(minimal + "a: &a [x, x, x, x, x, x, x, x, x]\n")
	for c := 'b'; c <= 'z'; c++ {
		fmt.Fprintf(&laughs, "%c: &%c [%s]\n", c, c, strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9))
	}
	for i := range 10000 {
		fmt.Fprintf(&keys, "key%d: 1\n", i)
	}
	many := func(item string) string { return strings.Repeat(item+", ", strict.MaxItems+1) }
	for name, data := range map[string]string{
		"a long list":      "nodes: [" + many("{}") + "]",
		"many nodes":       "nodes: [" + strings.Repeat("{name: a, address: 172.16.32.11/24, postgresql: {port: 1}}, ", strict.MaxItems) + "]\npostgresql: {parameters: {" + strings.Repeat("a: 1, ", 1000) + "}}\n",
		"many interfaces":  "nodes: [" + strings.Repeat("{name: a, address: 172.16.32.11/24, network: {mtu: 1}}, ", 4000) + "]\nnetwork: {interfaces: [" + strings.Repeat("{interface: {name: a}, addresses: [1.0.0.1/8]}, ", 4000) + "]}\n",
		"more than 1 MiB":  strings.Repeat("#", strict.MaxSize) + "\n",
		"billion laughs":   laughs.String(),
		"unknown keys":     keys.String(),
		"open brackets":    "a: " + strings.Repeat("[", strict.MaxSize/2),
		"many open quotes": "a: 'b\n" + strings.Repeat("b: c\n", strict.MaxSize/8),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("seed.yaml", []byte(data))
			var problems strict.Problems
			if !errors.As(err, &problems) || len(problems) > maxProblems {
				t.Errorf("%d problems: %.200v", len(problems), err)
			}
		})
	}
}

func TestProblemsAreAllListed(t *testing.T) {
	_, err := Parse("seed.yaml", []byte(strings.NewReplacer("name: pgsql-cl", "nme: c", "172.16.32.11", "x", "Hush-rewind", "Hush").Replace(minimal)))
	var problems strict.Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Fatalf("%d problems, %v", len(problems), err)
	}
	if got, want := strings.Count(err.Error(), "seed.yaml:"), 3; got != want {
		t.Errorf("the text lists %d problems of %d:\n%v", got, want, err)
	}
}
