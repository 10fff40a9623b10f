package record

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"

	"banyan/internal/command"
)

// sendByNSUpdate has nsupdate(1) send an update, with the Kerberos of the distribution.
func (u *Updater) sendByNSUpdate(ctx context.Context, z zone, server Server, m *dns.Msg) (sent bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, nsupdateTime, fmt.Errorf("not done within %v", nsupdateTime))
	defer cancel()
	password, err := u.password()
	if err != nil {
		return false, hopeless{err}
	}
	r, err := u.realm(ctx, z)
	if err != nil {
		return false, hopeless{err}
	}
	dir, err := os.MkdirTemp("", "dnscp-") // 0700
	if err != nil {
		return false, hopeless{err}
	}
	defer os.RemoveAll(dir) // the tickets in it are good for hours
	var kdcs []string
	for _, kdc := range r.kdcs {
		kdcs = append(kdcs, kdc.Address.String())
	}
	config := filepath.Join(dir, "krb5.conf")
	if err := os.WriteFile(config, []byte(krb5conf(r.name, kdcs...)), 0o600); err != nil {
		return false, hopeless{err}
	}
	env := []string{"LC_ALL=C.UTF-8", "KRB5_CONFIG=" + config, "KRB5CCNAME=FILE:" + filepath.Join(dir, "cache")}
	_, err = command.Command{Name: "kinit", Args: []string{"--", u.account() + "@" + r.name}, Env: env, Stdin: strings.NewReader(password + "\n")}.Run(ctx)
	if err != nil {
		return false, hopeless{fmt.Errorf("log in as %s@%s: %w", u.account(), r.name, err)}
	}
	script := nsupdateScript(r.name, server, m)
	_, err = command.Command{Name: "nsupdate", Args: []string{"-g", "-v"}, Env: env, Stdin: strings.NewReader(script)}.Run(ctx)
	if err == nil || strings.Contains(err.Error(), "tsig verify failure") { // of the answer, see the package's comment
		return true, nil
	}
	if strings.Contains(err.Error(), "update failed: NXRRSET") || strings.Contains(err.Error(), "update failed: YXRRSET") {
		err = errChanged
	}
	return true, refused{err}
}

// nsupdateTime is for logging in and an update together.
const nsupdateTime = 20 * time.Second

// nsupdateScript says in nsupdate's words what an update does.
func nsupdateScript(realm string, server Server, m *dns.Msg) string {
	var b strings.Builder
	fmt.Fprintf(&b, "realm %s\nserver %s %d\nzone %s\n", realm, server.Address.Addr(), server.Address.Port(), m.Question[0].Name)
	for _, rr := range m.Answer {
		h := rr.Header()
		if h.Class == dns.ClassNONE {
			fmt.Fprintf(&b, "prereq nxrrset %s %s\n", h.Name, dns.TypeToString[h.Rrtype])
			continue
		}
		fmt.Fprintf(&b, "prereq yxrrset %s %s %s\n", h.Name, dns.TypeToString[h.Rrtype], dns.Field(rr, 1))
	}
	for _, rr := range m.Ns {
		h := rr.Header()
		if h.Class == dns.ClassANY {
			fmt.Fprintf(&b, "update delete %s %s\n", h.Name, dns.TypeToString[h.Rrtype])
			continue
		}
		fmt.Fprintf(&b, "update add %s %d %s %s\n", h.Name, h.Ttl, dns.TypeToString[h.Rrtype], dns.Field(rr, 1))
	}
	b.WriteString("send\n")
	return b.String()
}
