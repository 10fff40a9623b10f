package node

import (
	"errors"
	"fmt"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

// Where a node has its certificates. Authorities and certificates are for everybody to
// read, keys for the one service that they belong to.
const (
	pkiDir = "/etc/banyan/pki"

	// CAFile is the authority of PostgreSQL, Patroni and HAProxy.
	CAFile          = pkiDir + "/ca.crt"
	certificateFile = pkiDir + "/node.crt"
	keyFile         = pkiDir + "/node.key"

	// What a member of etcd is known by to its peers and clients.
	etcdCAFile          = pkiDir + "/etcd-ca.crt"
	etcdCertificateFile = pkiDir + "/etcd.crt"
	etcdKeyFile         = pkiDir + "/etcd.key"

	// What Patroni is known by to etcd, the cluster's or an external one. Its key is a
	// file of its own, since etcd and Patroni are different users.
	patroniEtcdCA          = "/etc/patroni/etcd-ca.crt"
	patroniEtcdCertificate = "/etc/patroni/etcd.crt"
	patroniEtcdKey         = "/etc/patroni/etcd.key"

	// Whom a standby cluster believes: its own authority, and that of the primary.
	patroniUpstreamCA = "/etc/patroni/upstream-ca.crt"
)

// upstreamCAFile is what replication believes: Patroni knows one for all servers.
func upstreamCAFile(c seeds.StandbyCluster) string {
	if c.SSLRootCert == "" {
		return CAFile
	}
	return patroniUpstreamCA
}

// certificates are the node's own, and those of the authorities.
func certificates(s seeds.Seed, self seeds.Node) []converge.Resource {
	owner := "" // root, such as for HAProxy, which reads them before it gives that up
	if self.Runs(seeds.ServicePostgreSQL) {
		owner = "postgres"
	}
	resources := []converge.Resource{
		ownDirectory,
		converge.Directory{Path: pkiDir, Mode: 0o755},
		file(CAFile, string(s.PKI.CA)),
		file(certificateFile, string(self.PKI.Certificate)),
		key(keyFile, owner, self.PKI.Key),
	}
	if s.IsEtcdMember(self) {
		resources = append(resources,
			file(etcdCAFile, string(s.PKI.EtcdCA)),
			file(etcdCertificateFile, string(self.PKI.EtcdCertificate)),
			key(etcdKeyFile, "etcd", self.PKI.EtcdKey))
	}
	if !self.Runs(seeds.ServicePostgreSQL) {
		return resources
	}
	if upstream := self.Patroni.StandbyCluster; upstream.SSLRootCert != "" {
		resources = append(resources, file(patroniUpstreamCA, string(s.PKI.CA)+string(upstream.SSLRootCert)))
	}
	c := EtcdIdentity(s, self)
	if c.CA != "" {
		resources = append(resources, file(patroniEtcdCA, string(c.CA)))
	}
	if c.Certificate != "" {
		resources = append(resources, file(patroniEtcdCertificate, string(c.Certificate)))
	}
	if c.Key.Reveal() != "" {
		resources = append(resources, key(patroniEtcdKey, "postgres", c.Key))
	}
	return resources
}

// key is a private key, which its owner alone may read.
func key(path, owner string, key seeds.PrivateKey) converge.File {
	return converge.File{Path: path, Mode: 0o600, Owner: owner, Content: key.Reveal(), Secret: true}
}

// Identity is what a client of etcd trusts and is known by. What is empty is not used.
type Identity struct {
	CA, Certificate seeds.PEM
	Key             seeds.PrivateKey
}

// EtcdIdentity is that of a node towards the etcd that the cluster uses.
func EtcdIdentity(s seeds.Seed, self seeds.Node) Identity {
	switch {
	case s.Cluster.DCS == seeds.DCSExternal:
		return Identity{self.Etcd.CACert, self.Etcd.Cert, self.Etcd.Key}
	case s.UsesEtcd(self):
		return Identity{s.PKI.EtcdCA, self.PKI.EtcdCertificate, self.PKI.EtcdKey}
	}
	return Identity{}
}

// ReloadsCertificate tells whether Patroni's REST API shows a renewed certificate without a
// restart, which takes PostgreSQL with it.
func ReloadsCertificate(f facts.Facts) bool { return abilities(f).reloadsCertificate() }

// etcdctlVariables are what etcdctl(1) finds the cluster's etcd by, for root, who alone can
// read the key. With a password, which everybody could read here, it has to be asked.
func etcdctlVariables(s seeds.Seed, self seeds.Node, can abilities) []string {
	var variables []string
	if !can.defaultsToAPI3() {
		variables = append(variables, "ETCDCTL_API=3") // its default does not show what Patroni writes
	}
	endpoints := EtcdEndpoints(s, self)
	if len(endpoints) == 0 {
		return nil
	}
	variables = append(variables, "ETCDCTL_ENDPOINTS="+strings.Join(endpoints, ","))
	ca, certificate, key := etcdCAFile, etcdCertificateFile, etcdKeyFile
	if !s.IsEtcdMember(self) {
		ca, certificate, key = patroniEtcdCA, patroniEtcdCertificate, patroniEtcdKey
	}
	identity := EtcdIdentity(s, self)
	if identity.CA != "" {
		variables = append(variables, "ETCDCTL_CACERT="+ca)
	}
	if identity.Certificate != "" {
		variables = append(variables, "ETCDCTL_CERT="+certificate, "ETCDCTL_KEY="+key)
	}
	return variables
}

// checkCertificates refuses a seed that was not minted: nothing of a cluster speaks
// without TLS.
func checkCertificates(s seeds.Seed, self seeds.Node) error {
	var missing []string
	need := func(key string, there bool) {
		if !there {
			missing = append(missing, key)
		}
	}
	need("pki.ca", s.PKI.CA != "")
	need("the certificate of "+self.Name, self.PKI.Certificate != "" && self.PKI.Key.Reveal() != "")
	if s.UsesEtcd(self) {
		need("pki.etcd_ca", s.PKI.EtcdCA != "")
		need("the certificate of "+self.Name+" for etcd", self.PKI.EtcdCertificate != "" && self.PKI.EtcdKey.Reveal() != "")
	}
	if len(missing) == 0 {
		return nil
	}
	return errors.New("pki: the seed lacks " + strings.Join(missing, ", ") + ", and nothing of a cluster speaks without TLS: " +
		fmt.Sprintf("make the seed of %s with `build seed mint`", self.Name))
}
