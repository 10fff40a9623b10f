package converge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// authority is a certificate of one, in PEM.
func authority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// ownDirectories lays a layer of the test's own over directories of this machine.
func ownDirectories(t *testing.T, dirs ...string) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	layers := t.TempDir()
	if err := unix.Mount("none", layers, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, dir := range append(dirs, layers) {
			if err := unix.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		}
	})
	for i, dir := range dirs {
		upper, work := filepath.Join(layers, string(rune('a'+i)), "upper"), filepath.Join(layers, string(rune('a'+i)), "work")
		for _, dir := range []string{upper, work} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Mount("none", dir, "overlay", 0, "lowerdir="+dir+",upperdir="+upper+",workdir="+work); err != nil {
			t.Fatal(err)
		}
	}
}

// fewAuthorities leaves three of the distribution's, none of the administrator's and none
// of what other packages do with them, as the whole takes seconds.
func fewAuthorities(t *testing.T) {
	t.Helper()
	const list, dir = "/etc/ca-certificates.conf", "/etc/ssl/certs"
	var few []string
	for name := range strings.Lines(content(t, list)) {
		if !strings.ContainsAny(name[:1], "#!\n") && len(few) < 3 {
			few = append(few, name)
		}
	}
	write(t, list, strings.Join(few, ""))
	links, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if link.Type()&fs.ModeSymlink == 0 {
			continue
		}
		if err := os.Remove(filepath.Join(dir, link.Name())); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{hooks, localCertificates} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	do(t, "update-ca-certificates")
}

func TestTrustStore(t *testing.T) {
	ownDirectories(t, "/etc", "/usr/local/share")
	m := Machine{Root: "/", Live: true}
	store := TrustStore{Dir: t.TempDir(), Names: []string{"0123.crt"}}
	fewAuthorities(t)
	before := content(t, bundle)
	if got := changes(apply(t, m, store)); len(got) > 0 {
		t.Errorf("without any: %q", got)
	}

	ours, theirs := authority(t), authority(t)
	write(t, filepath.Join(store.Dir, "0123.crt"), ours)
	write(t, filepath.Join(store.Dir, "readme.txt"), "no certificate")
	if err := os.Symlink("/gone.crt", filepath.Join(authorities, "gone.pem")); err != nil { // as of one that somebody removed
		t.Fatal(err)
	}
	if got := changes(apply(t, Machine{Root: "/"}, store)); len(got) > 0 {
		t.Errorf("off line: %q", got)
	}
	for _, want := range []string{bundle + ": add 0123.crt", ""} {
		if got := strings.Join(changes(apply(t, m, store)), "\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	// It is as the program itself would have made it.
	added := content(t, bundle)
	if said := do(t, "update-ca-certificates", "--localcertsdir", store.Dir); !strings.Contains(said, "0 added, 0 removed") || content(t, bundle) != added {
		t.Errorf("update-ca-certificates says %q, or it makes another bundle", said)
	}
	do(t, "openssl", "verify", "-CApath", authorities, filepath.Join(store.Dir, "0123.crt"))

	write(t, localCertificates+"/corp/theirs.crt", theirs)
	for _, want := range []string{bundle + ": add theirs.crt", ""} {
		if got := strings.Join(changes(apply(t, m, store)), "\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	after := content(t, bundle)
	for _, certificate := range []string{ours, theirs} {
		if strings.Count(after, certificate) != 1 {
			t.Error("the bundle lacks one, or has it twice")
		}
	}
	const end = "-----END CERTIFICATE-----\n"
	earlier := strings.SplitAfter(strings.TrimSpace(before)+"\n", end)
	if len(earlier) < 4 { // three, and what is behind the last
		t.Errorf("there were %d", len(earlier)-1)
	}
	for _, certificate := range earlier {
		if !strings.Contains(after, certificate) {
			t.Errorf("the bundle lacks\n%s", certificate)
		}
	}
	do(t, "openssl", "verify", "-CApath", authorities, filepath.Join(store.Dir, "0123.crt"))

	// Somebody made it without us; and it is made anew with what he added.
	do(t, "update-ca-certificates")
	write(t, localCertificates+"/later.crt", authority(t))
	for _, want := range []string{bundle + ": add 0123.crt, later.crt", ""} {
		if got := strings.Join(changes(apply(t, m, store)), "\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	write(t, localCertificates+"/last.crt", authority(t))
	if got := strings.Join(changes(apply(t, m, store)), "\n"); got != bundle+": add last.crt" {
		t.Errorf("%q", got)
	}

	// One that is trusted no longer, also where the run that took it out was cut off.
	store.Names = nil
	if err := os.Rename(filepath.Join(store.Dir, "0123.crt"), filepath.Join(store.Dir, "0123.crt"+formerSuffix)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(store.Dir, "4567.crt"), ours)
	for _, want := range []string{bundle + ": take out 0123.crt" + formerSuffix + ", 4567.crt", ""} {
		if got := strings.Join(changes(apply(t, m, store)), "\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if after := content(t, bundle); strings.Contains(after, ours) || !strings.Contains(after, theirs) {
		t.Error("the bundle has ours, or not theirs")
	}
}

func TestNoTrustStore(t *testing.T) {
	want := "step: skipped " + bundle + " (the package ca-certificates is not installed)"
	if got := summary(apply(t, liveMachine(t), TrustStore{Dir: "/ca"})); got[0] != want {
		t.Errorf("%q", got)
	}
}
