package seeds

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSeal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "banyan")
	path := filepath.Join(dir, "seed.yaml")
	for _, data := range []string{"first", "second"} {
		if err := Seal(path, []byte(data)); err != nil {
			t.Fatal(err)
		}
		if got := string(readTestFile(t, path)); got != data {
			t.Errorf("got %q, want %q", got, data)
		}
		mode(t, path, 0o600)
		mode(t, dir, 0o700)

		// As an upgrade may find them.
		for name, perm := range map[string]fs.FileMode{path: 0o644, dir: 0o755} {
			if err := os.Chmod(name, perm); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func mode(t *testing.T, name string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != want {
		t.Errorf("%s has mode %v, want %v", name, info.Mode().Perm(), want)
	}
}

// TestSealReplaces: the new file is another one, so that whoever reads the old
// one, and whatever stops the writing, never sees half a seed.
func TestSealReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "banyan", "seed.yaml")
	if err := Seal(path, []byte("the old seed")); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := Seal(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	var data bytes.Buffer
	if _, err := data.ReadFrom(old); err != nil || data.String() != "the old seed" {
		t.Errorf("the open file now reads %q, %v", data.String(), err)
	}
}

func TestSealFails(t *testing.T) {
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.MkdirAll(filepath.Join(taken, "seed.yaml", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Seal(filepath.Join(taken, "seed.yaml"), []byte("x")); err == nil {
		t.Error("a directory was replaced")
	}
	if entries, err := os.ReadDir(taken); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	err := Seal(filepath.Join(t.TempDir(), "none", "banyan", "seed.yaml"), []byte("x"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a parent directory: %v", err)
	}
}

func TestRedacted(t *testing.T) {
	head, _, _ := strings.Cut(minimal, "secrets:")
	const mark = "# planted on pgsql-n1; its secrets are on that node only\n"
	for name, test := range map[string]struct{ data, want string }{
		"styles, comments and layout": {
			head + "# Hands off.\nsecrets:   # three\n" +
				"    superuser_password:  Hush-superuser   # plain\n\n" +
				"    \"replication_password\":    'it''s: #Hush'# quoted\n" +
				"    rewind_password: \"Hush \\\" \\\\\" # escaped\n# The end, without a line break.",
			head + "# Hands off.\nsecrets:   # three\n" +
				"    superuser_password:  (sealed)   # plain\n\n" +
				"    \"replication_password\":    (sealed)# quoted\n" +
				"    rewind_password: (sealed) # escaped\n# The end, without a line break.",
		},
		"blocks and several lines": {
			head + "secrets:\n  superuser_password: |-\n    Hush: superuser\n\n  # between\n  replication_password: >-\n    Hush\n    replicator\n  rewind_password: Hush\n    rewind\n    and more\n",
			head + "secrets:\n  superuser_password: (sealed)\n\n  # between\n  replication_password: (sealed)\n  rewind_password: (sealed)\n",
		},
		"in braces": {
			head + "secrets: {superuser_password: Hush-superuser, replication_password:\n Hush replicator, rewind_password: \"Hush\\\n  -rewind\"}\n",
			head + "secrets: {superuser_password: (sealed), replication_password:\n (sealed), rewind_password: (sealed)}\n",
		},
		"Windows": {
			"\ufeff" + strings.ReplaceAll(minimal, "\n", "\r\n"),
			strings.ReplaceAll(head+"secrets: {superuser_password: (sealed), replication_password: (sealed), rewind_password: (sealed)}\n", "\n", "\r\n"),
		},
		"planted before": {
			"# planted on another; its secrets are on that node only\n" + minimal,
			head + "secrets: {superuser_password: (sealed), replication_password: (sealed), rewind_password: (sealed)}\n",
		},
		"of a user": {
			strings.Replace(minimal, "{name: dba}", "{name: dba, hashed_passwd: $y$Hush$Hush, sudo: true}", 1),
			strings.Replace(head, "{name: dba}", "{name: dba, hashed_passwd: (sealed), sudo: true}", 1) + "secrets: {superuser_password: (sealed), replication_password: (sealed), rewind_password: (sealed)}\n",
		},
		"below a node": {
			strings.Replace(minimal, "11/24}", "11/24, system: {proxy: {http_proxy: \"http://u:Hush@p:1\"}, users: [{name: dba, hashed_passwd: $y$Hush$Hush}]}}", 1),
			strings.Replace(head, "11/24}", "11/24, system: {proxy: {http_proxy: (sealed)}, users: [{name: dba, hashed_passwd: (sealed)}]}}", 1) + "secrets: {superuser_password: (sealed), replication_password: (sealed), rewind_password: (sealed)}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if IsRedacted([]byte(test.data)) != strings.HasPrefix(name, "planted") {
				t.Error("IsRedacted is wrong on the seed itself")
			}
			got, err := Redacted([]byte(test.data), "pgsql-n1")
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != mark+test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, mark+test.want)
			}
			if !IsRedacted(got) {
				t.Error("IsRedacted does not tell")
			}
			if _, err := Parse("seed.yaml", got); err == nil || !strings.Contains(err.Error(), "sealed on the node") {
				t.Errorf("Parse takes it again: %v", err)
			}
		})
	}
	if !IsRedacted([]byte("\ufeff" + mark)) {
		t.Error("an editor of Windows makes a planted seed another")
	}
	if got, err := Redacted([]byte("secrets: {superuser_password: Hush}"), "pgsql-n1"); err == nil || strings.Contains(err.Error(), "Hush") {
		t.Errorf("not a seed: %s, %v", got, err)
	}
}

