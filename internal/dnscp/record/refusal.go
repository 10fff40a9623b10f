package record

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"banyan/internal/dnscp/config"
)

// refused is the error of an update that a server answered and did not take.
type refused struct{ error }

func (e refused) Unwrap() error { return e.error }

func isRefusal(err error) bool { return errors.As(err, new(refused)) }

// errChanged is why a server does not take an update whose record is not what was seen.
var errChanged = errors.New("it has another record than it has shown: does another host keep the name too? or does the server have views " +
	"(it shows one and updates another), is the name a wildcard's, or is this a secondary server that hands updates on " +
	"(name the primary one under dns.servers)?")

// over is the error of a name that may not be written any more.
type over struct{ error }

func (e over) Unwrap() error { return e.error }

// refusal is why a server did not take an update, and what to do, or nil where it says that
// it did. auth is how the update was authorized, and now the time of this host.
func refusal(answer *dns.Msg, auth config.Auth, now time.Time) error {
	if answer.Rcode == dns.RcodeSuccess {
		return nil
	}
	if answer.Rcode == dns.RcodeYXRrset || answer.Rcode == dns.RcodeNXRrset {
		return refused{errChanged}
	}
	if t := answer.IsTsig(); t != nil && t.Error != 0 {
		return refused{signature(t, now)}
	}
	keys := map[config.Auth]string{
		config.AuthNone:    "or wants a signature: name the zone's primary server under dns.servers, and correct dns.zone or dns.auth",
		config.AuthTSIG:    "or knows no such key: name the zone's primary server under dns.servers, and correct dns.zone or dns.key_name",
		config.AuthGSSTSIG: "or does not take the account's signature: name the zone's primary server under dns.servers, and correct dns.zone",
	}
	advice := map[int]string{
		dns.RcodeRefused: "the zone allows no updates from this host, or with this key or account: allow them at the server " +
			"(allow-update or update-policy in BIND, the record's permissions in Active Directory)",
		dns.RcodeNotAuth:        "it does not have the zone, " + keys[auth],
		dns.RcodeNotZone:        "the name is not in that zone: correct dns.zone",
		dns.RcodeNotImplemented: "it takes no updates: name the zone's primary server under dns.servers",
		dns.RcodeServerFailure:  "it failed to write the zone: the record may be another account's (in Samba's Active Directory), or else its own log says why",
		dns.RcodeFormatError:    "it does not understand the update: its own log may say why",
	}[answer.Rcode]
	if advice == "" {
		advice = "its own log may say why"
	}
	return refused{fmt.Errorf("it answers %s: %s", rcode(answer.Rcode), advice)}
}

// signature is what a server has against a signature: RFC 8945, 5.2.
func signature(t *dns.TSIG, now time.Time) error {
	key, algorithm := person(t.Hdr.Name), person(t.Algorithm)
	if canonical(t.Algorithm) == gssTSIG && (t.Error == dns.RcodeBadKey || t.Error == dns.RcodeBadSig) {
		return fmt.Errorf("%s: it does not take the signature of the account in a context that it has just made: "+
			"is it one server behind that address, and not several? its own log may say why", rcode(int(t.Error)))
	}
	switch t.Error {
	case dns.RcodeBadKey:
		return fmt.Errorf("BADKEY: it has no key %s with %s: correct dns.key_name or dns.algorithm, or give it the key", key, algorithm)
	case dns.RcodeBadSig:
		return fmt.Errorf("BADSIG: its key %s is another one: correct the secret in dns.secret_file, or the server's", key)
	case dns.RcodeBadTime:
		return fmt.Errorf("BADTIME: the clocks differ by more than %d s%s: correct them", fudge, serverTime(t, now))
	case dns.RcodeBadTrunc:
		return fmt.Errorf("BADTRUNC: it wants a longer signature than %s: correct dns.algorithm", algorithm)
	}
	return fmt.Errorf("it answers %s to the signature: its own log may say why", rcode(int(t.Error)))
}

// serverTime is what a server's clock says, which comes with BADTIME: RFC 8945, 5.2.3.
func serverTime(t *dns.TSIG, now time.Time) string {
	data, err := hex.DecodeString(t.OtherData)
	if err != nil || len(data) != 6 {
		return ""
	}
	var seconds int64
	for _, b := range data {
		seconds = seconds<<8 | int64(b)
	}
	return fmt.Sprintf(", the server's says %s and this host's %s",
		time.Unix(seconds, 0).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
}

// kerberosErrors are those of Kerberos that there is something to do about: RFC 4120, 7.5.9. What
// the library returns has the code in its text alone.
var kerberosErrors = []struct {
	says    string
	advice  string // of {account} and {server}
	account bool   // it is against the account itself, so that any other KDC would say the same
}{
	{"KDC_ERR_PREAUTH_FAILED", "the password in dns.secret_file is not that of {account}", true},
	{"KDC_ERR_C_PRINCIPAL_UNKNOWN", "there is no account {account}: make it, or correct dns.account", true},
	{"KDC_ERR_CLIENT_REVOKED", "the account {account} is disabled or locked: enable it", true},
	{"KDC_ERR_KEY_EXPIRED", "the password of {account} has expired: set a new one", true},
	{"KDC_ERR_S_PRINCIPAL_UNKNOWN", "the realm knows no service DNS/{server}: name the server by its own name under dns.servers", false},
	{"KRB_AP_ERR_SKEW", clocksDiffer, false},
	{"clock skew", clocksDiffer, false}, // by the library's own look at a ticket
	{"KDC_ERR_ETYPE_NOSUPP", "the account {account} has no key of a kind that is known here: allow AES for it and set its password anew", true},
}

const clocksDiffer = "the clocks of this host and the domain controller differ: correct them"

// kerberos adds to an error of Kerberos what to do.
func kerberos(err error, account, server string) error {
	for _, known := range kerberosErrors {
		if err != nil && strings.Contains(err.Error(), known.says) {
			advice := strings.NewReplacer("{account}", account, "{server}", server).Replace(known.advice)
			return fmt.Errorf("%s: %w", advice, err)
		}
	}
	return err
}

// ofAccount tells whether a KDC has something against the account itself.
func ofAccount(err error) bool {
	for _, known := range kerberosErrors {
		if known.account && strings.Contains(err.Error(), known.says) {
			return true
		}
	}
	return false
}
