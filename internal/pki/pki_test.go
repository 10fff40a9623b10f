package pki

import (
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 1, 31, 12, 0, 0, 500, time.FixedZone("MSK", 3*3600))

func newAuthority(t *testing.T, name string) *Authority {
	t.Helper()
	a, err := NewAuthority(name, ECDSA, Lifetime{now, 3650})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var subject = Subject{
	Name:      "pgsql-n1",
	DNSNames:  []string{"pgsql-n1", "localhost"},
	Addresses: []netip.Addr{netip.MustParseAddr("172.16.32.11"), netip.MustParseAddr("::1")},
}

func issue(t *testing.T, a *Authority, s Subject, l Lifetime) (certificate, key string, leaf *x509.Certificate) {
	t.Helper()
	certificate, key, ends, err := a.Issue(s, l)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := ParseCertificates([]byte(certificate))
	if err != nil {
		t.Fatal(err)
	}
	if !ends.Equal(chain[0].NotAfter) {
		t.Errorf("it is said to end on %s and ends on %s", ends, chain[0].NotAfter)
	}
	return certificate, key, chain[0]
}

func TestNewAuthority(t *testing.T) {
	a := newAuthority(t, "pgsql-cl CA")
	c := a.chain[0]
	if c.Subject.String() != "CN=pgsql-cl CA" || !c.IsCA || c.MaxPathLen != 0 || !c.MaxPathLenZero || c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign || len(c.SubjectKeyId) == 0 {
		t.Errorf("it is %+v", c)
	}
	if from, to := "2026-01-30 09:00:00 +0000 UTC", "2036-01-29 09:00:00 +0000 UTC"; c.NotBefore.String() != from || c.NotAfter.String() != to {
		t.Errorf("it lasts from %s to %s, want from %s to %s", c.NotBefore, c.NotAfter, from, to)
	}
	other := newAuthority(t, "pgsql-cl CA")
	if c.SerialNumber.BitLen() < 100 || c.SerialNumber.Cmp(other.chain[0].SerialNumber) == 0 {
		t.Errorf("its serial number is %d bits long, or not its own", c.SerialNumber.BitLen())
	}
}

func TestIssue(t *testing.T) {
	a := newAuthority(t, "pgsql-cl CA")
	_, _, c := issue(t, a, subject, Lifetime{now, 730})
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if c.Subject.String() != "CN=pgsql-n1" || c.IsCA || c.KeyUsage != x509.KeyUsageDigitalSignature || !slices.Equal(c.ExtKeyUsage, both) {
		t.Errorf("it is %+v", c)
	}
	if string(c.AuthorityKeyId) != string(a.chain[0].SubjectKeyId) {
		t.Error("it does not name the key of its authority")
	}
	if !slices.Equal(c.DNSNames, subject.DNSNames) || len(c.IPAddresses) != 2 || c.VerifyHostname("172.16.32.11") != nil || c.VerifyHostname("::1") != nil {
		t.Errorf("it is for %v, %v", c.DNSNames, c.IPAddresses)
	}
	if from, to := "2026-01-30 09:00:00 +0000 UTC", "2028-01-31 09:00:00 +0000 UTC"; c.NotBefore.String() != from || c.NotAfter.String() != to {
		t.Errorf("it lasts from %s to %s, want from %s to %s", c.NotBefore, c.NotAfter, from, to)
	}
	if _, _, c := issue(t, a, subject, Lifetime{now, 5000}); !c.NotAfter.Equal(a.NotAfter()) {
		t.Errorf("it lasts until %s, and its authority until %s", c.NotAfter, a.NotAfter())
	}
	client := subject
	client.ClientOnly = true
	if _, _, c := issue(t, a, client, Lifetime{now, 730}); !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
		t.Errorf("that of a client is for %v", c.ExtKeyUsage)
	}
	if _, _, _, err := a.Issue(subject, Lifetime{now.AddDate(11, 0, 0), 730}); err == nil || !strings.Contains(err.Error(), "ended on 2036-01-29") {
		t.Errorf("an authority that has ended: %v", err)
	}
}

func TestRSA(t *testing.T) {
	a := newAuthority(t, "pgsql-cl CA")
	s := subject
	s.KeyType = RSA
	certificate, key, c := issue(t, a, s, Lifetime{now, 730})
	if !RSA.is(c.PublicKey) || ECDSA.is(c.PublicKey) || c.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment {
		t.Errorf("it is %+v", c)
	}
	if _, err := a.Fits(certificate, key, s); err != nil {
		t.Error(err)
	}
	if _, err := a.Fits(certificate, key, subject); err == nil || err.Error() != "its key is of another type" {
		t.Errorf("where ECDSA is wanted: %v", err)
	}
}

func TestFits(t *testing.T) {
	a, other := newAuthority(t, "pgsql-cl CA"), newAuthority(t, "pgsql-cl CA")
	certificate, key, leaf := issue(t, a, subject, Lifetime{now, 730})
	_, otherKey, _ := issue(t, a, subject, Lifetime{now, 730})
	if ends, err := a.Fits(certificate, key, subject); err != nil || !ends.Equal(leaf.NotAfter) {
		t.Errorf("ends %s, %v", ends, err)
	}
	with := func(change func(*Subject)) Subject {
		s := subject
		change(&s)
		return s
	}
	for want, c := range map[string]struct {
		by      *Authority
		key     string
		subject Subject
	}{
		"its key is another's":             {a, otherKey, subject},
		"another authority signed it":      {other, key, subject},
		"it is for pgsql-n1":               {a, key, with(func(s *Subject) { s.Name = "pgsql-n2" })},
		"it has other names or addresses":  {a, key, with(func(s *Subject) { s.DNSNames = s.DNSNames[:1] })},
		"it has other names or addresses ": {a, key, with(func(s *Subject) { s.Addresses = s.Addresses[:1] })},
		"it is for another use":            {a, key, with(func(s *Subject) { s.ClientOnly = true })},
		"there is no private key in PEM":   {a, "", subject},
	} {
		if _, err := c.by.Fits(certificate, c.key, c.subject); err == nil || err.Error() != strings.TrimSpace(want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
