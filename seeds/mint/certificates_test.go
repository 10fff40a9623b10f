package mint

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"banyan/internal/pki"
	"banyan/seeds"
)

// chain is the certificates in PEM.
func chain(t *testing.T, text seeds.PEM) []*x509.Certificate {
	t.Helper()
	var list []*x509.Certificate
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}

// TestCertificates: which node gets what, and what it says.
func TestCertificates(t *testing.T) {
	const loopback = " 127.0.0.1 ::1"
	cluster := " pgsql-cl pgsql-cl.demo.ru pgsql-cl-ro pgsql-cl-ro.demo.ru"
	want := map[string]struct{ names, addresses, etcd string }{
		"pgsql-n1":           {"pgsql-n1 pgsql-n1.demo.ru localhost" + cluster, "172.16.32.11" + loopback + " 172.16.32.180", "server"},
		"pgsql-n2":           {"pgsql-n2 pgsql-n2.demo.ru localhost" + cluster, "172.16.64.12" + loopback + " 172.16.64.180", "client"},
		"etcd-n3":            {"etcd-n3 etcd-n3.demo.ru localhost", "172.16.64.13" + loopback, "server"},
		"lb-n4":              {"lb-n4 lb-n4.demo.ru localhost" + cluster, "172.16.64.14" + loopback + " 172.16.64.180", ""},
		"wit-n5.example.org": {"wit-n5.example.org localhost", "2001:db8::15" + loopback, "server"},
	}
	_, parsed := texts(t, mint(t, sites(t), nil, Options{}))
	if len(parsed) != len(want) {
		t.Errorf("there are %d seeds", len(parsed))
	}
	for name, w := range want {
		n := ownNode(t, parsed[name])
		check := func(c *x509.Certificate, names, addresses string, usage ...x509.ExtKeyUsage) {
			t.Helper()
			if got := strings.Join(c.DNSNames, " "); got != names {
				t.Errorf("%s: it has the names %s, want %s", name, got, names)
			}
			if got := strings.Trim(fmt.Sprint(c.IPAddresses), "[]"); got != addresses {
				t.Errorf("%s: it has the addresses %s, want %s", name, got, addresses)
			}
			if !reflect.DeepEqual(c.ExtKeyUsage, usage) {
				t.Errorf("%s: it is for %v", name, c.ExtKeyUsage)
			}
		}
		check(chain(t, n.PKI.Certificate)[0], w.names, w.addresses, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
		if (n.PKI.EtcdCertificate != "") != (w.etcd != "") || (n.PKI.EtcdKey.Secret != "") != (w.etcd != "") || (parsed[name].PKI.EtcdCA != "") != (w.etcd != "") {
			t.Errorf("%s: has a certificate for etcd: %t", name, n.PKI.EtcdCertificate != "")
			continue
		}
		if w.etcd == "" {
			continue
		}
		usage := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		if w.etcd == "client" {
			usage = usage[1:]
		}
		etcdNames, _, _ := strings.Cut(w.names, "localhost")
		etcdAddresses, _, _ := strings.Cut(w.addresses, loopback)
		check(chain(t, n.PKI.EtcdCertificate)[0], etcdNames+"localhost", etcdAddresses+loopback, usage...)
	}
}

// TestSeparation: what one authority signed proves nothing to the other.
func TestSeparation(t *testing.T) {
	_, parsed := texts(t, mint(t, sites(t), nil, Options{}))
	s := parsed["pgsql-n1"]
	verify := func(certificate, authority seeds.PEM) error {
		roots := x509.NewCertPool()
		roots.AddCert(chain(t, authority)[0])
		_, err := chain(t, certificate)[0].Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now})
		return err
	}
	n := ownNode(t, s)
	for _, c := range []struct {
		certificate, authority seeds.PEM
		taken                  bool
	}{
		{n.PKI.Certificate, s.PKI.CA, true}, {n.PKI.EtcdCertificate, s.PKI.EtcdCA, true},
		{n.PKI.Certificate, s.PKI.EtcdCA, false}, {n.PKI.EtcdCertificate, s.PKI.CA, false},
	} {
		if err := verify(c.certificate, c.authority); (err == nil) != c.taken {
			t.Errorf("got %v, want it taken: %t", err, c.taken)
		}
	}
	if ca, etcd := chain(t, s.PKI.CA)[0].Subject.String(), chain(t, s.PKI.EtcdCA)[0].Subject.String(); ca != "CN=pgsql-cl CA" || etcd != "CN=pgsql-cl etcd CA" {
		t.Errorf("they are called %s and %s", ca, etcd)
	}
}

