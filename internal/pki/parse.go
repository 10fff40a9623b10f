package pki

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ParseAuthority reads an authority: its certificate, those of the authorities above
// it up to the root, if it has not signed itself, and its key. The key is in PKCS #8,
// PKCS #1 or SEC 1. All in PEM. Errors hold nothing of the key.
func ParseAuthority(certificates, key []byte) (*Authority, error) {
	chain, err := ParseCertificates(certificates)
	if err != nil {
		return nil, err
	}
	signer, err := parseKey(key)
	if err != nil {
		return nil, err
	}
	for i, c := range chain {
		switch {
		case !c.BasicConstraintsValid || !c.IsCA:
			return nil, fmt.Errorf("the certificate of %q is not that of an authority", c.Subject)
		case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
			return nil, fmt.Errorf("the certificate of %q may not sign others", c.Subject)
		}
		above := chain[min(i+1, len(chain)-1)]
		if err := c.CheckSignatureFrom(above); err == nil {
			continue
		}
		if i == len(chain)-1 {
			return nil, fmt.Errorf("%q has not signed itself: append the certificates of the authorities above it, up to the root", c.Subject)
		}
		return nil, fmt.Errorf("%q is followed by %q, which has not signed it: put each certificate before that of who signed it", c.Subject, above.Subject)
	}
	if !belongs(signer, chain[0]) {
		return nil, fmt.Errorf("the key is not that of the first certificate, of %q", chain[0].Subject)
	}
	return &Authority{chain, signer}, nil
}

// checkTime refuses an authority that has ended, or has not yet begun.
func (a *Authority) checkTime(now time.Time) error {
	for _, c := range a.chain {
		switch {
		case now.After(c.NotAfter):
			return fmt.Errorf("the certificate of %q ended on %s", c.Subject, c.NotAfter.Format(time.DateOnly))
		case now.Before(c.NotBefore):
			return fmt.Errorf("the certificate of %q begins on %s", c.Subject, c.NotBefore.Format(time.DateOnly))
		}
	}
	return nil
}

// ParseCertificates reads the certificates of a text in PEM, at least one.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("expected certificates in PEM, found a block of %s", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("there is no certificate in PEM")
	}
	return chain, nil
}

// parseKey takes the first private key. What openssl ecparam writes before one is
// passed over.
func parseKey(text []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var key any
		var err error
		switch block.Type {
		case "EC PARAMETERS":
			continue
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY", "EC PRIVATE KEY":
			if strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") { // RFC 1423
				return nil, errEncrypted
			}
			if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); block.Type == "EC PRIVATE KEY" {
				key, err = x509.ParseECPrivateKey(block.Bytes)
			}
		case "ENCRYPTED PRIVATE KEY":
			return nil, errEncrypted
		default:
			return nil, fmt.Errorf("expected a private key in PEM, found a block of %s", block.Type)
		}
		signer, ok := key.(crypto.Signer)
		if err != nil || !ok { // what the parser says of it might repeat a part
			return nil, errors.New("the private key cannot be read: it is damaged, or of a kind that signs no certificates")
		}
		return signer, nil
	}
	return nil, errors.New("there is no private key in PEM")
}

var errEncrypted = errors.New("the private key is encrypted: decrypt it for this with openssl pkey -in KEY -out PLAIN, and remove that file afterwards")
