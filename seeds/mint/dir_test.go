package mint

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"
	"filippo.io/age"

	"banyan/seeds"
)

var perNode = Output{PerNode: true}

// private is a directory that nobody else may read.
func private(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func into(t *testing.T, dir, text string, o Options, out Output) *Report {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = now
	}
	r, err := Into(t.Context(), dir, cluster(t, text), o, out)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func written(r *Report) (names []string) {
	for _, f := range r.Files {
		if f.Written {
			names = append(names, filepath.Base(f.Path))
		}
	}
	return names
}

// state is what is in a directory, and when it was written.
func state(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("%s has the mode %s", e.Name(), info.Mode())
		}
		all[e.Name()] = fmt.Sprint(info.ModTime(), readFile(t, filepath.Join(dir, e.Name())))
	}
	return all
}

var perNodeFiles = []string{"secrets.yaml", "pgsql-n1.yaml", "pgsql-n2.yaml", "etcd-n3.yaml", "lb-n4.yaml", "wit-n5.example.org.yaml"}

func TestInto(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	r := into(t, dir, sites(t), Options{}, perNode)
	if !slices.Equal(written(r), perNodeFiles) || r.Generation != 1 || r.ID == "" || len(r.Warnings) != 0 {
		t.Errorf("it reports %+v", r)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info, err)
	}
	before := state(t, dir)
	if r := into(t, dir, sites(t), Options{Now: now.AddDate(1, 0, 0)}, perNode); written(r) != nil {
		t.Errorf("minting again wrote %v", written(r))
	}
	if !maps.Equal(state(t, dir), before) {
		t.Error("minting again changed a file")
	}

	// A mode that was opened is closed again.
	if err := os.Chmod(filepath.Join(dir, "secrets.yaml"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := into(t, dir, sites(t), Options{}, perNode); !slices.Equal(written(r), perNodeFiles[:1]) {
		t.Errorf("it wrote %v", written(r))
	}
	state(t, dir)

	// A node less: its seed stays, and is named each time.
	less := strings.Replace(sites(t), "  - {name: etcd-n3, ", "#", 1)
	for range 2 {
		r := into(t, dir, less, Options{}, perNode)
		if want := filepath.Join(dir, "etcd-n3.yaml") + " is left"; r.Generation != 2 || len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], want) {
			t.Errorf("generation %d, warnings %q", r.Generation, r.Warnings)
		}
	}
	if text := readFile(t, filepath.Join(dir, "secrets.yaml")); strings.Contains(text, "name: etcd-n3\n") {
		t.Error("its keys are kept")
	}
	if err := os.Remove(filepath.Join(dir, "etcd-n3.yaml")); err != nil {
		t.Fatal(err)
	}
	if r := into(t, dir, less, Options{}, perNode); len(r.Warnings) != 0 {
		t.Errorf("it warns %q", r.Warnings)
	}
}

func TestUniversal(t *testing.T) {
	dir := private(t)
	r := into(t, dir, sites(t), Options{}, Output{Universal: true})
	if !slices.Equal(written(r), []string{"secrets.yaml", "universal.yaml"}) {
		t.Errorf("it wrote %v", written(r))
	}
	s, err := seeds.Parse("universal.yaml", []byte(readFile(t, filepath.Join(dir, "universal.yaml"))))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range s.Nodes {
		if n.PKI.Certificate == "" || n.PKI.Key.Secret == "" {
			t.Errorf("%s has no certificate", n.Name)
		}
	}
	if r := into(t, dir, sites(t), Options{}, Output{PerNode: true, Universal: true}); r.Generation != 1 || len(written(r)) != 6 {
		t.Errorf("generation %d, it wrote %v", r.Generation, written(r))
	}
	nameless := strings.NewReplacer(`, match: {serial: "1"}`, "", `, match: {serial: "3"}`, "").Replace(sites(t))
	_, err = Into(t.Context(), dir, cluster(t, nameless), Options{Now: now}, Output{Universal: true})
	if err == nil || !strings.HasSuffix(err.Error(), "add one to pgsql-n1, etcd-n3") {
		t.Errorf("got %v", err)
	}
	if _, err = Into(t.Context(), private(t), cluster(t, clusterOf(500)), Options{Now: now}, Output{Universal: true}); err == nil || !strings.HasSuffix(err.Error(), "without --universal") {
		t.Errorf("of 500 nodes: %v", err)
	}
}

