package source

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"banyan/internal/strict"
)

const locked = "-----BEGIN AGE ENCRYPTED FILE-----\n" // that it can be opened is another's affair

// authority makes a certificate of an authority, one of a server at 127.0.0.1, and one
// of a server at another address.
func authority(t *testing.T) (ca *x509.Certificate, server, elsewhere tls.Certificate) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	sign := func(c, parent *x509.Certificate, public, by any) *x509.Certificate {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, c, parent, public, by)
		if err != nil {
			t.Fatal(err)
		}
		made, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	caKey := key()
	pattern := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	ca = sign(pattern, pattern, caKey.Public(), caKey)
	at := func(ip net.IP) tls.Certificate {
		ownKey := key()
		own := sign(&x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{ip}, DNSNames: []string{"elsewhere.example.org"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ca, ownKey.Public(), caKey)
		return tls.Certificate{Certificate: [][]byte{own.Raw, ca.Raw}, PrivateKey: ownKey, Leaf: own}
	}
	return ca, at(net.IPv4(127, 0, 0, 1)), at(net.IPv4(192, 0, 2, 1))
}

func pinOf(c *x509.Certificate) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(c.RawSubjectPublicKeyInfo))
}

// serve serves by http and by https.
func serve(t *testing.T, certificate tls.Certificate, handler http.Handler) (plain, secure string) {
	t.Helper()
	servers := [2]*httptest.Server{httptest.NewUnstartedServer(handler), httptest.NewUnstartedServer(handler)}
	servers[1].TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	for i, s := range servers {
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // what clients refuse
		if i == 0 {
			s.Start()
		} else {
			s.StartTLS()
		}
		t.Cleanup(s.Close)
	}
	return servers[0].URL, servers[1].URL
}

func TestFetch(t *testing.T) {
	ca, certificate, elsewhere := authority(t)
	otherCA, _, _ := authority(t)
	trusted := x509.NewCertPool()
	trusted.AddCert(ca)
	text := seedOf("pgsql-cl")
	sum := func(s string) string { return fmt.Sprintf("%X", sha256.Sum256([]byte(s))) }

	var plain, secure, another string
	mux := http.NewServeMux()
	for path, body := range map[string]string{"/seed.yaml": text, "/seed.age": locked, "/large": strings.Repeat("#", strict.MaxSize+1)} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	}
	mux.HandleFunc("/to-plain", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain+"/seed.yaml", http.StatusFound)
	})
	mux.HandleFunc("/to-secure", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, secure+"/seed.yaml", http.StatusFound)
	})
	mux.HandleFunc("/for-ever", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/for-ever", http.StatusFound) })
	mux.HandleFunc("/to-file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/shadow", http.StatusFound)
	})
	mux.HandleFunc("/to-another", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, another+"/seed.yaml", http.StatusFound)
	})
	plain, secure = serve(t, certificate, mux)
	_, another = serve(t, elsewhere, mux)

	for name, c := range map[string]struct {
		fetcher Fetcher
		named   Named
		want    string // in the error, "" where it is fetched
	}{
		"authority of the system": {Fetcher{Roots: trusted}, Named{At: secure + "/seed.yaml"}, ""},
		"its sum":                 {Fetcher{Roots: trusted}, Named{At: secure + "/seed.yaml", SHA256: sum(text)}, ""},
		"pinned authority":        {Fetcher{}, Named{At: secure + "/seed.yaml", Pin: pinOf(ca)}, ""},
		"pinned server":           {Fetcher{}, Named{At: secure + "/seed.yaml", Pin: strings.ToUpper(pinOf(certificate.Leaf))}, ""},
		"pinned, another name":    {Fetcher{}, Named{At: strings.Replace(secure, "127.0.0.1", "localhost", 1) + "/seed.yaml", Pin: pinOf(certificate.Leaf)}, ""},
		"encrypted by http":       {Fetcher{}, Named{At: plain + "/seed.age", SHA256: sum(locked)}, ""},
		"signed, by http":         {Fetcher{Signed: true}, Named{At: plain + "/seed.age"}, ""},
		"http to https":           {Fetcher{Roots: trusted}, Named{At: plain + "/to-secure", SHA256: sum(text)}, "everybody on the way can read"},

		"unknown authority":         {Fetcher{}, Named{At: secure + "/seed.yaml"}, "unknown authority"},
		"another pin":               {Fetcher{Roots: trusted}, Named{At: secure + "/seed.yaml", Pin: pinOf(otherCA)}, "is the pinned one"},
		"authority of another name": {Fetcher{}, Named{At: strings.Replace(secure, "127.0.0.1", "localhost", 1) + "/seed.yaml", Pin: pinOf(ca)}, "not localhost"},
		"authority, another IP":     {Fetcher{}, Named{At: another + "/seed.yaml", Pin: pinOf(ca)}, "not 127.0.0.1"},
		"authority, redirected":     {Fetcher{}, Named{At: secure + "/to-another", Pin: pinOf(ca)}, "not 127.0.0.1"},
		"authority, no host":        {Fetcher{}, Named{At: strings.Replace(another, "127.0.0.1", "", 1) + "/seed.yaml", Pin: pinOf(ca)}, "x509: "},
		"no pin":                    {Fetcher{}, Named{At: secure + "/seed.yaml", Pin: "md5:00"}, `the pin is not "sha256:" and 64 hexadecimal digits`},
		"another sum":               {Fetcher{Roots: trusted}, Named{At: secure + "/seed.yaml", SHA256: sum("")}, "and not the one that was named"},
		"plain by http":             {Fetcher{}, Named{At: plain + "/seed.yaml"}, "everybody on the way can read"},
		"plain by http, its sum":    {Fetcher{}, Named{At: plain + "/seed.yaml", SHA256: sum(text)}, "everybody on the way can read"},
		"encrypted, no sum":         {Fetcher{}, Named{At: plain + "/seed.age"}, "name its checksum"},
		"https to http":             {Fetcher{Roots: trusted}, Named{At: secure + "/to-plain"}, "refused: it redirects from https to http"},
		"https to a file":           {Fetcher{Roots: trusted}, Named{At: secure + "/to-file"}, "refused: it redirects from https to file"},
		"http to a file":            {Fetcher{}, Named{At: plain + "/to-file"}, "file is no scheme for a seed"},
		"redirects for ever":        {Fetcher{Roots: trusted}, Named{At: secure + "/for-ever"}, "more than five redirects"},
		"too large":                 {Fetcher{Roots: trusted}, Named{At: secure + "/large"}, "larger than 1024 KiB"},
		"not there":                 {Fetcher{Roots: trusted}, Named{At: secure + "/none"}, "the server says 404"},
		"nobody there":              {Fetcher{}, Named{At: "https://127.0.0.1:1/seed.yaml"}, "connection refused"},
		"ftp":                       {Fetcher{}, Named{At: "ftp://127.0.0.1/seed.yaml"}, "ftp is no scheme for a seed"},
		"with a password":           {Fetcher{Roots: trusted}, Named{At: strings.Replace(secure, "://", "://me:Hush@", 1)}, "without"},
		"no URL":                    {Fetcher{}, Named{At: "https://[Hush/"}, "not a URL"},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := c.fetcher.Fetch(t.Context(), c.named)
			if c.want == "" && (err != nil || len(data) == 0) {
				t.Errorf("got %d bytes, %v", len(data), err)
			}
			if c.want != "" && (err == nil || data != nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "Hush")) {
				t.Errorf("got %d bytes and the error %v, want one with %q", len(data), err, c.want)
			}
		})
	}
}

