// Package mint makes seeds of a cluster file: it adds what must be secret or signed,
// keeps that for the next time, and writes a seed for each node or one for all.
//
// What is minted is a function of the cluster file, of what was minted before and of
// the clock. It makes nothing that is there already, so that minting again changes
// nothing. [Into] reads and writes the directory that all of it is kept in.
package mint

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"
	"gopkg.in/yaml.v3"

	"banyan/internal/pki"
	"banyan/internal/strict"
	"banyan/seeds"
)

// ClusterFile is what an operator writes.
type ClusterFile struct {
	name string
	seed *seeds.Seed
	tree *yaml.Node // of the document
}

// Parse reads a cluster file. name is what errors call it. The warnings are those of
// [seeds.ParseCluster].
func Parse(name string, data []byte) (*ClusterFile, strict.Problems, error) {
	seed, warnings, err := seeds.ParseCluster(name, data)
	if err != nil {
		return nil, nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &document); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	c := &ClusterFile{name, seed, document.Content[0]}
	if err := c.check(); err != nil {
		return nil, nil, err
	}
	return c, warnings, nil
}

// check refuses what is of minting alone, and what cannot be minted.
func (c *ClusterFile) check() error {
	var wrong []error
	refuse := func(at *yaml.Node, format string, args ...any) {
		if at != nil {
			wrong = append(wrong, fmt.Errorf("%s:%d:%d: %s", c.name, at.Line, at.Column, fmt.Sprintf(format, args...)))
		}
	}
	refuse(find(c.tree, "node"), "this is a seed that was minted: mint from the cluster file")
	for _, key := range []string{"ca", "etcd_ca"} {
		refuse(find(find(c.tree, "pki"), key), "pki.%s is written by minting: remove it; an authority of your own is taken with --import-ca", key)
	}
	for n := range items(find(c.tree, "nodes")) {
		refuse(find(n, "pki"), "the certificates of nodes are written by minting: remove them")
		name := find(n, "name")
		if reserved.MatchString(name.Value) {
			refuse(name, "no seed can be written for this node, since the file %s.yaml means something else: rename the node", name.Value)
		}
	}
	given := find(c.tree, "secrets")
	dns := map[seeds.DNSAuth]string{seeds.DNSAuthGSSTSIG: "dns_password", seeds.DNSAuthTSIG: "tsig_secret"}
	if key := dns[c.seed.DNS.Auth]; key != "" && find(given, key) == nil {
		refuse(find(find(c.tree, "dns"), "auth"), "dns.auth %s needs secrets.%s, which your DNS server knows and nobody can make here: add it", c.seed.DNS.Auth, key)
	}
	for _, key := range []string{"superuser_password", "replication_password", "rewind_password"} {
		if standby := find(find(c.tree, "patroni"), "standby_cluster"); find(given, key) == nil {
			refuse(cmp.Or(find(standby, "host"), find(standby, "restore_command")), "a standby cluster has the passwords of the cluster that it follows: add secrets.%s", key)
		}
	}
	return errors.Join(wrong...)
}

// reserved are the names of nodes whose seeds would be taken for another file, here or
// by Windows, which minds no extension:
// https://learn.microsoft.com/windows/win32/fileio/naming-a-file#naming-conventions
var reserved = regexp.MustCompile(`(?i)^((secrets|universal|seed)$|(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$))`)

// Options say how to mint.
type Options struct {
	// Now is what lifetimes count from.
	Now time.Time
	// Renew makes all certificates of nodes anew.
	Renew bool
	// ImportCA and ImportEtcdCA, unless they are nil, are the authorities from now on.
	ImportCA, ImportEtcdCA *pki.Authority
}

// mint adds to a cluster file what is secret or signed. before is what was minted
// the last time, or nil; it is not changed.
func (c *ClusterFile) mint(ctx context.Context, before *Secrets, o Options) (*minted, error) {
	if before == nil {
		before = new(Secrets)
	}
	m := &minting{name: c.name, seed: c.seed, tree: clone(c.tree), before: before, Options: o, Secrets: Secrets{Version: version}}
	for _, step := range []func(context.Context) error{m.cluster, m.authorities, m.certificates, m.passwords, m.verifiers} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return m.render()
}

// minting is mint under way. Its Secrets grow step by step.
type minting struct {
	Options
	Secrets  // the new ones
	name     string
	seed     *seeds.Seed
	tree     *yaml.Node // it gets what all seeds share
	before   *Secrets
	ca       *pki.Authority
	etcdCA   *pki.Authority // nil where there never was one
	minted   []node
	warnings []string
}

func (m *minting) warn(format string, args ...any) {
	m.warnings = append(m.warnings, fmt.Sprintf(format, args...))
}

// cluster finds out which cluster it is.
func (m *minting) cluster(context.Context) error {
	given, known := m.seed.Cluster, m.before.Cluster
	switch {
	case known.Name != "" && known.Name != given.Name:
		return fmt.Errorf("the secrets are of the cluster %s, and %s is of %s: give each cluster a directory of its own", known.Name, m.name, given.Name)
	case known.ID != "" && given.ID != "" && known.ID != given.ID:
		return fmt.Errorf("the secrets are of the cluster with the id %s, and cluster.id of %s is %s: remove it there, or give each cluster a directory of its own",
			known.ID, m.name, given.ID)
	}
	id := cmp.Or(known.ID, given.ID)
	if id == "" {
		made, err := uuid.NewRandom()
		if err != nil {
			return err
		}
		id = seeds.UUID(made.String())
	}
	m.Cluster = Cluster{Name: given.Name, ID: id}
	return nil
}

// passwords makes those of the cluster's own parts that are needed and not given. One
// that was made is kept even while it is not needed.
func (m *minting) passwords(context.Context) error {
	m.Passwords = m.before.Passwords
	all := m.needsOf(m.seed.Nodes...)
	for _, p := range []struct {
		key    string
		needed bool
		given  seeds.Secret
		to     *seeds.Secret
	}{
		{"superuser_password", all.database, m.seed.Secrets.SuperuserPassword, &m.Passwords.SuperuserPassword},
		{"replication_password", all.database, m.seed.Secrets.ReplicationPassword, &m.Passwords.ReplicationPassword},
		{"rewind_password", all.database, m.seed.Secrets.RewindPassword, &m.Passwords.RewindPassword},
		{"raft_password", all.raft, m.seed.Secrets.RaftPassword, &m.Passwords.RaftPassword},
	} {
		if p.given != "" {
			m.Given = append(m.Given, p.key)
			continue
		}
		if p.needed && slices.Contains(m.before.Given, p.key) {
			m.warn("secrets.%s was given and is no longer: the nodes get one that was made here, which the cluster may not have; put it back to keep the other", p.key)
		}
		if p.needed && *p.to == "" {
			*p.to = seeds.Secret(rand.Text()) // 130 bits
		}
	}
	return nil
}

// needs is what the services of a node, or of several, ask of a seed. Nothing else
// gets into it.
type needs struct{ database, etcd, raft bool }

func (m *minting) needsOf(nodes ...seeds.Node) (n needs) {
	for _, node := range nodes {
		n.database = n.database || node.Runs(seeds.ServicePostgreSQL)
		n.etcd = n.etcd || m.seed.UsesEtcd(node)
		n.raft = n.raft || m.seed.IsRaftMember(node)
	}
	return n
}
