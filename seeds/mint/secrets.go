package mint

import (
	"reflect"

	"gopkg.in/yaml.v3"

	"banyan/internal/strict"
	"banyan/seeds"
)

const version = "banyan-secrets/v1"

// Secrets is what was minted for a cluster: the file secrets.yaml.
type Secrets struct {
	Version   string        `yaml:"version" required:"true"`
	Cluster   Cluster       `yaml:"cluster"`
	CA        Authority     `yaml:"ca"`      // of PostgreSQL, Patroni and HAProxy
	EtcdCA    Authority     `yaml:"etcd_ca"` // of etcd
	Nodes     []Node        `yaml:"nodes"`
	Passwords seeds.Secrets `yaml:"passwords"` // that the operator has not given
	Given     []string      `yaml:"given"`     // the keys of those that were given instead
	Roles     []Role        `yaml:"roles"`
	Files     []SeedFile    `yaml:"files"`
}

// Cluster says which cluster it is, and how often its seeds changed.
type Cluster struct {
	Name       string     `yaml:"name"`
	ID         seeds.UUID `yaml:"id"`
	Generation int        `yaml:"generation"`
	Content    string     `yaml:"content"` // a digest of the seeds without their generation
}

// Authority is an authority with its key, which never leaves this file.
type Authority struct {
	Certificate seeds.PEM        `yaml:"certificate"`
	Key         seeds.PrivateKey `yaml:"key"`
}

// Node is a node with its certificates.
type Node struct {
	Name string        `yaml:"name" required:"true"`
	PKI  seeds.NodePKI `yaml:"pki"`
}

// Role is a role of the database with what was made of its password. It keeps its salt
// from one minting to the next.
type Role struct {
	Name     string       `yaml:"name" required:"true"`
	Verifier seeds.Secret `yaml:"verifier"`
}

// SeedFile is a seed that was written. Encrypting never gives the same twice, so that
// of an encrypted one it is kept what it was made of.
type SeedFile struct {
	Name      string `yaml:"name" required:"true"`
	Plain     string `yaml:"plain"`     // a digest of the seed
	Encrypted string `yaml:"encrypted"` // a digest of the file
	For       string `yaml:"for"`       // whom it was encrypted for
	Run       string `yaml:"run"`       // by chance; files with the same were encrypted together
}

// kind hides all: what is wrong with this file is not worth showing a secret for.
var kind = strict.Kind{
	Noun: "file of minted secrets", Version: version,
	MaxSize: 64 << 20, // the certificates of 10,000 nodes, with RSA
	Quote:   func(string) string { return "this value" },
	Source:  func([]string, int, []strict.Span) string { return "" },
}

// parseSecrets reads what Text wrote. name is what the error calls the file; it holds
// no secret.
func parseSecrets(name string, data []byte) (*Secrets, error) {
	var s Secrets
	if err := kind.Decode(name, data, &s).Err(); err != nil {
		return nil, err
	}
	return &s, nil
}

const secretsHeader = `# What build seed mint made for this cluster, the keys of its authorities among it.
# Whoever has this file can join the cluster: keep it, and show it to nobody.
`

// Text is the file, with its secrets.
func (s *Secrets) Text() ([]byte, error) {
	text, err := encode(toNode(reflect.ValueOf(*s)))
	return append([]byte(secretsHeader), text...), err
}

// toNode is the YAML of a struct that package strict reads, its secrets revealed. What
// is zero is left out.
func toNode(v reflect.Value) *yaml.Node {
	if secret, ok := reflect.TypeAssert[strict.Secret](v); ok {
		return text(secret.Reveal())
	}
	switch v.Kind() {
	case reflect.Struct:
		mapping := &yaml.Node{Kind: yaml.MappingNode}
		for _, f := range strict.Fields(v.Type()) {
			if value := v.Field(f.Index); !value.IsZero() {
				set(mapping, f.Key, toNode(value))
			}
		}
		return mapping
	case reflect.Slice:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			list.Content = append(list.Content, toNode(v.Index(i)))
		}
		return list
	case reflect.Int:
		return number(int(v.Int()))
	}
	return text(v.String())
}