// TestRemake: a certificate is made anew where it would say something else.
func TestRemake(t *testing.T) {
	before := mint(t, sites(t), nil, Options{}).Secrets
	for name, c := range map[string]struct {
		old, new string
		options  Options
		want     string // node: how many
	}{
		"nothing":       {"", "", Options{}, ""},
		"address":       {"172.16.32.11", "172.16.32.21", Options{}, "pgsql-n1: 2"},
		"VIP":           {"172.16.64.180", "172.16.64.181", Options{}, "pgsql-n2: 1, lb-n4: 1"},
		"read name":     {"read_name: pgsql-cl-ro", "read_name: ro", Options{}, "pgsql-n1: 1, pgsql-n2: 1, lb-n4: 1"},
		"service":       {"[haproxy]", "[haproxy, etcd]", Options{}, "lb-n4: 1"},
		"client":        {"services: [postgresql]", "services: [postgresql, etcd]", Options{}, "pgsql-n2: 1"},
		"lifetime":      {"cluster:", "pki: {node_days: 100}\ncluster:", Options{}, ""},
		"renew":         {"", "", Options{Renew: true}, "pgsql-n1: 2, pgsql-n2: 2, etcd-n3: 2, lb-n4: 1, wit-n5.example.org: 2"},
		"the last days": {"", "", Options{Now: now.AddDate(2, 0, -10)}, ""},
	} {
		m := mint(t, strings.Replace(sites(t), c.old, c.new, 1), before, c.options)
		var made []string
		for _, n := range m.nodes {
			if len(n.made) > 0 {
				made = append(made, fmt.Sprintf("%s: %d", n.Name, len(n.made)))
			}
		}
		if got := strings.Join(made, ", "); got != c.want {
			t.Errorf("%s: made %s, want %s", name, got, c.want)
		}
		if !reflect.DeepEqual(m.Secrets.CA, before.CA) || m.Secrets.Passwords != before.Passwords {
			t.Errorf("%s: an authority or a password is another", name)
		}
		if name == "the last days" && !strings.Contains(strings.Join(m.Warnings, "\n"), "a certificate of etcd-n3 ends on 2028-01-31: mint with --renew") {
			t.Errorf("it warns %q", m.Warnings)
		} else if name != "the last days" && m.Warnings != nil {
			t.Errorf("%s: it warns %q", name, m.Warnings)
		}
	}
}

func TestLifetimes(t *testing.T) {
	m := mint(t, "pki: {ca_days: 20, node_days: 10}\n"+sites(t), nil, Options{})
	if ends := m.nodes[0].ends.Format(time.DateOnly); ends != "2026-02-10" {
		t.Errorf("a node's ends on %s", ends)
	}
	want := "the CA ends on 2026-02-20: take it out of secrets.yaml and mint, and every node gets certificates of a new one"
	if len(m.Warnings) != 7 || m.Warnings[0] != want || !strings.HasPrefix(m.Warnings[1], "the etcd CA ends on 2026-02-20") {
		t.Errorf("it warns %q", m.Warnings)
	}
}

func keyOf(t *testing.T, a *pki.Authority) string {
	t.Helper()
	key, err := a.Key()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// An authority of ours stays though another type of key is asked for, and says so; what
// the operator brought is as it is.
func TestKeyType(t *testing.T) {
	for name, want := range map[string]int{"pgsql-cl CA": 1, "Corporate CA": 0} {
		a, err := pki.NewAuthority(name, pki.ECDSA, pki.Lifetime{From: now, Days: 3650})
		if err != nil {
			t.Fatal(err)
		}
		before := Authority{seeds.PEM(a.Certificates()), seeds.PrivateKey{Secret: seeds.Secret(keyOf(t, a))}}
		for _, keyType := range []seeds.KeyType{seeds.KeyTypeRSA, "ecdsa-p256"} {
			m := &minting{Options: Options{Now: now}, seed: cluster(t, "pki: {key_type: "+string(keyType)+"}\n"+sites(t)).seed}
			if _, kept, err := m.authority("CA", before, nil, true); err != nil || kept != before {
				t.Errorf("%s, %s: it is another, or %v", name, keyType, err)
			}
			switch {
			case keyType == seeds.KeyTypeRSA && len(m.warnings) != want, keyType != seeds.KeyTypeRSA && m.warnings != nil,
				len(m.warnings) > 0 && !strings.HasPrefix(m.warnings[0], "the CA keeps its key, and pki.key_type is rsa-4096: take it out of secrets.yaml"):
				t.Errorf("%s, %s: it warns %q", name, keyType, m.warnings)
			}
		}
	}
}

func TestImport(t *testing.T) {
	own := func() *pki.Authority {
		a, err := pki.NewAuthority("Corporate CA", pki.ECDSA, pki.Lifetime{From: now, Days: 3650})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	ca, etcd := own(), own()
	twice, err := pki.ParseAuthority([]byte("the same\n"+ca.Certificates()), []byte(keyOf(t, ca)))
	if err != nil {
		t.Fatal(err)
	}
	before := mint(t, sites(t), nil, Options{}).Secrets
	m := mint(t, sites(t), before, Options{ImportCA: ca})
	if string(m.Secrets.CA.Certificate) != ca.Certificates() || !reflect.DeepEqual(m.Secrets.EtcdCA, before.EtcdCA) {
		t.Error("the authorities are others")
	}
	if made := m.nodes[0].made; !reflect.DeepEqual(made, []string{"another authority signed it"}) {
		t.Errorf("it made %q", made)
	}
	if again := mint(t, sites(t), m.Secrets, Options{}); !reflect.DeepEqual(again.Secrets, m.Secrets) {
		t.Error("minting again without it changed something")
	}
	both := mint(t, sites(t), nil, Options{ImportCA: ca, ImportEtcdCA: etcd})
	if string(both.Secrets.EtcdCA.Certificate) != etcd.Certificates() {
		t.Error("etcd's authority is another")
	}
	balancer := "version: banyan/v1\ncluster: {name: c, dcs: raft}\nnodes: [{name: n1, address: 10.0.0.1/8}]\n"
	for want, c := range map[string]struct {
		text    string
		options Options
	}{
		"the two authorities share a key": {sites(t), Options{ImportCA: ca, ImportEtcdCA: ca}},
		"etcd needs a chain of its own":   {sites(t), Options{ImportCA: ca, ImportEtcdCA: twice}},
		"cluster.dcs is raft":             {balancer, Options{ImportEtcdCA: etcd}},
		"ended on 2036-01-29":             {sites(t), Options{ImportCA: ca, Now: now.AddDate(11, 0, 0)}},
	} {
		if c.options.Now.IsZero() {
			c.options.Now = now
		}
		if _, err := cluster(t, c.text).mint(t.Context(), nil, c.options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
