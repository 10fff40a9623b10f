package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

func pemOf(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// authorityOf is an authority that the test makes by itself, of another sort of key than
// this package's own.
func authorityOf(t *testing.T, key crypto.Signer, change func(*x509.Certificate), by *Authority) *Authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Corporate CA", Organization: []string{"Example"}},
		NotBefore: now, NotAfter: now.AddDate(5, 0, 0), BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	var above []*x509.Certificate
	if by != nil {
		parent, signer, above = by.chain[0], by.key, by.chain
	}
	c, err := sign(template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{append([]*x509.Certificate{c}, above...), key}
}

func TestParseAuthorityKeys(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	modulus, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key crypto.Signer) string {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return pemOf(t, "PRIVATE KEY", der, err)
	}
	der, err := x509.MarshalECPrivateKey(curve)
	sec1 := pemOf(t, "EC PRIVATE KEY", der, err)
	const parameters = "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n"
	for name, c := range map[string]struct {
		key  crypto.Signer
		text string
	}{
		"PKCS #8, ECDSA":       {curve, pkcs8(curve)},
		"PKCS #8, RSA":         {modulus, pkcs8(modulus)},
		"PKCS #1":              {modulus, pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(modulus), nil)},
		"SEC 1":                {curve, sec1},
		"SEC 1 and parameters": {curve, parameters + sec1},
	} {
		t.Run(name, func(t *testing.T) {
			want := authorityOf(t, c.key, nil, nil)
			a, err := ParseAuthority([]byte(want.Certificates()), []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			certificate, key, _ := issue(t, a, subject, Lifetime{now, 730})
			if _, err := want.Fits(certificate, key, subject); err != nil {
				t.Error(err)
			}
			text, err := a.Key()
			if err != nil || text != pkcs8(c.key) {
				t.Errorf("its key is written otherwise, error %v", err)
			}
		})
	}
}

// Two authorities below one root, or of one key, are trusted as one.
func TestSharesKey(t *testing.T) {
	root := newAuthority(t, "root")
	one := authorityOf(t, newAuthority(t, "").key, nil, root)
	renewed := authorityOf(t, root.key, func(c *x509.Certificate) { c.NotAfter = now.AddDate(9, 0, 0) }, nil)
	for name, c := range map[string]struct {
		a, b *Authority
		want bool
	}{
		"one":                     {root, root, true},
		"two roots":               {root, newAuthority(t, "root"), false},
		"one root":                {one, authorityOf(t, newAuthority(t, "").key, nil, root), true},
		"one above the other":     {one, root, true},
		"another root's":          {one, newAuthority(t, "root"), false},
		"two roots of one key":    {root, renewed, true},
		"below a root of one key": {one, authorityOf(t, newAuthority(t, "").key, nil, renewed), true},
	} {
		if c.a.SharesKey(c.b) != c.want || c.b.SharesKey(c.a) != c.want {
			t.Errorf("%s: want %t", name, c.want)
		}
	}
}

// An authority that another has signed issues certificates with its own behind them.
func TestIntermediate(t *testing.T) {
	root := authorityOf(t, newAuthority(t, "").key, nil, nil)
	below := authorityOf(t, newAuthority(t, "").key, func(c *x509.Certificate) { c.Subject.CommonName = "Issuing CA"; c.NotAfter = now.AddDate(1, 0, 0) }, root)
	key, err := below.Key()
	if err != nil {
		t.Fatal(err)
	}
	a, err := ParseAuthority([]byte(below.Certificates()), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	certificate, leafKey, leaf := issue(t, a, subject, Lifetime{now, 730})
	if !leaf.NotAfter.Equal(a.NotAfter()) || a.NotAfter().Format(time.DateOnly) != "2027-01-31" {
		t.Errorf("it ends on %s", leaf.NotAfter)
	}
	if _, err := a.Fits(certificate, leafKey, subject); err != nil {
		t.Error(err)
	}
	chain, err := ParseCertificates([]byte(certificate))
	if err != nil || len(chain) != 2 {
		t.Fatalf("%d certificates, %v", len(chain), err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root.chain[0])
	between.AddCert(chain[1])
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, DNSName: "pgsql-n1"}); err != nil {
		t.Error(err)
	}
}

func TestParseAuthorityRefuses(t *testing.T) {
	signer := newAuthority(t, "").key
	root := authorityOf(t, signer, nil, nil)
	key, err := root.Key()
	if err != nil {
		t.Fatal(err)
	}
	other, err := newAuthority(t, "").Key()
	if err != nil {
		t.Fatal(err)
	}
	leaf, _, _ := issue(t, root, subject, Lifetime{now, 730})
	below := authorityOf(t, signer, nil, newAuthority(t, "root"))
	without := func(change func(*x509.Certificate)) string { return authorityOf(t, signer, change, nil).Certificates() }
	const legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nQUJDRA==\n-----END RSA PRIVATE KEY-----\n"
	block := func(kind string) string {
		return "-----BEGIN " + kind + "-----\nSHVzaA==\n-----END " + kind + "-----\n"
	}
	for name, c := range map[string]struct{ certificates, key, want string }{
		"no certificate":   {"", key, "no certificate in PEM"},
		"a key":            {key, key, "found a block of PRIVATE KEY"},
		"no key":           {root.Certificates(), "", "no private key in PEM"},
		"a certificate":    {root.Certificates(), leaf, "found a block of CERTIFICATE"},
		"encrypted":        {root.Certificates(), block("ENCRYPTED PRIVATE KEY"), "openssl pkey -in"},
		"encrypted, old":   {root.Certificates(), legacy, "openssl pkey -in"},
		"OpenSSH":          {root.Certificates(), block("OPENSSH PRIVATE KEY"), "found a block of OPENSSH PRIVATE KEY"},
		"damaged":          {root.Certificates(), block("PRIVATE KEY"), "cannot be read"},
		"damaged, PKCS #1": {root.Certificates(), block("RSA PRIVATE KEY"), "cannot be read"},
		"another's key":    {root.Certificates(), other, "the key is not that of the first certificate"},
		"a node's":         {leaf, key, "not that of an authority"},
		"may not sign":     {without(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), key, "may not sign others"},
		"no root":          {encode(below.chain[0]), key, "append the certificates of the authorities above it"},
		"wrong order":      {encode(below.chain[1], below.chain[0]), key, "put each certificate before that of who signed it"},
	} {
		_, err := ParseAuthority([]byte(c.certificates), []byte(c.key))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "Hush") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An authority that may sign for its own domain only is used for nothing else.
func TestConstraints(t *testing.T) {
	for name, change := range map[string]func(*x509.Certificate){
		"names": func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.org"} },
		"use":   func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
	} {
		a := authorityOf(t, newAuthority(t, "").key, change, nil)
		below := authorityOf(t, newAuthority(t, "").key, change, a) // Go lets a root sign for any use
		if _, _, _, err := below.Issue(subject, Lifetime{now, 730}); err == nil || !strings.Contains(err.Error(), "signs no such certificate") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
