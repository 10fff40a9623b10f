package mint

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"banyan/internal/pki"
	"banyan/seeds"
)

// soon is how long before its end a certificate is worth a warning.
const soon = 30 * 24 * time.Hour

// authorities finds the two authorities, or makes them. Once there is one it stays,
// also where the cluster no longer has etcd.
func (m *minting) authorities(context.Context) (err error) {
	if m.ca, m.CA, err = m.authority("CA", m.before.CA, m.ImportCA, true); err != nil {
		return err
	}
	needed := m.needsOf(m.seed.Nodes...).etcd
	if m.ImportEtcdCA != nil && !needed {
		return fmt.Errorf("an authority for etcd was given, and no node has etcd: cluster.dcs is %s", m.seed.Cluster.DCS)
	}
	if m.etcdCA, m.EtcdCA, err = m.authority("etcd CA", m.before.EtcdCA, m.ImportEtcdCA, needed); err != nil {
		return err
	}
	if m.etcdCA != nil && m.ca.SharesKey(m.etcdCA) {
		return errors.New("the two authorities share a key, their own or that of one above them: etcd needs a chain of its own up to the root, or else every node could write what is in etcd")
	}
	return nil
}

// authority is the one that is given, that was there before, or a new one.
func (m *minting) authority(kind string, before Authority, given *pki.Authority, needed bool) (*pki.Authority, Authority, error) {
	a := given
	var err error
	switch {
	case given != nil:
	case before.Certificate != "":
		a, err = pki.ParseAuthority([]byte(before.Certificate), []byte(before.Key.Reveal()))
	case needed:
		a, err = pki.NewAuthority(commonName(m.seed.Cluster.Name, kind), m.keyType(), m.lifetime(m.seed.PKI.CADays))
	default:
		return nil, before, nil
	}
	if err != nil {
		return nil, before, fmt.Errorf("the %s: %w", kind, err)
	}
	if ends := a.NotAfter(); needed && ends.Before(m.Now.Add(soon)) {
		m.warn("the %s ends on %s: take it out of %s and mint, and every node gets certificates of a new one", kind, ends.Format(time.DateOnly), secretsName)
	}
	if given == nil && a.Name() == commonName(m.seed.Cluster.Name, kind) && !a.HasKey(m.keyType()) {
		m.warn("the %s keeps its key, and pki.key_type is %s: take it out of %s and mint, and every node gets certificates of a new one", kind, m.seed.PKI.KeyType, secretsName)
	}
	key, err := a.Key()
	return a, Authority{seeds.PEM(a.Certificates()), seeds.PrivateKey{Secret: seeds.Secret(key)}}, err
}

// commonName: RFC 5280 bounds it to 64 characters.
func commonName(cluster, kind string) string {
	kind = " " + kind
	return cluster[:min(len(cluster), 64-len(kind))] + kind
}

func (m *minting) lifetime(days int) pki.Lifetime { return pki.Lifetime{From: m.Now, Days: days} }

func (m *minting) keyType() pki.KeyType {
	if m.seed.PKI.KeyType == seeds.KeyTypeRSA {
		return pki.RSA
	}
	return pki.ECDSA
}

// node is a node with what was minted for it.
type node struct {
	seeds.Node
	pki  seeds.NodePKI
	ends time.Time // the first of its certificates
	made []string  // why certificates were made
}

// certificates gives each node those that its services need, on all cores.
func (m *minting) certificates(ctx context.Context) error {
	m.minted = make([]node, len(m.seed.Nodes))
	before := map[string]seeds.NodePKI{}
	for _, n := range m.before.Nodes {
		before[n.Name] = n.PKI
	}
	if err := onAllCores(ctx, len(m.minted), func(i int) (err error) {
		n := m.seed.Nodes[i]
		m.minted[i], err = m.certify(n, before[n.Name])
		return err
	}); err != nil {
		return err
	}
	for _, n := range m.minted {
		m.Nodes = append(m.Nodes, Node{n.Name, n.pki})
		if n.ends.Before(m.Now.Add(soon)) {
			m.warn("a certificate of %s ends on %s: mint with --renew", n.Name, n.ends.Format(time.DateOnly))
		}
	}
	return nil
}