// TestProperty: whatever is done to a cluster, minting twice is minting once, and what is
// in the directory afterwards does not depend on where an earlier minting was cut off.
func TestProperty(t *testing.T) {
	services := []string{"[postgresql]", "[postgresql, etcd]", "[etcd]", "[haproxy]", "[postgresql, etcd, haproxy]"}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		dir := private(t)
		var done []string
		for range 4 {
			text := "version: banyan/v1\ncluster: {name: pgsql-cl}\nnodes:\n"
			text += fmt.Sprintf("  - {name: n9, address: 10.0.0.%d/24, match: {serial: n9}, services: [postgresql, etcd]}\n", 9+10*r.IntN(2))
			for i := range 4 {
				if r.IntN(4) > 0 {
					text += fmt.Sprintf("  - {name: n%d, address: 10.0.0.%d/24, match: {serial: \"%d\"}, services: %s}\n", i, 1+i+10*r.IntN(2), i, services[r.IntN(len(services))])
				}
			}
			if r.IntN(2) == 0 {
				text += fmt.Sprintf("sites: [{name: a, subnet: 10.0.0.0/24, vips: [10.0.0.%d]}]\ndns: {name: cl%d, zone: example.org}\n"+
					"postgresql: {roles: [{name: app, password: plain text %d}]}\n", 100+r.IntN(2), r.IntN(2), r.IntN(3))
			}
			out := Output{PerNode: r.IntN(3) > 0, Universal: r.IntN(3) == 0}
			o := Options{Renew: r.IntN(5) == 0}
			done = append(done, fmt.Sprintf("%+v %+v\n%s", out, o, text))
			report := into(t, dir, text, o, out)
			cut(t, dir, r, report)
			o.Renew = false
			again := into(t, dir, text, o, out)
			before := state(t, dir)
			if before[".secrets.yaml123"] != "" {
				t.Fatalf("seed %d: what a minting left that was killed is still there", seed)
			}
			third := into(t, dir, text, o, out)
			if again.Generation != report.Generation || written(third) != nil || !maps.Equal(state(t, dir), before) {
				t.Fatalf("seed %d: generations %d and %d, the third wrote %v, after\n%s", seed, report.Generation, again.Generation, written(third), strings.Join(done, "\n"))
			}
			for _, f := range third.Files[1:] {
				s, err := seeds.Parse(f.Path, []byte(readFile(t, f.Path)))
				if err != nil || s.Cluster.Generation != third.Generation || s.Cluster.ID != third.ID {
					t.Fatalf("seed %d: %s is of %+v, %v", seed, f.Path, s.Cluster, err)
				}
			}
		}
	}
}

