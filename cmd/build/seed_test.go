package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"banyan/seeds"
)

// build runs the program with arguments that are separated by spaces. There is no
// terminal.
func build(t *testing.T, line string) error {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	stdin := os.Stdin
	os.Stdin = null
	defer func() { os.Stdin = stdin; null.Close() }()
	root := rootCommand()
	root.SetArgs(strings.Fields(line))
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	return root.ExecuteContext(t.Context())
}

func must(t *testing.T, line string) {
	t.Helper()
	if err := build(t, line); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
}

// refused makes sure that the program says what it has to, and no secret.
func refused(t *testing.T, line, want string) {
	t.Helper()
	if err := build(t, line); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "change-me") {
		t.Errorf("%s: want %s, got %v", line, want, err)
	}
}

func save(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func stat(t *testing.T, name string) unix.Stat_t {
	t.Helper()
	var s unix.Stat_t
	if err := unix.Stat(name, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSeedSign(t *testing.T) {
	t.Chdir(t.TempDir())
	save(t, "empty", "\n", 0o600)
	must(t, "seed keygen --output ours --no-password")
	must(t, "seed keygen --output theirs --no-password")
	for name, mode := range map[string]os.FileMode{"ours.key": 0o600, "ours.pub": 0o644} {
		if info, err := os.Stat(name); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	refused(t, "seed keygen --output ours --password-file empty", "ours.key is there")
	refused(t, "seed keygen --output new", "--password-file")
	refused(t, "seed keygen --output new --password-file empty", "empty is empty: write a password into it")

	save(t, "a.yaml", seeds.Example, 0o600)
	save(t, "real.yaml", seeds.Example, 0o640)
	if err := os.Symlink("real.yaml", "b.yaml"); err != nil {
		t.Fatal(err)
	}
	refused(t, "seed verify a.yaml b.yaml --key ours.pub", "a.yaml is not signed")
	must(t, "seed sign a.yaml b.yaml --key ours.key")
	must(t, "seed verify a.yaml b.yaml --key ours.pub")
	must(t, "seed sign a.yaml --key ours.key")
	must(t, "seed verify a.yaml real.yaml --key ours.pub")
	for name, mode := range map[string]os.FileMode{"a.yaml": 0o600, "real.yaml": 0o640} {
		if info, err := os.Stat(name); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if os.Geteuid() == 0 { // who signs another's file leaves it theirs
		if err := os.Chown("a.yaml", 1234, 4321); err != nil {
			t.Fatal(err)
		}
		must(t, "seed sign a.yaml --key ours.key")
		if owner := stat(t, "a.yaml"); owner.Uid != 1234 || owner.Gid != 4321 {
			t.Errorf("it is owned by %d:%d", owner.Uid, owner.Gid)
		}
	}
	refused(t, "seed verify /dev/zero --key ours.pub", "/dev/zero is larger than 1024 KiB")
	refused(t, "seed sign /dev/zero --key ours.key", "/dev/zero is no file that a signature could be written to")
	refused(t, "seed verify a.yaml --key theirs.pub", "a.yaml is signed by another key")
	refused(t, "seed verify a.yaml --key ours.key", "ours.key is a secret key")
	refused(t, "seed sign a.yaml --key ours.pub", "ours.pub is no secret key")
	refused(t, "seed sign a.yaml", `"key" not set`)
	save(t, "changed.yaml", strings.Replace(content(t, "a.yaml"), "pgsql-n1", "pgsql-n2", 1), 0o600)
	refused(t, "seed verify a.yaml changed.yaml --key ours.pub", "changed.yaml was changed since")

	// All are signed, or none.
	before := content(t, "a.yaml")
	save(t, "bad.yaml", strings.Replace(seeds.Example, "nodes:", "nodse:", 1), 0o600)
	refused(t, "seed sign a.yaml bad.yaml --key theirs.key", `bad.yaml:`)
	save(t, "c.yaml.age", "age-encryption.org/v1\n", 0o600)
	refused(t, "seed sign a.yaml c.yaml.age --key theirs.key", "c.yaml.age: the seed is encrypted: sign it first")
	if content(t, "a.yaml") != before {
		t.Error("one of two was signed")
	}

	// A key with a password; the other tests' keys have none, which costs less.
	save(t, "locked.key", `untrusted comment: minisign encrypted secret key
RWRTY0IyAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8AgAAAAAAAAAAAAAEAAAAAJg5AM5vc1e/I1OqhiO8mxZEEfiuNo8zRRaXFV4l2W58prLEg/JhiYlQMyHu1H5cII6Hz0Nww7c5GgJl9GwKiqrrRdovKtrHPe4Bu3RhXqLy6FNelUYy7xog3431pr2PyNE07iimWie0=
`, 0o600)
	save(t, "right", "correct horse\r\n", 0o600)
	refused(t, "seed sign a.yaml --key locked.key", "there is no terminal to ask for the password on: name a file that holds it with --password-file")
	refused(t, "seed sign a.yaml --key locked.key --password-file empty", "the password of locked.key is wrong")
	must(t, "seed sign a.yaml --key locked.key --password-file right")
}

func TestSeedWrite(t *testing.T) {
	t.Chdir(t.TempDir())
	save(t, "a.yaml", seeds.Example, 0o600)
	save(t, "b.yaml", seeds.Example, 0o600)
	save(t, "bad.yaml", strings.Replace(seeds.Example, "nodes:", "nodse:", 1), 0o600)
	must(t, "seed write a.yaml --output seed.img")
	must(t, "seed write a.yaml b.yaml --output seed.iso --json")
	refused(t, "seed write a.yaml bad.yaml --output bad.img", "bad.yaml:")
	refused(t, "seed write a.yaml", "at least one of the flags")
	refused(t, "seed write a.yaml --output x.img --image y.img", "none of the others can be")
	refused(t, "seed write a.yaml --output x.img --format", "--format is for a --device")
	refused(t, "seed write a.yaml --image seed.img", "seed.img has no partition named BANYAN")
	refused(t, "seed write a.yaml --device seed.img", "seed.img is no disk")
	made, err := filepath.Glob("*.i[ms][go]")
	if err != nil || strings.Join(made, " ") != "seed.img seed.iso" {
		t.Errorf("there are %q, %v", made, err)
	}
}

func TestImageTakesNoKeyButAPublicOne(t *testing.T) {
	t.Chdir(t.TempDir())
	save(t, "empty", "", 0o600)
	must(t, "seed keygen --output ours --no-password")
	refused(t, "image --seed-key ours.key", "ours.key is a secret key")
	refused(t, "image --seed-key empty", "empty is no public key of minisign")
	refused(t, "image --seed-key none.pub", "none.pub")
}