func (m *minting) certify(n seeds.Node, before seeds.NodePKI) (node, error) {
	made := node{Node: n}
	var err error
	if made.pki.Certificate, made.pki.Key, err = m.certificate(&made, m.ca, m.subject(n), before.Certificate, before.Key); err != nil {
		return made, err
	}
	if m.seed.UsesEtcd(n) {
		made.pki.EtcdCertificate, made.pki.EtcdKey, err = m.certificate(&made, m.etcdCA, m.etcdSubject(n), before.EtcdCertificate, before.EtcdKey)
	}
	return made, err
}

// certificate is the one that was there before, for as long as it says what it should,
// else a new one. The clock alone makes none: minting again would change something.
func (m *minting) certificate(n *node, a *pki.Authority, s pki.Subject, before seeds.PEM, beforeKey seeds.PrivateKey) (seeds.PEM, seeds.PrivateKey, error) {
	why := "it is new"
	if before != "" {
		ends, err := a.Fits(string(before), beforeKey.Reveal(), s)
		switch {
		case err != nil:
			why = err.Error()
		case m.Renew:
			why = "it was to be renewed"
		default:
			n.end(ends)
			return before, beforeKey, nil
		}
	}
	certificate, key, ends, err := a.Issue(s, m.lifetime(m.seed.PKI.NodeDays))
	if err != nil {
		return "", beforeKey, fmt.Errorf("the certificate of %s: %w", s.Name, err)
	}
	n.end(ends)
	n.made = append(n.made, why)
	return seeds.PEM(certificate), seeds.PrivateKey{Secret: seeds.Secret(key)}, nil
}

// end notes when a certificate of the node ends.
func (n *node) end(t time.Time) {
	if n.ends.IsZero() || t.Before(n.ends) {
		n.ends = t
	}
}

// etcdSubject is what a node's certificate for etcd says. A node that is no member is a
// client of etcd and may not pass for a member.
func (m *minting) etcdSubject(n seeds.Node) pki.Subject {
	s := pki.Subject{Name: n.Name, KeyType: m.keyType(), ClientOnly: !m.seed.IsEtcdMember(n)}
	s.DNSNames = []string{n.Name}
	if fqdn := m.fqdn(n); fqdn != "" {
		s.DNSNames = append(s.DNSNames, fqdn)
	}
	s.DNSNames = append(s.DNSNames, "localhost")
	s.Addresses = []netip.Addr{n.Address.Addr(), netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	return s
}

// subject is what a node's other certificate says. Clients find PostgreSQL and HAProxy
// at the VIPs and the names of the cluster as well.
func (m *minting) subject(n seeds.Node) pki.Subject {
	s := m.etcdSubject(n)
	s.ClientOnly = false
	if !n.Runs(seeds.ServicePostgreSQL) && !n.Runs(seeds.ServiceHAProxy) {
		return s
	}
	s.Addresses = append(s.Addresses, m.seed.VIPs(n)...)
	for _, name := range []string{m.seed.DNS.Name, m.seed.DNS.ReadName} {
		if name == "" {
			continue
		}
		s.DNSNames = append(s.DNSNames, name, m.seed.FQDN(name))
	}
	s.DNSNames, s.Addresses = unique(s.DNSNames), unique(s.Addresses)
	return s
}

// fqdn is a node's name with its domain, or "" where that is in the name or unknown.
func (m *minting) fqdn(n seeds.Node) string {
	domain := m.seed.DNS.Zone
	if domain == "" && len(n.Network.Domains) > 0 {
		domain = n.Network.Domains[0]
	}
	if domain == "" || strings.Contains(n.Name, ".") {
		return ""
	}
	return n.Name + "." + domain
}

// unique keeps the first of each.
func unique[T comparable](list []T) []T {
	var once []T
	for _, e := range list {
		if !slices.Contains(once, e) {
			once = append(once, e)
		}
	}
	return once
}
