package record

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	wrapper "github.com/bodgit/gssapi"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/miekg/dns"
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
func (u *Updater) sendWithAccount(ctx context.Context, z zone, server Server, m *dns.Msg) (sent bool, err error) {
	host, err := u.principal(ctx, z, server)
	if err != nil {
		return false, err
	}
	c, err := u.logIn(ctx, z)
	if err != nil {
		return false, hopeless{kerberos(err, u.account(), host)}
	}
	defer c.close()
	key, err := u.negotiate(ctx, c, server, host)
	if err != nil {
		return false, kerberos(err, u.account(), host)
	}
	m = m.Copy()
	m.Id = dns.Id()
	m.SetTsig(key, gssTSIG, fudge, time.Now().Unix())
	wire, _, err := dns.TsigGenerateWithProvider(m, signer{c.initiator}, "", false)
	if err != nil {
		return false, fmt.Errorf("sign the update: %w", err)
	}
	return u.send(ctx, server, m.Id, wire)
}

// credentials are those of an account that has logged in.
type credentials struct {
	initiator *wrapper.Initiator
	relay     *relay // to the KDC that knows it
}

func (c credentials) close() {
	_ = c.initiator.Close() // which returns nil
	c.relay.close()
}

// logIn gets the account a ticket of its realm, from the first KDC that can be talked to.
func (u *Updater) logIn(ctx context.Context, z zone) (credentials, error) {
	password, err := u.password()
	if err != nil {
		return credentials{}, err
	}
	r, err := u.realm(ctx, z)
	if err != nil {
		return credentials{}, err
	}
	var errs []error
	for _, kdc := range r.kdcs {
		relay, err := u.relay(ctx, kdc.Address)
		if err != nil {
			return credentials{}, err
		}
		initiator, err := wrapper.NewInitiator(wrapper.WithConfig[wrapper.Initiator](krb5conf(r.name, relay.address())),
			wrapper.WithRealm[wrapper.Initiator](r.name), wrapper.WithUsername[wrapper.Initiator](u.account()),
			wrapper.WithPassword[wrapper.Initiator](password))
		if err == nil {
			return credentials{initiator, relay}, nil
		}
		relay.close()
		failed := relay.failed()
		err = fmt.Errorf("log in as %s@%s at the KDC %s: %w", u.account(), r.name, kdc, cmp.Or(failed, err))
		errs = append(errs, err)
		if ctx.Err() != nil {
			return credentials{}, context.Cause(ctx)
		}
		if failed == nil {
			break // the KDC has said something, and another would say the same
		}
	}
	return credentials{}, errors.Join(errs...)
}

// negotiate makes a context with a server, and returns the name of the key that this is: RFC 3645, 3.1.
func (u *Updater) negotiate(ctx context.Context, c credentials, server Server, host string) (key string, err error) {
	key = dns.Fqdn(fmt.Sprintf("%d.sig-%s", rand.Uint32(), host)) //nolint:gosec // it has to be new, not secret
	const flags = gssapi.ContextFlagMutual | gssapi.ContextFlagReplay | gssapi.ContextFlagInteg
	token, more, err := c.initiator.Initiate("DNS/"+host, flags, nil)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", fmt.Errorf("get a ticket for DNS/%s: %w", host, cmp.Or(c.relay.failed(), err))
	}
	for more {
		answer, err := u.exchangeToken(ctx, server, key, token)
		if err != nil {
			return "", fmt.Errorf("negotiate: %w", err)
		}
		if token, more, err = c.initiator.Initiate("DNS/"+host, flags, answer); err != nil {
			return "", fmt.Errorf("negotiate: %w", err)
		}
	}
	return key, nil
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
	answer, _, err := u.exchange(ctx, "tcp", server.Address, m.Id, wire, u.limits.exchange)
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
		default:
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
