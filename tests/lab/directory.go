//go:build lab

package lab

import (
	"crypto/rand"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
)

// directory is a domain of Active Directory with one controller, Samba's, which is its server of DNS.
type directory struct {
	*nameserver
	realm string
}

// newSamba starts the domain of the zone's name, whose controller is dc1.ZONE. It takes updates that
// are signed with an account of the domain, and no other.
func newSamba(t testing.TB, n *network, addr netip.Addr) *directory {
	t.Helper()
	d := &directory{newNameserver(t, n, "dc1", addr), strings.ToUpper(recordZone)}
	workgroup, _, _ := strings.Cut(d.realm, ".")
	d.run("samba-tool", "domain", "provision", "--quiet", "--targetdir=/srv", "--realm="+d.realm, "--domain="+workgroup,
		"--host-name=dc1", "--host-ip="+addr.String(), "--server-role=dc", "--dns-backend=SAMBA_INTERNAL",
		"--option=interfaces=lo eth0", "--option=bind interfaces only=yes", "--option=server services=dns,kdc")
	d.start("samba", "--foreground", "--no-process-group", "--configfile=/srv/etc/smb.conf", "--debug-stdout")
	return d
}

// createComputer makes an account of a computer, NAME$, and returns the file with its password.
func (d *directory) createComputer(name string) (passwordFile string) {
	d.t.Helper()
	password := rand.Text() + "-a1"
	d.run("samba-tool", "computer", "create", name, "--configfile=/srv/etc/smb.conf")
	d.setPassword(name, password)
	file := "password-" + name
	d.write(file, password+"\n")
	return filepath.Join(d.dir, file)
}

// setPassword sets the password of a computer's account.
func (d *directory) setPassword(name, password string) {
	d.t.Helper()
	d.run("samba-tool", "user", "setpassword", name+"$", "--newpassword="+password, "--configfile=/srv/etc/smb.conf")
}
