package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"banyan/seeds"
)

// printed is what the program writes to standard output.
func printed(t *testing.T, line string) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stdout := os.Stdout
	os.Stdout = out
	defer func() { os.Stdout = stdout }()
	must(t, line)
	return content(t, out.Name())
}

func contains(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
	if strings.Contains(text, "change-me: ") {
		t.Errorf("a secret is shown:\n%s", text)
	}
}

func TestSeedNewAndCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	refused(t, "seed new", "questions are for a terminal")
	const three = "--node pgsql-n1=172.16.32.11/24,172.16.32.1 --node pgsql-n2=172.16.32.12/24 --node pgsql-n3=172.16.32.13/24"
	must(t, "seed new --output a.yaml --vip 172.16.32.180 --services postgresql,etcd,haproxy "+three)
	refused(t, "seed new --output a.yaml "+three, "a.yaml is there already")
	refused(t, "seed new --output b.yaml --node pgsql-n1", "expected NAME=ADDRESS/PREFIX")
	must(t, "seed new --output b.yaml --name other "+three)

	contains(t, printed(t, "seed check a.yaml b.yaml --profile all"),
		"a.yaml: cluster pgsql-cl\nDCS     etcd: pgsql-n1, pgsql-n2, pgsql-n3\n",
		"pgsql-n1  172.16.32.11/24  dc1   postgresql, etcd, haproxy\n",
		"5000  HAProxy: the primary            all nodes\n",
		"\n\nb.yaml: cluster other\n")
	var all []checked
	if err := json.Unmarshal([]byte(printed(t, "seed check a.yaml --json")), &all); err != nil || len(all) != 1 || len(all[0].Cluster.Nodes) != 3 || len(all[0].Notes) != 1 {
		t.Errorf("%+v, %v", all, err)
	} else {
		contains(t, strings.Join(all[0].Notes, "\n"), "no machine takes it yet")
	}
	contains(t, printed(t, "seed check b.yaml --diff a.yaml"), "cluster.name: pgsql-cl -> other\n",
		"all nodes: services: [postgresql etcd haproxy] -> [postgresql etcd]\n")
	contains(t, printed(t, "seed check b.yaml --diff a.yaml --node pgsql-n2"),
		"--- a.yaml /etc/patroni/config.yml\n+++ b.yaml /etc/patroni/config.yml\n", "-scope: \"pgsql-cl\"\n+scope: \"other\"\n")
	save(t, "c.yaml", strings.Replace(content(t, "a.yaml"), "version: banyan/v1\n", "version: banyan/v1\nfirewall: {rules: [tcp dport 4444 accept]}\n", 1), 0o600)
	contains(t, printed(t, "seed check c.yaml --diff a.yaml --node pgsql-n1"), "\n+\t\ttcp dport 4444 accept\n")
	if text := printed(t, "seed check a.yaml --diff a.yaml --json"); text != "[]\n" {
		t.Errorf("a seed differs from itself: %s", text)
	}
	refused(t, "seed check a.yaml b.yaml --node pgsql-n1", "for one file")
	refused(t, "seed check a.yaml --profile all --node pgsql-n1", "one profile")
	refused(t, "seed check a.yaml --node pgsql-n9", "there are pgsql-n1, pgsql-n2, pgsql-n3")
}

// What the Patroni of a profile is too old for is a warning.
func TestSeedCheckOldPatroni(t *testing.T) {
	t.Chdir(t.TempDir())
	save(t, "c.yaml", "version: banyan/v1\ncluster: {name: pgsql-cl}\nnodes: [{name: pgsql-n1, address: 172.16.32.11/24}]\npatroni: {member_slots_ttl: 10min}\nsystem: {locale: C.UTF-8}\npostgresql: {version: 13}\n", 0o600)
	contains(t, printed(t, "seed check c.yaml --profile debian-11 --json"), "has no member_slots_ttl: there it does nothing")
}

func TestSeedCheckNode(t *testing.T) {
	t.Chdir(t.TempDir())
	save(t, "seed.yaml", seeds.Example, 0o600)
	contains(t, printed(t, "seed check seed.yaml --node pgsql-n1"), "file /etc/patroni/config.yml 0600 postgres secret\n", "password: \"(secret)\"\n")
	contains(t, printed(t, "seed check seed.yaml --node pgsql-n1 --json --profile debian-11"), `"mode": "0600"`, "master_start_timeout")
	must(t, "seed check seed.yaml --node pgsql-n1 --output tree")
	contains(t, content(t, "tree/etc/hosts"), "172.16.32.11 pgsql-n1\n")
	contains(t, content(t, "tree/etc/patroni/config.yml"), "(secret)")
	contains(t, content(t, "tree/etc/banyan/firewall.nft"), "table inet banyan {\n")
	refused(t, "seed check seed.yaml --node pgsql-n1 --output tree", "file exists")

	save(t, "bad.yaml", strings.Replace(seeds.Example, "# version: 17", "  version: 16", 1), 0o600)
	refused(t, "seed check seed.yaml bad.yaml", "1 of 2 seeds cannot be used")
	refused(t, "seed check seed.yaml --diff bad.yaml", "1 of 2 seeds cannot be used")
	refused(t, "seed check seed.yaml --profile debian-6", "no profile")
}

// Questions have answers of their own, and an empty one means those.
func TestOutlineQuestions(t *testing.T) {
	a := outlineText{name: "pgsql-cl", dcs: "etcd"}
	answers := "\n\n172.16.32.11/24\n172.16.32.1\nsecond\n172.16.32.12/24\n\n-\n172.16.32.180\npgsql\ndemo.ru\nraft\nyes\n"
	if err := a.ask(strings.NewReader(answers), os.Stderr); err != nil {
		t.Fatal(err)
	}
	o, err := a.outline()
	if err != nil {
		t.Fatal(err)
	}
	if o.Name != "pgsql-cl" || len(o.Nodes) != 2 || o.Nodes[0].Name != "pgsql-n1" || o.Nodes[1].Name != "second" || !o.Nodes[0].Gateway.IsValid() ||
		o.Nodes[1].Gateway.IsValid() || len(o.VIPs) != 1 || o.DNSName != "pgsql" || o.Zone != "demo.ru" || o.DCS != "raft" || len(o.Services) != 2 {
		t.Errorf("%+v", o)
	}
}