// cut takes back some of the seeds that were written, as if the power had failed before
// they were. The secrets come first.
func cut(t *testing.T, dir string, r *rand.Rand, report *Report) {
	t.Helper()
	for _, f := range report.Files[1:] {
		var err error
		switch r.IntN(4) {
		case 0:
			err = os.Remove(f.Path)
		case 1:
			err = os.WriteFile(f.Path, []byte("an earlier one\n"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".secrets.yaml123"), nil, 0o600); err != nil { // as renameio leaves one
		t.Fatal(err)
	}
}

// What no minting wrote is not written over.
func TestForeignFiles(t *testing.T) {
	dir := private(t)
	path := filepath.Join(dir, "etcd-n3.yaml")
	if err := os.WriteFile(path, []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Into(t.Context(), dir, cluster(t, sites(t)), Options{Now: now}, perNode); err == nil || !strings.HasPrefix(err.Error(), path+" is there") {
		t.Errorf("got %v", err)
	}
	if got := state(t, dir); len(got) != 1 || readFile(t, path) != "mine\n" {
		t.Errorf("there is %v", got)
	}

	// Without the secrets a new cluster would be minted over the old one.
	dir = private(t)
	into(t, dir, sites(t), Options{}, perNode)
	if err := os.Remove(filepath.Join(dir, "secrets.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, err := Into(t.Context(), dir, cluster(t, sites(t)), Options{Now: now}, perNode); err == nil || !strings.Contains(err.Error(), "put back the secrets.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestDirectory(t *testing.T) {
	dir := private(t)
	mint := func() error {
		_, err := Into(t.Context(), dir, cluster(t, sites(t)), Options{Now: now}, perNode)
		return err
	}
	lock, err := prepare(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := mint(); err == nil || !strings.Contains(err.Error(), "somebody else is minting into") {
		t.Errorf("got %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := mint(); err == nil || !strings.Contains(err.Error(), "is open to others (mode 0750)") {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("it holds %v, %v", entries, err)
	}
}

func TestSigned(t *testing.T) {
	public, key, err := minisign.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{1}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	dir := private(t)
	out := perNode
	out.Sign = func(seed []byte) ([]byte, error) { return seeds.Sign(seed, key, "") }
	r := into(t, dir, sites(t), Options{}, out)
	for _, f := range r.Files[1:] {
		if err := seeds.Verify(f.Path, []byte(readFile(t, f.Path)), public); err != nil {
			t.Error(err)
		}
	}
	if r := into(t, dir, sites(t), Options{}, out); written(r) != nil {
		t.Errorf("it wrote %v", written(r))
	}
	if r := into(t, dir, sites(t), Options{}, perNode); len(written(r)) != 5 || r.Generation != 1 {
		t.Errorf("without a signature it wrote %v, generation %d", written(r), r.Generation)
	}
}

func TestEncrypted(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	to := func(recipients ...*age.X25519Recipient) Output {
		var text string
		for _, r := range recipients {
			text += "# somebody\n" + r.String() + "\n"
		}
		e, err := ForRecipients(text)
		if err != nil {
			t.Fatal(err)
		}
		return Output{PerNode: true, Encryption: e}
	}
	dir := private(t)
	into(t, dir, sites(t), Options{}, to(identity.Recipient()))
	for i, name := range perNodeFiles[1:] {
		data := []byte(readFile(t, filepath.Join(dir, name+".age")))
		plain, err := seeds.Decrypt(name, data, identity)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := seeds.Parse(name, plain); err != nil || s.Node+".yaml" != perNodeFiles[i+1] {
			t.Errorf("%s: %v", name, err)
		}
	}
	before := state(t, dir)
	if len(before) != 6 {
		t.Errorf("there is %v", slices.Collect(maps.Keys(before)))
	}
	into(t, dir, sites(t), Options{}, to(identity.Recipient()))
	if !maps.Equal(state(t, dir), before) {
		t.Error("minting again changed a file")
	}
	changed := strings.Replace(sites(t), "172.16.32.11", "172.16.32.21", 1)
	if r := into(t, dir, changed, Options{}, to(identity.Recipient())); len(written(r)) != 6 {
		t.Errorf("it wrote %v", written(r))
	}
	// As if the power had failed before the last was written.
	if err := os.WriteFile(filepath.Join(dir, "lb-n4.yaml.age"), []byte("age-encryption.org/v1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := into(t, dir, changed, Options{}, to(identity.Recipient())); !slices.Equal(written(r), []string{"secrets.yaml", "lb-n4.yaml.age"}) {
		t.Errorf("it wrote %v", written(r))
	}
	if r := into(t, dir, changed, Options{}, to(identity.Recipient(), other.Recipient())); len(written(r)) != 6 || r.Generation != 2 {
		t.Errorf("for others it wrote %v, generation %d", written(r), r.Generation)
	}
	if r := into(t, dir, changed, Options{}, to(other.Recipient(), identity.Recipient(), other.Recipient())); written(r) != nil {
		t.Errorf("for the same in another order it wrote %v", written(r))
	}
	if r := into(t, dir, changed, Options{}, perNode); len(r.Warnings) != 5 || !strings.Contains(r.Warnings[0], "pgsql-n1.yaml.age is left") {
		t.Errorf("in plain text it warns %q", r.Warnings)
	}
}

func TestPassphrase(t *testing.T) {
	one := "version: banyan/v1\ncluster: {name: c}\nnodes: [{name: n1, address: 10.0.0.1/8, match: {serial: \"1\"}}]\n"
	by := func(passphrase seeds.Secret) Output {
		e, err := forPassphrase(passphrase, 10)
		if err != nil {
			t.Fatal(err)
		}
		return Output{PerNode: true, Encryption: e}
	}
	dir := private(t)
	into(t, dir, one, Options{}, by("correct horse"))
	if r := into(t, dir, one, Options{}, by("correct horse")); written(r) != nil {
		t.Errorf("it wrote %v", written(r))
	}
	all := by("correct horse")
	all.Universal = true
	if r := into(t, dir, one, Options{}, all); len(written(r)) != 2 {
		t.Errorf("with a seed for all it wrote %v", written(r))
	}
	if r := into(t, dir, one, Options{}, by("battery staple")); len(written(r)) != 2 {
		t.Errorf("with another passphrase it wrote %v", written(r))
	}
	// Both are there and say the same, for two passphrases.
	all = by("battery staple")
	all.Universal = true
	if r := into(t, dir, one, Options{}, all); !slices.Equal(written(r), []string{"secrets.yaml", "universal.yaml.age"}) {
		t.Errorf("with a seed of an earlier passphrase it wrote %v", written(r))
	}
	if r := into(t, dir, one, Options{}, all); written(r) != nil {
		t.Errorf("with one passphrase for both it wrote %v", written(r))
	}
	identity, err := age.NewScryptIdentity("battery staple")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seeds.Decrypt("n1", []byte(readFile(t, filepath.Join(dir, "n1.yaml.age"))), identity); err != nil {
		t.Error(err)
	}
	if strings.Contains(readFile(t, filepath.Join(dir, "secrets.yaml")), "battery") {
		t.Error("the passphrase is kept")
	}
	if _, err := ForPassphrase(""); err == nil {
		t.Error("an empty passphrase is taken")
	}
	if _, err := ForRecipients("AGE-SECRET-KEY-Hush"); err == nil || strings.Contains(err.Error(), "Hush") {
		t.Errorf("got %v", err)
	}
}

func TestReport(t *testing.T) {
	r := into(t, private(t), sites(t), Options{}, perNode)
	if len(r.Nodes) != 5 || r.Nodes[3].Node != "lb-n4" || len(r.Nodes[3].Reasons) != 1 || r.Nodes[3].Ends.Format(time.DateOnly) != "2028-01-31" {
		t.Errorf("it reports %+v", r.Nodes)
	}
}
