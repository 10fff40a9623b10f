package pki

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// TLS is how a program speaks to others that the authority signed, and asks their
// clients, if it is a server, for such a certificate too. All is in PEM. Without a
// certificate of its own it is a client that shows none. Errors hold nothing of the key.
func TLS(authority, certificate, key string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if authority != "" {
		chain, err := ParseCertificates([]byte(authority))
		if err != nil {
			return nil, fmt.Errorf("the authority's certificate: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		for _, a := range chain {
			c.RootCAs.AddCert(a)
		}
		c.ClientCAs, c.ClientAuth = c.RootCAs, tls.RequireAndVerifyClientCert
	}
	if certificate == "" {
		return c, nil
	}
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		return nil, fmt.Errorf("the certificate and its key: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}