// Keys are secrets of several lines, wherever they stand.
func TestRedactedKeys(t *testing.T) {
	key, certificate := pemPair(t)
	block := func(text string) string {
		return "|\n        " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n        ")
	}
	const node = "nodes: [{name: pgsql-n1, address: 172.16.32.11/24}]\n"
	with := func(key string) string {
		return strings.Replace(minimal, node, "nodes:\n  - name: pgsql-n1\n    address: 172.16.32.11/24\n    pki:\n      key: "+key+
			"\n      certificate: "+block(certificate)+"\n      # etcd's own\n      etcd_certificate: "+block(certificate)+"\n      etcd_key: "+key+
			"\n    services: [postgresql, etcd]\n", 1) + "pki:\n  ca: " + block(certificate) + "\n  etcd_ca: " + block(certificate) + "\n"
	}
	if _, err := Parse("seed.yaml", []byte(with(block(key)))); err != nil {
		t.Fatal(err)
	}
	got, err := Redacted([]byte(with(block(key))), "pgsql-n1")
	if err != nil {
		t.Fatal(err)
	}
	want := withoutPasswords(with(sealed))
	if _, text, _ := strings.Cut(string(got), "\n"); text != want {
		t.Errorf("got:\n%s\nwant:\n%s", text, want)
	}
	found, err := anyone.Look([]Place{at("a", "seed.yaml", string(got))}, 0)
	if found != nil || err == nil || !strings.HasPrefix(err.Error(), "planted already") {
		t.Errorf("found: %t, %v", found != nil, err)
	}
}

// withoutPasswords is minimal's passwords as Redacted leaves them.
func withoutPasswords(seed string) string {
	for _, password := range []string{"Hush-superuser", "Hush-replicator", "Hush-rewind"} {
		seed = strings.Replace(seed, password, sealed, 1)
	}
	return seed
}

// pemPair is a key and a certificate of it.
func pemPair(t *testing.T) (key, certificate string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pattern := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	made, err := x509.CreateCertificate(rand.Reader, pattern, pattern, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("PRIVATE KEY", der), encode("CERTIFICATE", made)
}

func TestScrub(t *testing.T) {
	before, _, _ := strings.Cut(minimal, "secrets: {")
	seed := before + `secrets:
  superuser_password: postgres
  replication_password: "sl\u0061sh-secret"
  rewind_password: |-
    Hush-rewind
`
	for other, want := range map[string]string{
		"postgresql: {port: 1}\npwd: postgres": "postgresql: {port: 1}\npwd: ********",
		"pwd: slash-secret, x-slash-secrets":   "pwd: ************, x-slash-secrets",
		"a: |-\n  Hush-rewind\n":               "a: |-\n  ***********\n",
	} {
		got, err := Scrub([]byte(other), []byte(seed))
		if err != nil || string(got) != want {
			t.Errorf("%q became %q, %v", other, got, err)
		}
	}
}

// TestPlantedAndEdited: a mistake in a seed that was planted is told of as any.
func TestPlantedAndEdited(t *testing.T) {
	planted, err := Redacted([]byte(minimal), "pgsql-n1")
	if err != nil {
		t.Fatal(err)
	}
	s := Search{Fits: func(*Seed, Node) error { return nil }}
	_, err = s.Look([]Place{{Source: "here", Read: func() (string, []byte, error) { return "seed.yaml", append(planted, "colour: red\n"...), nil }}}, 0)
	if err == nil || !strings.Contains(err.Error(), `unknown key "colour"`) {
		t.Errorf("got %v", err)
	}
}
