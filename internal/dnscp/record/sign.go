package record

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"

	"banyan/internal/dnscp/config"
)

// way is one to have an update taken.
type way struct {
	name string // as an Outcome has it
	send sender
}

// sender sends an update of a zone, if still has nothing against it. Where any of it may have
// reached the server, that is sent. The error is a refusal where the server did not take it.
type sender func(ctx context.Context, z zone, server Server, update *dns.Msg, still func() error) (sent bool, err error)

// hopeless is the error of a way that ends nowhere with any server.
type hopeless struct{ error }

func (e hopeless) Unwrap() error { return e.error }

// ways are those that the configuration has, in the order in which they are tried.
func (u *Updater) ways() []way {
	plain := way{string(config.AuthNone), u.sendAs(config.AuthNone)}
	switch u.dns.Auth {
	case config.AuthTSIG:
		return []way{{string(config.AuthTSIG), u.sendAs(config.AuthTSIG)}}
	case config.AuthGSSTSIG:
		ways := []way{{string(config.AuthGSSTSIG), u.sendWithAccount}}
		if u.dns.NSUpdate {
			ways = append(ways, way{"nsupdate -g", u.sendByNSUpdate})
		}
		if u.options.Plain {
			ways = append(ways, plain)
		}
		return ways
	}
	return []way{plain}
}

// sendAs sends updates with no signature, or signed with the TSIG key: RFC 8945.
func (u *Updater) sendAs(auth config.Auth) sender {
	return func(ctx context.Context, _ zone, server Server, m *dns.Msg, still func() error) (sent bool, err error) {
		p, err := u.packed(m, auth == config.AuthTSIG)
		if err != nil {
			return false, err
		}
		p.still = still
		return u.send(ctx, server, p, auth)
	}
}

// keyed tells whether there is a key. Questions to the zone's servers are signed with it too, since
// they may have views that are chosen by it:
// https://bind9.readthedocs.io/en/latest/reference.html#namedconf-statement-match-clients
func (u *Updater) keyed() bool { return u.dns.Auth == config.AuthTSIG }

// packed is a message to send, which may be signed with the key.
func (u *Updater) packed(m *dns.Msg, sign bool) (packed, error) {
	m = m.Copy()
	m.Id = dns.Id()
	if !sign {
		wire, err := m.Pack()
		return packed{id: m.Id, wire: wire}, err
	}
	key, err := u.key()
	if err != nil {
		return packed{}, hopeless{err}
	}
	m.SetTsig(canonical(u.dns.KeyName), dns.Fqdn(string(u.dns.Algorithm)), fudge, time.Now().Unix())
	wire, _, err := dns.TsigGenerate(m, key, "", false)
	if err != nil {
		return packed{}, hopeless{fmt.Errorf("sign with the key %s: %w", u.dns.KeyName, err)}
	}
	return packed{id: m.Id, wire: wire}, nil
}

// fudge is by how many seconds the clocks may differ: RFC 8945, 10.
const fudge = 300

// send sends an update. It goes by TCP, where none is repeated or comes late, and tokens of any
// size have room.
func (u *Updater) send(ctx context.Context, server Server, p packed, auth config.Auth) (sent bool, err error) {
	answer, sent, err := u.exchange(ctx, "tcp", server.Address, p, u.limits.exchange)
	if err != nil {
		return sent, err
	}
	return true, refusal(answer, auth, time.Now())
}

// key is the TSIG key, in base64. It is read each time, so that a file that was replaced counts.
func (u *Updater) key() (string, error) {
	data, err := os.ReadFile(u.dns.SecretFile)
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(data))
	if b, err := base64.StdEncoding.DecodeString(key); err != nil || len(b) == 0 {
		// What the file holds instead may be a secret too.
		return "", fmt.Errorf("%s holds no key in base64: write that alone into it, as tsig-keygen(8) has it behind secret", u.dns.SecretFile)
	}
	return key, nil
}

// password is that of the account, read each time likewise.
func (u *Updater) password() (string, error) {
	data, err := os.ReadFile(u.dns.SecretFile)
	if err != nil {
		return "", err
	}
	line := bytes.TrimRight(data, "\r\n")
	if len(line) == 0 || bytes.ContainsAny(line, "\r\n\x00") {
		return "", fmt.Errorf("%s holds no password: write that alone into it, on one line", u.dns.SecretFile)
	}
	return string(line), nil
}
