package record

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	wrapper "github.com/bodgit/gssapi"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/miekg/dns"

	"banyan/internal/dnscp/config"
)

// gssTSIG is the algorithm's name: RFC 3645, 2.
const gssTSIG = "gss-tsig."

// account is the one that updates are made by. A record of Active Directory belongs to whoever
// made it, so all hosts of a cluster have one, that of a computer of the record's name.
func (u *Updater) account() string {
	label, _, _ := strings.Cut(u.dns.Name, ".")
	return cmp.Or(u.dns.Account, strings.ToUpper(label)+"$")
}

// sendWithAccount sends an update that is signed in a context of Kerberos: RFC 3645. The context
// is made anew for each, since updates are rare and servers forget.
func (u *Updater) sendWithAccount(ctx context.Context, z zone, server Server, m *dns.Msg, still func() error) (sent bool, err error) {
	c, err := u.negotiate(ctx, z, server)
	if err != nil {
		return false, err
	}
	defer c.close()
	m = m.Copy()
	m.Id = dns.Id()
	m.SetTsig(c.key, gssTSIG, fudge, time.Now().Unix())
	wire, _, err := dns.TsigGenerateWithProvider(m, signer{c.initiator}, "", false)
	if err != nil {
		return false, fmt.Errorf("sign the update: %w", err)
	}
	return u.send(ctx, server, packed{m.Id, wire, still}, config.AuthGSSTSIG)
}

// negotiated is a context with a server, and the name of the key that this is.
type negotiated struct {
	credentials
	key string
}

// negotiate makes a context with a server: RFC 3645, 3.1.
func (u *Updater) negotiate(ctx context.Context, z zone, server Server) (negotiated, error) {
	host, err := u.principal(ctx, z, server)
	if err != nil {
		return negotiated{}, err
	}
	c, err := u.logIn(ctx, z, server, "DNS/"+host)
	if err != nil {
		return negotiated{}, kerberos(err, u.account(), host)
	}
	key := dns.Fqdn(fmt.Sprintf("%d.sig-%s", rand.Uint32(), host)) //nolint:gosec // it has to be new, not secret
	for token, more := c.token, true; more; {
		answer, err := u.exchangeToken(ctx, server, key, token)
		if err == nil {
			token, more, err = c.initiator.Initiate(c.service, contextFlags, answer)
		}
		if err != nil {
			c.close()
			return negotiated{}, kerberos(fmt.Errorf("negotiate: %w", err), u.account(), host)
		}
	}
	return negotiated{c, key}, nil
}

// contextFlags are what a context has to have: RFC 3645, 3.1.1.
const contextFlags = gssapi.ContextFlagMutual | gssapi.ContextFlagReplay | gssapi.ContextFlagInteg

// credentials are those of an account that has logged in, and the first token to a service,
// which has the account's ticket of it.
type credentials struct {
	initiator *wrapper.Initiator
	relay     *relay // to the KDC that knows it
	service   string
	token     []byte
}

func (c credentials) close() {
	_ = c.initiator.Close() // which returns nil
	c.relay.close()
}

// logIn gets the account a ticket of its realm and one of a service, from the first KDC that
// gives both. Where none does, and where a KDC has something against the account, it is hopeless
// also with other services.
func (u *Updater) logIn(ctx context.Context, z zone, server Server, service string) (credentials, error) {
	password, err := u.password()
	if err != nil {
		return credentials{}, hopeless{err}
	}
	r, err := u.realm(ctx, z)
	if err != nil {
		return credentials{}, hopeless{err}
	}
	var errs []error
	known := false // to a KDC, which has none for the service
	for _, kdc := range u.near(r.kdcs, server) {
		c, loggedIn, err := u.logInAt(ctx, r.name, kdc, service, password)
		if err == nil {
			u.preferKDC(kdc)
			return c, nil
		}
		if ctx.Err() != nil {
			return credentials{}, hopeless{context.Cause(ctx)}
		}
		known = known || loggedIn
		errs = append(errs, err)
		if ofAccount(err) {
			break
		}
	}
	if err = errors.Join(errs...); !known {
		err = hopeless{err}
	}
	return credentials{}, err
}

