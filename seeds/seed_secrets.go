package seeds

// PKI is how certificates are made, and the authorities that made them. There are
// two, so that a certificate that PostgreSQL takes opens no etcd.
type PKI struct {
	// The kind of the keys: ecdsa-p256, or rsa-4096 for those who must.
	KeyType KeyType `yaml:"key_type" default:"ecdsa-p256"`
	// How long an authority is valid, in days.
	CADays int `yaml:"ca_days" default:"3650"`
	// How long a node's certificate is valid, in days.
	NodeDays int `yaml:"node_days" default:"730"`
	// The certificate of the authority of PostgreSQL, Patroni and HAProxy, which
	// `build seed mint` writes.
	CA PEM `yaml:"ca"`
	// The certificate of etcd's authority, which `build seed mint` writes.
	EtcdCA PEM `yaml:"etcd_ca"`
}

// NodePKI is the certificates of a node, for clients and servers both.
type NodePKI struct {
	// Its certificate for PostgreSQL, Patroni and HAProxy.
	Certificate PEM `yaml:"certificate"`
	// The key of that certificate.
	Key PrivateKey `yaml:"key"`
	// Its certificate for etcd.
	EtcdCertificate PEM `yaml:"etcd_certificate"`
	// The key of that certificate.
	EtcdKey PrivateKey `yaml:"etcd_key"`
}

// Secrets are what the parts of the cluster prove themselves by to one another.
// `build seed mint` makes those that are not given.
type Secrets struct {
	// The password of the role postgres.
	SuperuserPassword Secret `yaml:"superuser_password" example:"'change-me: postgres'"`
	// The password of the role replicator.
	ReplicationPassword Secret `yaml:"replication_password" example:"'change-me: replicator'"`
	// The password of the role rewind.
	RewindPassword Secret `yaml:"rewind_password" example:"'change-me: rewind'"`
	// What Patroni's raft members encrypt their traffic with.
	RaftPassword Secret `yaml:"raft_password" example:"'change-me: raft'" source:"https://patroni.readthedocs.io/en/latest/yaml_configuration.html#raft-deprecated"`
	// The password of the virtual computer's account, for gss-tsig.
	DNSPassword Secret `yaml:"dns_password" example:"'change-me: dns'" source:"https://www.rfc-editor.org/rfc/rfc3645"`
	// The TSIG key, in base64.
	TSIGSecret Secret `yaml:"tsig_secret" example:"bm90LWEtcmVhbC1rZXk=" source:"https://www.rfc-editor.org/rfc/rfc8945"`
}
