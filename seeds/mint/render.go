package mint

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"reflect"

	"gopkg.in/yaml.v3"

	"banyan/internal/strict"
	"banyan/seeds"
)

const seedHeader = `# Minted by build seed mint, with secrets in it. Change the cluster file and mint again,
# rather than this file.
`

// minted is what minting makes.
type minted struct {
	// Secrets is all that is to be kept for the next time.
	Secrets *Secrets
	// Warnings are for the operator to read.
	Warnings []string

	nodes   []node
	needs   []needs // of each node
	all     needs
	forms   map[needs]*form
	cluster []byte // the section
}

// form is what all seeds for the same needs share: the cluster file, section by
// section. A node is in the seeds of all others, and is so encoded only a few times.
type form struct {
	sections []section
	items    []*yaml.Node // of the section nodes, each as the node itself has it
	texts    [][]byte     // of the items, as the other nodes have them
}

type section struct {
	key  string
	text []byte // none for cluster and nodes, which are put in
}

// render makes the parts that the seeds are put together from, and finds out whether
// they say something new.
func (m *minting) render() (*minted, error) {
	made := &minted{Secrets: &m.Secrets, Warnings: m.warnings, nodes: m.minted, all: m.needsOf(m.seed.Nodes...), forms: map[needs]*form{}}
	content := sha256.New()
	for i, n := range m.minted {
		needed := m.needsOf(n.Node)
		if err := m.addForm(made, needed, content); err != nil {
			return nil, err
		}
		own, err := made.forms[needed].own(i, n)
		if err != nil {
			return nil, err
		}
		made.needs = append(made.needs, needed)
		add(content, own)
	}
	if err := m.addForm(made, made.all, content); err != nil {
		return nil, err
	}
	section := clone(find(m.tree, "cluster"))
	set(section, "id", text(string(m.Cluster.ID)))
	remove(section, "generation")
	text, err := encode(pair("cluster", section))
	if err != nil {
		return nil, err
	}
	add(content, text)
	m.Cluster.Content = hex.EncodeToString(content.Sum(nil))

	m.Cluster.Generation = m.before.Cluster.Generation
	if given := m.seed.Cluster.Generation; m.Cluster.Content != m.before.Cluster.Content || given > m.Cluster.Generation {
		m.Cluster.Generation = max(m.Cluster.Generation, given) + 1
	}
	set(section, "generation", number(m.Cluster.Generation))
	made.cluster, err = encode(pair("cluster", section))
	return made, err
}

// add makes parts of a digest that cannot run into each other.
func add(h hash.Hash, part []byte) {
	fmt.Fprintf(h, "%d:", len(part))
	h.Write(part)
}

func (m *minting) addForm(made *minted, needed needs, content hash.Hash) error {
	if made.forms[needed] != nil {
		return nil
	}
	f, err := m.form(needed)
	if err != nil {
		return err
	}
	made.forms[needed] = f
	for _, s := range f.sections {
		add(content, s.text)
	}
	for _, t := range f.texts {
		add(content, t)
	}
	return nil
}

// form is the cluster file with what is needed, and without what is not.
func (m *minting) form(needed needs) (*form, error) {
	root := clone(m.tree)
	if !needed.database {
		withoutDatabase(root)
		for node := range items(find(root, "nodes")) {
			withoutDatabase(node)
		}
	}
	authorities := seeds.PKI{CA: m.CA.Certificate}
	if needed.etcd {
		authorities.EtcdCA = m.EtcdCA.Certificate
	}
	put(root, "pki", toNode(reflect.ValueOf(authorities)))
	m.putSecrets(root, needed)

	f := &form{items: find(root, "nodes").Content}
	for _, item := range f.items {
		item = clone(item)
		withoutSecrets(item, reflect.TypeFor[seeds.Node]())
		remove(find(item, "etcd"), etcdClient...)
		text, err := encodeItem(item)
		if err != nil {
			return nil, err
		}
		f.texts = append(f.texts, text)
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		s := section{key: root.Content[i].Value}
		if s.key != "cluster" && s.key != "nodes" {
			var err error
			if s.text, err = encode(pair(s.key, root.Content[i+1])); err != nil {
				return nil, err
			}
		}
		f.sections = append(f.sections, s)
	}
	return f, nil
}

// etcdClient are the keys by which Patroni is a client of an external etcd. One without
// the other would be refused, so that they go together.
var etcdClient = []string{"cert", "key", "username", "password"}

// withoutDatabase takes out of a seed, or of a node, what only nodes with PostgreSQL use
// and may hold a password: pg_hba knows those of LDAP and RADIUS, a command may hold any.
func withoutDatabase(n *yaml.Node) {
	for role := range items(find(find(n, "postgresql"), "roles")) {
		remove(role, "password")
	}
	for section, keys := range map[string][]string{
		"etcd":       etcdClient,
		"patroni":    {"create_replica_methods", "pg_probackup", "restore_command", "standby_cluster"},
		"postgresql": {"parameters", "pg_hba"},
	} {
		given := find(n, section)
		if remove(given, keys...); given != nil && len(given.Content) == 0 {
			remove(n, section)
		}
	}
}

