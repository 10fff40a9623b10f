package seeds

import (
	"encoding/pem"
	"errors"
	"strings"
)

// PEM is one certificate or several, in the text form of RFC 7468.
type PEM string

// UnmarshalText reads certificates. What they say is not looked at.
func (p *PEM) UnmarshalText(text []byte) error {
	if !isPEM(text, "CERTIFICATE") {
		return errors.New("no certificate")
	}
	*p = PEM(text)
	return nil
}

// Wanted says how certificates are written.
func (PEM) Wanted() string {
	return `a certificate: "|", and below it, indented, the lines from -----BEGIN CERTIFICATE-----`
}

// Pattern is what every certificate begins with.
func (PEM) Pattern() string { return "-----BEGIN CERTIFICATE-----" }

// isPEM tells whether text is blocks of that type and nothing else.
func isPEM(text []byte, kind string) bool {
	for blocks := 0; ; blocks++ {
		block, rest := pem.Decode(text)
		if block == nil {
			return blocks > 0 && strings.TrimSpace(string(text)) == ""
		}
		if block.Type != kind {
			return false
		}
		text = rest
	}
}

// PrivateKey is a private key in the text form of PKCS #8, which is as secret as a
// password.
type PrivateKey struct{ Secret }

// UnmarshalText takes any text; see Check.
func (k *PrivateKey) UnmarshalText(text []byte) error {
	k.Secret = Secret(text)
	return nil
}

// Check refuses what is no key.
func (k PrivateKey) Check() error {
	if err := k.Secret.Check(); err != nil {
		return err
	}
	if !isPEM([]byte(k.Reveal()), "PRIVATE KEY") {
		return errors.New(`expected a private key: "|", and below it, indented, the lines from -----BEGIN PRIVATE KEY-----`)
	}
	return nil
}

// Wanted says how a key is written.
func (PrivateKey) Wanted() string {
	return `a private key: "|", and below it, indented, the lines of its file`
}

// Pattern is what every key begins with.
func (PrivateKey) Pattern() string { return "-----BEGIN PRIVATE KEY-----" }
