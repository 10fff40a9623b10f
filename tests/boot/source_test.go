//go:build boot

package boot

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"banyan/seeds"
	"banyan/tests/fixture"
)

// hold writes a file that QEMU passes on.
func hold(t *testing.T, name, content string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// sources compares what became of each place, in order, with what is expected of it.
func (n *node) sources(want ...string) {
	n.Helper()
	var report struct{ Sources []seeds.Outcome }
	out := n.root("firstboot status --json || true")
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		n.Fatal(err)
	}
	var got strings.Builder
	for _, o := range report.Sources {
		fmt.Fprintf(&got, "%s: %t %s\n", o.Source, o.Found, strings.ReplaceAll(o.Reason, "\n", " | "))
	}
	if !regexp.MustCompile(`^(?:` + strings.Join(want, `.*\n`) + `.*\n)$`).MatchString(got.String()) {
		n.Errorf("the places were\n%s\nwant\n%s", got.String(), strings.Join(want, "\n"))
	}
}

// TestSources has a seed in each place that hardware and a hypervisor offer. The one
// in SMBIOS is the first that fits; the newer one behind it takes its place, as that
// one wishes; and what a stick brings later is another cluster's.
func TestSources(t *testing.T) {
	t.Parallel()
	seed, disk := newSeed(t, "reconfigure: automatic\n"), newDisk(t)
	// Two other machines of a rack, and by chance the same password.
	rack := fixture.MintUniversal(t, fmt.Sprintf(`version: banyan/v1
cluster: {name: pgsql-cl}
nodes:
  - {name: pgsql-n7, address: 10.0.2.17/24, match: {mac: "52:54:00:00:00:07"}}
  - {name: pgsql-n8, address: 10.0.2.18/24, match: {serial: CZ8}}
secrets: {superuser_password: %s}
`, seed.cluster.Secrets["superuser_password"]))
	for name, secret := range rack.Secrets {
		seed.cluster.Secrets["the rack's "+name] = secret
	}
	disk.dropSeed(t, rack.Seeds[fixture.Universal].Text)
	first := seed.next(t, "Europe/Moscow", "Asia/Vladivostok") // the second generation
	encoded := base64.StdEncoding.EncodeToString([]byte(first))
	half := len(encoded) / 2
	m := startWith(t, disk, uefi, extra{args: []string{
		"-smbios", "type=1,serial=CZ12345678,uuid=4c4c4544-0051-3510-8052-b4c04f4a3432",
		"-smbios", "type=11,path=" + hold(t, "0", "io.banyan.seed.0="+encoded[:half]) + ",path=" + hold(t, "1", "io.banyan.seed.1="+encoded[half:]),
		"-fw_cfg", "name=opt/banyan/seed,file=" + hold(t, "2", seed.next(t)),
	}})
	m.waitFor(ready, birthTime)
	n := login(t, m, seed)
	n.check() // of the third generation's time zone, among others
	const (
		kernel    = `kernel parameter banyan\.seed: false not present`
		partition = `BANYAN partition /dev/vda3: false `
		misfit    = partition + `seed\.yaml does not fit this machine: \| nodes: none of the 2 nodes is this machine by its match; .* \|     match: \|       ` +
			`mac: "52:54:00:12:34:56" \|       serial: "CZ12345678" \|       uuid: "4c4c4544-0051-3510-8052-b4c04f4a3432"`
		rest = `credential banyan\.seed: false not present`
		etc  = `directory /etc/banyan: false (not present|holds no seed\.yaml)`
		own  = `sealed seed: true`
	)
	n.sources(kernel, misfit, `volume BANYAN-SEED or CIDATA: false not present`, `SMBIOS OEM strings: false the seed that is sealed here`,
		`QEMU fw_cfg: false .*generation 3.*`, rest, etc, own)

	const foreign = "6f1f0d9e-5b0c-4a3e-9a55-2f6f9a2f7f12"
	other := fixture.Mint(t, strings.Replace(seed.file, "{name: pgsql-cl}", "{name: pgsql-cl, id: "+foreign+"}", 1))
	stick := newISO(t, map[string]string{"seeds/52-54-00-12-34-56.yaml": other.Seeds["pgsql-n1"].Text})
	m.plug(stick)
	n.root("udevadm wait --timeout=60 /dev/disk/by-label/BANYAN-SEED")
	n.root("systemctl restart banyan-firstboot && firstboot status --wait")
	n.sources(kernel, partition+`planted already`, `volume BANYAN-SEED /dev/sd[a-z]: false refused: it is of another cluster: its cluster\.id is `+foreign,
		`SMBIOS OEM strings: false refused: its generation 2 is older than 3`, `QEMU fw_cfg: false the seed that is sealed here`, rest, etc, own)
	m.powerOff()
	checkBanyan(t, disk, seed)
}

// newISO makes a USB stick with the image of a CD.
func newISO(t testing.TB, files map[string]string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "stick.iso")
	run(t, "xorrisofs", "-quiet", "-J", "-R", "-V", "BANYAN-SEED", "-o", name, writeFiles(t, files))
	return name
}

// TestSeedByURL fetches an encrypted seed by https, from a server whose key is pinned,
// and types its passphrase. Until there is a seed only DHCP gives the machine an
// address, and it is another than the seed's.
func TestSeedByURL(t *testing.T) {
	t.Parallel()
	seed, disk := newSeed(t), newDisk(t)
	passphrase := crand.Text()
	seed.cluster.Secrets["passphrase"] = passphrase
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	recipient.SetWorkFactor(10) // for a processor that is emulated
	encrypted, err := seeds.Encrypt([]byte(seed.text), recipient)
	if err != nil {
		t.Fatal(err)
	}
	port, pin := serveSeed(t, encrypted)
	disk.setArguments(t, "banyan.seed=https://10.0.2.2:"+port+"/seed.age banyan.seed.pin="+pin)
	m := startWith(t, disk, bios, extra{network: "dhcpstart=10.0.2.30"})
	m.waitFor(regexp.MustCompile(`kernel parameter banyan\.seed https://10\.0\.2\.2:\d+/seed\.age:\s+seed\.age\s+cannot`), bootTime)
	m.answer("Passphrase of the seed", "a wrong one", time.Minute)
	m.waitFor(regexp.MustCompile(`the passphrase is wrong`), time.Minute)
	m.answer("Passphrase of the seed", passphrase, time.Minute)
	m.waitFor(ready, birthTime)
	n := login(t, m, seed)
	n.check()
	if got := n.root("ip -4 -o addr show scope global -secondary | awk '{print $4}'"); got != "10.0.2.15/24" { // but for the VIP
		t.Errorf("the addresses are %s", got)
	}
	if got := n.root("ls /run/systemd/network"); strings.Contains(got, "banyan") {
		t.Errorf("of the fetching there is left %s", got)
	}
	n.sources(`kernel parameter banyan\.seed https://10\.0\.2\.2:\d+/seed\.age: false not readable: not fetched`, `BANYAN partition /dev/vda3: false holds no seed`,
		`volume BANYAN-SEED or CIDATA: false not present`, `SMBIOS .*`, `QEMU .*`, `credential .*`, `directory .*`, `sealed seed: true`)
	m.powerOff()
	checkBanyan(t, disk, seed)
}

// serveSeed serves a file by https to machines, to which this one is 10.0.2.2, and
// returns the server's port and its pin.
func serveSeed(t *testing.T, content []byte) (port, pin string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pattern := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(10, 0, 2, 2)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(crand.Reader, pattern, pattern, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(content)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, fmt.Sprintf("sha256:%x", sha256.Sum256(made.RawSubjectPublicKeyInfo))
}