// A server that never ends its answer holds nobody up for longer than one attempt.
func TestFetchFromASlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := Fetcher{transport: func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		_, err := f.Fetch(t.Context(), Named{At: "https://example.org/seed.yaml"})
		if took := time.Since(began); err == nil || err.Error() != "no whole answer within 10s" || took != attempt {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// The network may come up late. The first call waits for it, within its patience;
// later ones try once, and less and less often.
func TestFetchTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, works := 0, 4
		f := Fetcher{Patience: time.Minute, transport: func(*http.Request) (*http.Response, error) {
			if tries++; tries != works {
				return nil, errors.New("network is unreachable")
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("seed"))}, nil
		}}
		named := Named{At: "https://example.org/seed.yaml"}
		began := time.Now()
		if data, err := f.Fetch(t.Context(), named); err != nil || string(data) != "seed" || time.Since(began) != 7*time.Second {
			t.Errorf("after %v: %q, %v", time.Since(began), data, err)
		}

		f.wait, tries, works, began = 0, 0, -1, time.Now()
		if _, err := f.Fetch(t.Context(), named); err == nil || time.Since(began) != 31*time.Second || tries != 6 {
			t.Errorf("after %v and %d tries: %v", time.Since(began), tries, err)
		}
		tries = 0
		for range 100 {
			if _, err := f.Fetch(t.Context(), named); err == nil || err.Error() != "network is unreachable" {
				t.Fatal(err)
			}
			<-time.After(3 * time.Second)
		}
		if tries != 5 {
			t.Errorf("%d tries in five minutes", tries)
		}
	})
}

// What was refused will be no better in a second.
func TestFetchDoesNotWaitForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := Fetcher{Patience: time.Minute}
		if _, err := f.Fetch(t.Context(), Named{At: "ftp://example.org"}); err == nil || time.Since(began) != 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		f = Fetcher{Patience: time.Minute, transport: func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() }}
		if _, err := f.Fetch(ended, Named{At: "https://example.org"}); err == nil || time.Since(began) != 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestShown(t *testing.T) {
	for at, want := range map[string]string{
		"/srv/seed.yaml": "/srv/seed.yaml",
		"https://me:Hush@example.org:8443/a/seed.yaml?token=Hush#Hush": "https://example.org:8443/a/seed.yaml",
		"https://[Hush/": "URL",
	} {
		if got := (Named{At: at}).shown(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
