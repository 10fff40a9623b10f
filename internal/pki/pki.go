// Package pki makes the certificates of a cluster: authorities, and the
// certificates of nodes that they sign. It follows RFC 5280 and knows nothing of
// what the certificates are for.
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
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// KeyType is a kind of private key.
type KeyType int

// The kinds of keys.
const (
	ECDSA KeyType = iota // on the curve P-256
	RSA                  // of 4096 bits
)

func (t KeyType) generate() (crypto.Signer, error) {
	if t == RSA {
		return rsa.GenerateKey(rand.Reader, 4096)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func (t KeyType) is(key crypto.PublicKey) bool {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return t == ECDSA && key.Curve == elliptic.P256()
	case *rsa.PublicKey:
		return t == RSA && key.N.BitLen() == 4096
	}
	return false
}

// Lifetime is when a certificate is made and for how many days. It counts from a day
// before, for machines whose clocks are behind.
type Lifetime struct {
	From time.Time
	Days int
}

const day = 24 * time.Hour

func (l Lifetime) notBefore() time.Time { return l.From.UTC().Truncate(time.Second).Add(-day) }

func (l Lifetime) notAfter() time.Time {
	return l.From.UTC().Truncate(time.Second).Add(time.Duration(l.Days) * day)
}

// Authority is what signs certificates.
type Authority struct {
	chain []*x509.Certificate // its own certificate first, then that of who signed it
	key   crypto.Signer
}

// NewAuthority makes an authority with a key of its own, which signs itself.
func NewAuthority(name string, t KeyType, l Lifetime) (*Authority, error) {
	key, err := t.generate()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{ // without a serial number it gets a random one
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             l.notBefore(),
		NotAfter:              l.notAfter(),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // no authorities below it
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	certificate, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &Authority{[]*x509.Certificate{certificate}, key}, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Certificates are the authority's certificate and those above it, in PEM: what
// others trust it by.
func (a *Authority) Certificates() string { return encode(a.chain...) }

// Key is the authority's private key, in PEM by PKCS #8. It is secret.
func (a *Authority) Key() (string, error) { return encodeKey(a.key) }

// NotAfter is when the first of its certificates ends.
func (a *Authority) NotAfter() time.Time {
	return slices.MinFunc(a.chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
}

// Name is the common name of its certificate.
func (a *Authority) Name() string { return a.chain[0].Subject.CommonName }

// HasKey tells whether its key is of a type.
func (a *Authority) HasKey(t KeyType) bool { return t.is(a.key.Public()) }

// SharesKey tells whether any certificate of its chain has a key that one of the other's
// has: who trusts the one chain up to its root then trusts something of the other.
func (a *Authority) SharesKey(other *Authority) bool {
	return slices.ContainsFunc(a.chain, func(c *x509.Certificate) bool {
		key, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		return ok && slices.ContainsFunc(other.chain, func(o *x509.Certificate) bool { return key.Equal(o.PublicKey) })
	})
}

// Subject is what the certificate of a node says.
type Subject struct {
	Name      string // the common name
	DNSNames  []string
	Addresses []netip.Addr
	// A client shows itself to servers. Unless this is all it does, it is a server too.
	ClientOnly bool
	KeyType    KeyType
}

func (s Subject) usages() []x509.ExtKeyUsage {
	if s.ClientOnly {
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
}

// Issue makes a key and signs a certificate for it, which ends no later than the
// authority. Both are in PEM. The certificate is followed by those between it and
// the root, where there are any; the key is secret.
func (a *Authority) Issue(s Subject, l Lifetime) (certificate, key string, ends time.Time, err error) {
	fail := func(err error) (string, string, time.Time, error) { return "", "", time.Time{}, err }
	if err := a.checkTime(l.From); err != nil {
		return fail(err)
	}
	signer, err := s.KeyType.generate()
	if err != nil {
		return fail(err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: s.Name},
		NotBefore:             l.notBefore(),
		NotAfter:              l.notAfter(),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           s.usages(),
		DNSNames:              s.DNSNames,
	}
	if s.KeyType == RSA {
		template.KeyUsage |= x509.KeyUsageKeyEncipherment // for the key exchange of old clients
	}
	if end := a.NotAfter(); template.NotAfter.After(end) {
		template.NotAfter = end
	}
	for _, address := range s.Addresses {
		template.IPAddresses = append(template.IPAddresses, net.IP(address.AsSlice()))
	}
	leaf, err := sign(template, a.chain[0], signer.Public(), a.key)
	if err != nil {
		return fail(err)
	}
	// An authority of the operator's may not sign all names, or not for this use.
	if err := a.verify(leaf, s); err != nil {
		return fail(fmt.Errorf("the authority %q signs no such certificate: %w", a.chain[0].Subject, err))
	}
	if key, err = encodeKey(signer); err != nil {
		return fail(err)
	}
	return encode(append([]*x509.Certificate{leaf}, a.between()...)...), key, leaf.NotAfter, nil
}

// between is the certificates that stand between a leaf and the root.
func (a *Authority) between() []*x509.Certificate { return a.chain[:len(a.chain)-1] }

func (a *Authority) verify(leaf *x509.Certificate, s Subject) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.chain[len(a.chain)-1])
	for _, c := range a.between() {
		between.AddCert(c)
	}
	for _, usage := range s.usages() {
		_, err := leaf.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage},
			CurrentTime: leaf.NotAfter, // whether it has ended is asked elsewhere
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Fits says when a certificate ends that is what Issue would make: for this subject, by
// this authority, with its key. Where it is not, the error says why.
func (a *Authority) Fits(certificate, key string, s Subject) (ends time.Time, err error) {
	chain, err := ParseCertificates([]byte(certificate))
	if err != nil {
		return time.Time{}, err
	}
	signer, err := parseKey([]byte(key))
	if err != nil {
		return time.Time{}, err
	}
	leaf := chain[0]
	var addresses []netip.Addr
	for _, ip := range leaf.IPAddresses {
		address, _ := netip.AddrFromSlice(ip)
		addresses = append(addresses, address.Unmap())
	}
	switch {
	case !belongs(signer, leaf):
		return time.Time{}, errors.New("its key is another's")
	case leaf.Subject.CommonName != s.Name:
		return time.Time{}, fmt.Errorf("it is for %s", leaf.Subject.CommonName)
	case !s.KeyType.is(leaf.PublicKey):
		return time.Time{}, errors.New("its key is of another type")
	case !slices.Equal(leaf.DNSNames, s.DNSNames) || !slices.Equal(addresses, s.Addresses):
		return time.Time{}, errors.New("it has other names or addresses")
	case !slices.Equal(leaf.ExtKeyUsage, s.usages()):
		return time.Time{}, errors.New("it is for another use")
	case !slices.EqualFunc(chain[1:], a.between(), (*x509.Certificate).Equal):
		return time.Time{}, errors.New("other authorities stand above it")
	}
	if err := leaf.CheckSignatureFrom(a.chain[0]); err != nil {
		return time.Time{}, errors.New("another authority signed it")
	}
	return leaf.NotAfter, nil
}

func belongs(key crypto.Signer, to *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(to.PublicKey)
}

func encode(certificates ...*x509.Certificate) string {
	var text strings.Builder
	for _, c := range certificates {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return text.String()
}

func encodeKey(key crypto.Signer) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}