// logInAt does so at one KDC. Its errors are not those of a server of DNS, even where the two
// are one host.
func (u *Updater) logInAt(ctx context.Context, realm string, kdc Server, service, password string) (c credentials, loggedIn bool, err error) {
	relay, err := u.relay(ctx, kdc.Address)
	if err != nil {
		return credentials{}, false, err
	}
	initiator, err := wrapper.NewInitiator(wrapper.WithConfig[wrapper.Initiator](krb5conf(realm, false, relay.address())),
		wrapper.WithRealm[wrapper.Initiator](realm), wrapper.WithUsername[wrapper.Initiator](u.account()),
		wrapper.WithPassword[wrapper.Initiator](password))
	if err != nil {
		relay.close()
		return credentials{}, false, fmt.Errorf("log in as %s@%s at the KDC %s: %w", u.account(), realm, kdc, cmp.Or(relay.failed(), err))
	}
	c = credentials{initiator: initiator, relay: relay, service: service}
	if c.token, _, err = initiator.Initiate(service, contextFlags, nil); err != nil {
		c.close()
		return credentials{}, true, fmt.Errorf("get a ticket for %s at the KDC %s: %w", service, kdc, cmp.Or(relay.failed(), err))
	}
	return c, true, nil
}

// near are the KDCs in the order in which they are tried: the one at the server's own address, which
// has just been talked to, then the one that gave a ticket last, and then as DNS has them.
func (u *Updater) near(kdcs []Server, server Server) []Server {
	u.mu.Lock()
	last := u.kdc
	u.mu.Unlock()
	kdcs = slices.Clone(kdcs)
	slices.SortStableFunc(kdcs, func(a, b Server) int {
		at := server.Address.Addr()
		return cmp.Or(first(a.Address.Addr() == at, b.Address.Addr() == at), first(a.Address == last, b.Address == last))
	})
	return kdcs
}

func (u *Updater) preferKDC(kdc Server) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.kdc = kdc.Address
}

// exchangeToken gives a token to a server and gets one back, in TKEY records: RFC 2930, and RFC 3645, 3.1.2.
func (u *Updater) exchangeToken(ctx context.Context, server Server, key string, token []byte) ([]byte, error) {
	const negotiation = 3 // the mode: RFC 2930, 2.5
	now := uint32(time.Now().Unix())
	m := new(dns.Msg)
	m.Id = dns.Id()
	m.Question = []dns.Question{{Name: key, Qtype: dns.TypeTKEY, Qclass: dns.ClassANY}}
	m.Extra = []dns.RR{&dns.TKEY{
		Hdr:       dns.RR_Header{Name: key, Rrtype: dns.TypeTKEY, Class: dns.ClassANY},
		Algorithm: gssTSIG, Mode: negotiation, Inception: now, Expiration: now + 3600,
		KeySize: uint16(len(token)), Key: hex.EncodeToString(token),
	}}
	wire, err := m.Pack()
	if err != nil {
		return nil, err
	}
	answer, _, err := u.exchange(ctx, "tcp", server.Address, packed{id: m.Id, wire: wire}, u.limits.exchange)
	if err != nil {
		return nil, err
	}
	if answer.Rcode != dns.RcodeSuccess {
		return nil, fmt.Errorf("it answers %s: does it take part in the realm?", rcode(answer.Rcode))
	}
	for _, rr := range answer.Answer {
		tkey, ok := rr.(*dns.TKEY)
		switch {
		case !ok || canonical(tkey.Hdr.Name) != canonical(key):
		case tkey.Error != 0:
			return nil, fmt.Errorf("it answers %s: its own log may say why", rcode(int(tkey.Error)))
		case tkey.Key != "": // without one the library would begin anew, for ever
			return hex.DecodeString(tkey.Key)
		}
	}
	return nil, errors.New("it answers without a token: does it take part in the realm?")
}

// signer signs with a context. It is not asked to verify.
type signer struct{ initiator *wrapper.Initiator }

func (s signer) Generate(message []byte, _ *dns.TSIG) ([]byte, error) {
	return s.initiator.MakeSignature(message)
}

func (signer) Verify([]byte, *dns.TSIG) error { return errors.ErrUnsupported }
