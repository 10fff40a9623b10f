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
	// send sends an update. Where any of it may have reached the server, that is sent. The
	// error is a refusal where the server did not take it.
	send func(ctx context.Context, server Server, update *dns.Msg) (sent bool, err error)
}

// hopeless is the error of a way that ends nowhere with any server.
type hopeless struct{ error }

func (e hopeless) Unwrap() error { return e.error }

// ways are those that the configuration has, in the order in which they are tried.
func (u *Updater) ways(z zone) []way {
	plain := way{string(config.AuthNone), u.sendPlain}
	switch u.dns.Auth {
	case config.AuthTSIG:
		return []way{{string(config.AuthTSIG), u.sendWithKey}}
	case config.AuthGSSTSIG:
		ways := []way{{string(config.AuthGSSTSIG), func(ctx context.Context, server Server, m *dns.Msg) (bool, error) {
			return u.sendWithAccount(ctx, z, server, m)
		}}}
		if u.dns.NSUpdate {
			ways = append(ways, way{"nsupdate -g", func(ctx context.Context, server Server, m *dns.Msg) (bool, error) {
				return u.sendByNSUpdate(ctx, z, server, m)
			}})
		}
		if u.options.Plain {
			ways = append(ways, plain)
		}
		return ways
	}
	return []way{plain}
}

// sendPlain sends an update with no signature.
func (u *Updater) sendPlain(ctx context.Context, server Server, m *dns.Msg) (sent bool, err error) {
	m = m.Copy()
	m.Id = dns.Id()
	wire, err := m.Pack()
	if err != nil {
		return false, err
	}
	return u.send(ctx, server, m.Id, wire)
}

// sendWithKey sends an update that is signed with a TSIG key: RFC 8945.
func (u *Updater) sendWithKey(ctx context.Context, server Server, m *dns.Msg) (sent bool, err error) {
	key, err := u.key()
	if err != nil {
		return false, hopeless{err}
	}
	m = m.Copy()
	m.Id = dns.Id()
	m.SetTsig(canonical(u.dns.KeyName), dns.Fqdn(string(u.dns.Algorithm)), fudge, time.Now().Unix())
	wire, _, err := dns.TsigGenerate(m, key, "", false)
	if err != nil {
		return false, hopeless{fmt.Errorf("sign the update: %w", err)}
	}
	return u.send(ctx, server, m.Id, wire)
}

// fudge is by how many seconds the clocks may differ: RFC 8945, 10.
const fudge = 300

// send sends an update. It goes by TCP, where none is repeated or comes late, and tokens of any
// size have room.
func (u *Updater) send(ctx context.Context, server Server, id uint16, wire []byte) (sent bool, err error) {
	answer, sent, err := u.exchange(ctx, "tcp", server.Address, id, wire, u.limits.exchange)
	if err != nil {
		return sent, err
	}
	return true, refusal(answer, time.Now())
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
	line := bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if len(line) == 0 || bytes.ContainsAny(line, "\r\n\x00") {
		return "", fmt.Errorf("%s holds no password: write that alone into it, on one line", u.dns.SecretFile)
	}
	return string(line), nil
}
