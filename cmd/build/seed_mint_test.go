package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"banyan/internal/pki"
	"banyan/seeds"
	"banyan/seeds/mint"
)

const cluster = `version: banyan/v1
cluster: {name: pgsql-cl}
nodes:
  - {name: pgsql-n1, address: 172.16.32.11/24, match: {serial: A1}}
  - {name: pgsql-n2, address: 172.16.32.12/24, match: {serial: A2}, services: [haproxy]}
`

func TestSeedMint(t *testing.T) {
	t.Chdir(t.TempDir())
	save(t, "c.yaml", cluster, 0o600)
	var first, second mint.Report
	for _, report := range []*mint.Report{&first, &second} {
		if err := json.Unmarshal([]byte(printed(t, "seed mint c.yaml --output out --json")), report); err != nil {
			t.Fatal(err)
		}
	}
	if first.Generation != 1 || len(first.Files) != 3 || !first.Files[0].Written || second.ID != first.ID || second.Files[0].Written || len(second.Nodes[0].Reasons) != 0 {
		t.Errorf("it reports %+v, then %+v", first, second)
	}
	table := printed(t, "seed mint c.yaml --output out --renew")
	for _, want := range []string{"out/pgsql-n1.yaml  written\n", "  it was to be renewed\n", "generation 2\n"} {
		if !strings.Contains(table, want) {
			t.Errorf("it prints\n%s", table)
		}
	}
	must(t, "seed mint c.yaml --output out --universal")
	must(t, "seed mint c.yaml --output out --universal --per-node")
	refused(t, "seed mint c.yaml", `"output" not set`)
	refused(t, "seed mint none.yaml --output out", "none.yaml")
	refused(t, "seed mint out/pgsql-n1.yaml --output out", "this is a seed that was minted")
	save(t, "bad.yaml", strings.Replace(cluster, "nodes:", "nodse:", 1), 0o600)
	refused(t, "seed mint bad.yaml --output out", `unknown key "nodse"`)
}

func TestSeedMintProtects(t *testing.T) {
	t.Chdir(t.TempDir())
	save(t, "c.yaml", cluster, 0o600)
	save(t, "empty", "\n", 0o600)
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	save(t, "to", "# ours\n"+identity.Recipient().String()+"\n", 0o600)
	must(t, "seed keygen --output ours --no-password")
	must(t, "seed mint c.yaml --output out --sign ours.key --recipients-file to")
	key, err := seeds.ParsePublicKey("ours.pub", []byte(content(t, "ours.pub")))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := seeds.Decrypt("n1", []byte(content(t, "out/pgsql-n1.yaml.age")), identity)
	if err != nil {
		t.Fatal(err)
	}
	if err := seeds.Verify("n1", plain, key); err != nil {
		t.Error(err)
	}
	if again := printed(t, "seed mint c.yaml --output out --sign ours.key --recipient "+identity.Recipient().String()); strings.Contains(again, "written") {
		t.Errorf("it prints\n%s", again)
	}
	refused(t, "seed mint c.yaml --output out --encrypt", "--passphrase-file")
	refused(t, "seed mint c.yaml --output out --passphrase-file empty", "the passphrase is empty")
	refused(t, "seed mint c.yaml --output out --passphrase-file empty --recipient age1", "none of the others can be")
	refused(t, "seed mint c.yaml --output out --recipient "+identity.String(), "is no recipient")
	refused(t, "seed mint c.yaml --output out --sign ours.pub", "ours.pub is no secret key")
}

func TestSeedMintImports(t *testing.T) {
	t.Chdir(t.TempDir())
	save(t, "c.yaml", cluster, 0o600)
	for _, name := range []string{"ca", "etcd"} {
		a, err := pki.NewAuthority("Corporate "+name, pki.ECDSA, pki.Lifetime{From: time.Now(), Days: 1000})
		if err != nil {
			t.Fatal(err)
		}
		key, err := a.Key()
		if err != nil {
			t.Fatal(err)
		}
		save(t, name+".crt", a.Certificates(), 0o644)
		save(t, name+".key", key, 0o600)
	}
	must(t, "seed mint c.yaml --output out --import-ca ca.crt --import-ca-key ca.key --import-etcd-ca etcd.crt --import-etcd-ca-key etcd.key")
	s, err := seeds.Parse("n1", []byte(content(t, "out/pgsql-n1.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	if string(s.PKI.CA) != content(t, "ca.crt") || string(s.PKI.EtcdCA) != content(t, "etcd.crt") {
		t.Error("the authorities are others")
	}
	refused(t, "seed mint c.yaml --output out --import-ca ca.crt", "import-ca-key")
	refused(t, "seed mint c.yaml --output out --import-ca ca.crt --import-ca-key etcd.key", "ca.crt and etcd.key: the key is not that of the first certificate")
	refused(t, "seed mint c.yaml --output out --import-ca ca.crt --import-ca-key none.key", "none.key")
}
