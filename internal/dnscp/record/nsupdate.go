package record

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/miekg/dns"

	"banyan/internal/command"
)

// sendByNSUpdate has nsupdate(1) send an update, with the Kerberos of the distribution.
func (u *Updater) sendByNSUpdate(ctx context.Context, z zone, server Server, m *dns.Msg, still func() error) (sent bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, u.limits.nsupdate, fmt.Errorf("not done within %v", u.limits.nsupdate))
	defer cancel()
	t, err := u.kinit(ctx, z, server)
	if err != nil {
		return false, hopeless{err}
	}
	defer t.remove()
	if still != nil {
		if err := still(); err != nil {
			return false, over{err}
		}
	}
	script := nsupdateScript(t.realm, server, m)
	_, err = command.Command{Name: "nsupdate", Args: []string{"-g", "-v"}, Env: t.env, Stdin: strings.NewReader(script)}.Run(ctx)
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return true, err // the server may have taken it, and has not refused it
	case errors.Is(err, exec.ErrNotFound):
		return false, hopeless{err}
	case strings.Contains(err.Error(), "tsig verify failure"): // of the answer, see the package's comment
		return true, nil
	case strings.Contains(err.Error(), "update failed: NXRRSET"), strings.Contains(err.Error(), "update failed: YXRRSET"):
		err = errChanged
	}
	return true, refused{err}
}

// tickets are those of an account that has logged in by kinit(1), and where programs find them.
type tickets struct {
	realm string
	dir   string
	env   []string
}

// remove removes them, since they are good for hours.
func (t tickets) remove() { _ = os.RemoveAll(t.dir) } // in a directory of its user's alone

// kinit logs in by kinit(1). What fails, fails with any server.
func (u *Updater) kinit(ctx context.Context, z zone, server Server) (t tickets, err error) {
	password, err := u.password()
	if err != nil {
		return tickets{}, err
	}
	r, err := u.realm(ctx, z)
	if err != nil {
		return tickets{}, err
	}
	t = tickets{realm: r.name}
	if t.dir, err = os.MkdirTemp("", "dnscp-"); err != nil { // 0700
		return tickets{}, err
	}
	made := t // a return with an error overwrites t
	defer func() {
		if err != nil {
			made.remove()
		}
	}()
	var kdcs []string
	for _, kdc := range u.near(r.kdcs, server) {
		kdcs = append(kdcs, kdc.Address.String())
	}
	config := filepath.Join(t.dir, "krb5.conf")
	if err := os.WriteFile(config, []byte(krb5conf(r.name, true, kdcs...)), 0o600); err != nil {
		return tickets{}, err
	}
	t.env = []string{"LC_ALL=C.UTF-8", "KRB5_CONFIG=" + config, "KRB5CCNAME=FILE:" + filepath.Join(t.dir, "cache")}
	_, err = command.Command{Name: "kinit", Args: []string{"--", u.account() + "@" + r.name}, Env: t.env, Stdin: strings.NewReader(password + "\n")}.Run(ctx)
	if err != nil {
		return tickets{}, fmt.Errorf("log in as %s@%s: %w", u.account(), r.name, err)
	}
	return t, nil
}

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