// withoutSecrets takes out all values that the schema has for secrets.
func withoutSecrets(n *yaml.Node, t reflect.Type) {
	switch {
	case n == nil:
	case t.Kind() == reflect.Struct:
		for _, field := range reflect.VisibleFields(t) {
			key := field.Tag.Get("yaml")
			if field.Type == reflect.TypeFor[seeds.Secret]() || field.Type == reflect.TypeFor[seeds.PrivateKey]() {
				remove(n, key)
			} else {
				withoutSecrets(find(n, key), field.Type)
			}
		}
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for item := range items(n) {
			withoutSecrets(item, t.Elem())
		}
	case t.Kind() == reflect.Map && n.Kind == yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			withoutSecrets(n.Content[i], t.Elem())
		}
	}
}

// putSecrets leaves the secrets that are needed and adds those that were made.
func (m *minting) putSecrets(root *yaml.Node, needed needs) {
	section := find(root, "secrets")
	if section == nil {
		section = &yaml.Node{Kind: yaml.MappingNode}
	}
	made := toNode(reflect.ValueOf(m.Passwords))
	for _, f := range strict.Fields(reflect.TypeFor[seeds.Secrets]()) {
		isNeeded := needed.database
		if f.Key == "raft_password" {
			isNeeded = needed.raft
		}
		if password := find(made, f.Key); !isNeeded {
			remove(section, f.Key)
		} else if find(section, f.Key) == nil && password != nil {
			set(section, f.Key, password)
		}
	}
	if remove(root, "secrets"); len(section.Content) > 0 {
		set(root, "secrets", section)
	}
}

// put adds keys to a section, whose values may be lines.
func put(root *yaml.Node, key string, values *yaml.Node) {
	section := &yaml.Node{Kind: yaml.MappingNode}
	if given := find(root, key); given != nil {
		section.Content = given.Content
	}
	for i := 0; i+1 < len(values.Content); i += 2 {
		set(section, values.Content[i].Value, values.Content[i+1])
	}
	set(root, key, section)
}

const nodesKey = "nodes:\n"

// encodeItem is the text of an item of the section nodes.
func encodeItem(item *yaml.Node) ([]byte, error) {
	text, err := encode(pair("nodes", &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{item}}))
	return bytes.TrimPrefix(text, []byte(nodesKey)), err
}

// own is the item of a node with its certificates and keys.
func (f *form) own(i int, n node) ([]byte, error) {
	item := block(f.items[i])
	set(item, "pki", toNode(reflect.ValueOf(n.pki)))
	return encodeItem(item)
}

// Seed is the seed of a node, which holds the node's own keys and no other's.
func (m *minted) Seed(i int) ([]byte, error) {
	f := m.forms[m.needs[i]]
	own, err := f.own(i, m.nodes[i])
	if err != nil {
		return nil, err
	}
	return m.join(f, m.nodes[i].Name, map[int][]byte{i: own})
}

// Universal is one seed for all nodes, each of which finds itself by its match. It
// holds the keys of all.
func (m *minted) Universal() ([]byte, error) {
	f := m.forms[m.all]
	own := map[int][]byte{}
	for i, n := range m.nodes {
		var err error
		if own[i], err = f.own(i, n); err != nil {
			return nil, err
		}
	}
	return m.join(f, "", own)
}

// check reads the seeds of all nodes as the nodes will. Those of nodes with the same
// needs differ in the nodes' own items and in the name, so as many of them are read at
// once as a seed may hold: a thousand nodes would otherwise read each other a thousand
// times.
func (m *minted) check(ctx context.Context) error {
	type batch struct {
		form  *form
		first string
		own   map[int][]byte
		size  int
	}
	var batches []*batch
	open := map[*form]*batch{}
	for i, n := range m.nodes {
		f := m.forms[m.needs[i]]
		own, err := f.own(i, n)
		if err != nil {
			return err
		}
		b := open[f]
		if b == nil || b.size+len(own) > strict.MaxSize {
			seed, err := m.Seed(i)
			if err != nil {
				return err
			}
			b = &batch{f, n.Name, map[int][]byte{}, len(seed)}
			open[f] = b
			batches = append(batches, b)
		} else {
			b.size += len(own)
		}
		b.own[i] = own
	}
	return onAllCores(ctx, len(batches), func(i int) error {
		b := batches[i]
		text, err := m.join(b.form, b.first, b.own)
		if err != nil {
			return err
		}
		return parse(b.first+".yaml", text)
	})
}

// parse refuses a seed that no node would take.
func parse(name string, text []byte) error {
	if _, err := seeds.Parse(name, text); err != nil {
		return fmt.Errorf("what was minted is no seed: %w", err)
	}
	return nil
}

// join puts a seed together: sections in the order of the cluster file, with an empty
// line between them. node is whose it is, or "" for all; own are the items of nodes with
// their keys.
func (m *minted) join(f *form, node string, own map[int][]byte) ([]byte, error) {
	var seed bytes.Buffer
	seed.WriteString(seedHeader)
	for _, s := range f.sections {
		seed.WriteByte('\n')
		switch s.key {
		case "cluster":
			seed.Write(m.cluster)
			if node != "" {
				name, err := encode(pair("node", text(node)))
				if err != nil {
					return nil, err
				}
				seed.WriteByte('\n')
				seed.Write(name)
			}
		case "nodes":
			seed.WriteString(nodesKey)
			for i, item := range f.texts {
				if with, ok := own[i]; ok {
					item = with
				}
				seed.Write(item)
			}
		default:
			seed.Write(s.text)
		}
	}
	return seed.Bytes(), nil
}
