package source

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"banyan/internal/strict"
	"banyan/seeds"
)

// Fetcher fetches seeds from a network that may still be coming up.
//
// By https the server's certificate is one of the system's authorities', or else its
// key, or that of an authority whose certificate the server sends with its own, is
// pinned: "sha256:" and the SHA-256 of the SubjectPublicKeyInfo, in hex, as
//
//	openssl x509 -in server.crt -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum
//
// prints it. What has come by http anybody on the way could read and change: it has
// to be encrypted, and its checksum to be known.
type Fetcher struct {
	Roots *x509.CertPool // nil for the system's
	// Signed is where every seed has to be signed, which does for a checksum.
	Signed bool
	// Patience is how long the first call goes on trying, so that the seed which is
	// named comes before those which lie about. Later calls try once, and less and less
	// often, since other places are looked at in between.
	Patience time.Duration

	// transport takes the place of the network in a test.
	transport roundTripper

	next time.Time     // when it is tried again
	wait time.Duration // after the next failure
	last error
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

const (
	attempt  = 10 * time.Second // for one try
	shortest = time.Second      // between tries
	longest  = time.Minute
)

// Fetch fetches the file that n names.
func (f *Fetcher) Fetch(ctx context.Context, n Named) ([]byte, error) {
	now := time.Now()
	if now.Before(f.next) {
		return nil, f.last
	}
	until := now // from the second call on
	if f.wait == 0 {
		f.wait, until = shortest, now.Add(f.Patience)
	}
	for {
		data, err := f.try(ctx, n)
		if err == nil {
			return data, nil
		}
		f.last, f.next = err, time.Now().Add(f.wait)
		f.wait = min(2*f.wait, longest)
		if errors.As(err, new(finalError)) || f.next.After(until) {
			return nil, err
		}
		again := time.NewTimer(time.Until(f.next))
		select {
		case <-ctx.Done():
			again.Stop()
			return nil, context.Cause(ctx)
		case <-again.C:
		}
	}
}

// finalError is of a file that was fetched, and will be no better next time.
type finalError struct{ error }

// try fetches once.
func (f *Fetcher) try(ctx context.Context, n Named) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, attempt, fmt.Errorf("no whole answer within %v", attempt))
	defer cancel()
	plain := false
	refused := func(u *url.URL) error {
		switch {
		case u.Scheme != "http" && u.Scheme != "https":
			return finalError{fmt.Errorf("%s is no scheme for a seed: name it by http or https", u.Scheme)}
		case u.User != nil:
			return finalError{errors.New("a URL with a password is shown to everybody: name the seed by one without")}
		}
		plain = plain || u.Scheme == "http"
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.At, nil)
	if err != nil {
		return nil, finalError{errors.New("not a URL")}
	}
	if err := refused(request.URL); err != nil {
		return nil, err
	}
	real := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: f.Roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	if n.Pin != "" {
		key, err := parsePin(n.Pin)
		if err != nil {
			return nil, finalError{err}
		}
		real.DialTLSContext = key.dial
	}
	var transport http.RoundTripper = real
	if f.transport != nil {
		transport = f.transport
	}
	client := &http.Client{
		Transport: transport,
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if len(via) >= 5 {
				return errors.New("more than five redirects")
			}
			if via[len(via)-1].URL.Scheme == "https" && next.URL.Scheme != "https" {
				return finalError{errors.New("refused: it redirects from https to " + next.URL.Scheme)}
			}
			return refused(next.URL)
		},
	}
	response, err := client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		var shown *url.Error
		if errors.As(err, &shown) { // which repeats the URL, that stands before it
			err = shown.Err
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server says %s", response.Status)
	}
	data, err := seeds.ReadText(response.Body)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	case len(data) > strict.MaxSize:
		return nil, finalError{fmt.Errorf("larger than %d KiB: this is not a seed", strict.MaxSize>>10)}
	case plain && !seeds.IsEncrypted(data):
		return nil, finalError{errors.New("refused: by http everybody on the way can read its secrets; use https, or encrypt it")}
	case plain && n.SHA256 == "" && !f.Signed:
		return nil, finalError{errors.New("refused: by http anybody on the way can put another in its place; use https, or name its checksum (banyan.seed.sha256=)")}
	}
	if err := n.check(data); err != nil {
		return nil, finalError{err}
	}
	return data, nil
}

// check compares a file with the checksum that was named for it.
func (n Named) check(data []byte) error {
	if n.SHA256 == "" {
		return nil
	}
	if sum := sha256.Sum256(data); !strings.EqualFold(hex.EncodeToString(sum[:]), n.SHA256) {
		return fmt.Errorf("its SHA-256 is %x, and not the one that was named", sum)
	}
	return nil
}

// shown is n.At without what may be secret in a URL.
func (n Named) shown() string {
	if !n.IsURL() {
		return n.At
	}
	u, err := url.Parse(n.At)
	if err != nil {
		return "URL"
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return shown.String()
}

// pinned is the SHA-256 of the key that is pinned.
type pinned [sha256.Size]byte

func parsePin(pin string) (pinned, error) {
	digest, ok := strings.CutPrefix(strings.ToLower(pin), "sha256:")
	key, err := hex.DecodeString(digest)
	if !ok || err != nil || len(key) != sha256.Size {
		return pinned{}, errors.New(`the pin is not "sha256:" and 64 hexadecimal digits`)
	}
	return pinned(key), nil
}

// dial connects to a server with the pinned key. The host is that of the address,
// also after a redirect: the connection's own ServerName is empty for an IP address.
func (p pinned) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	config.InsecureSkipVerify = true // check takes its place
	config.VerifyConnection = func(c tls.ConnectionState) error { return p.check(c.PeerCertificates, host) }
	return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
}

// check takes a server whose key is pinned, whatever its certificate says, or one
// whose certificate is for the host, and of an authority with the pinned key.
func (p pinned) check(sent []*x509.Certificate, host string) error {
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	found := false
	for i, cert := range sent {
		is := sha256.Sum256(cert.RawSubjectPublicKeyInfo) == p
		switch {
		case is && i == 0:
			return nil
		case is:
			roots.AddCert(cert)
			found = true
		case i > 0:
			others.AddCert(cert)
		}
	}
	if !found {
		return errors.New("refused: neither the server's key nor that of an authority which it sends is the pinned one")
	}
	if _, err := sent[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: others}); err != nil {
		return err
	}
	return sent[0].VerifyHostname(host) // by itself, since Verify takes any name where the host is empty
}
