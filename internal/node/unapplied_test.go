package node

import (
	"encoding"
	"encoding/pem"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"banyan/internal/facts"
	"banyan/internal/strict"
	"banyan/seeds"
)

// everything is a seed with something in each list that is rendered, for what the
// examples have none of.
const everything = `version: banyan/v1
cluster: {name: pgsql-cl, dcs: external}
etcd: {endpoints: ["https://etcd1.example.org:2379"], username: patroni, password: fixture-etcd}
nodes: [{name: pgsql-n1, address: 172.16.32.11/24, services: [postgresql]}]
postgresql: {pg_ident: [main backup postgres], parameters: {work_mem: 8MB}}
storage: {volumes: {data: {match: {serial: S3Z8NB0K123456, min_size: 960197124096B}}}}
patroni:
  member_slots_ttl: 30min
  create_replica_methods: [pg_probackup]
  pg_probackup: {command: /bin/true}
  restore_command: cp /mnt/%f %p
  restapi: {allowlist: [10.0.0.1]}
  slots: {app: {type: logical, database: app, plugin: pgoutput}}
  standby_cluster: {host: 10.0.0.1, restore_command: cp /mnt/%f %p, archive_cleanup_command: /bin/true, recovery_min_apply_delay: 5min}
network:
  interface: {name: eno1}
  bonds: [{name: bond0, mode: 802.3ad, interfaces: [{name: eno2}, {mac: "52:54:00:00:00:03"}]}]
  interfaces: [{interface: {name: bond0}, addresses: [10.1.0.11/24], routes: [{to: 10.2.0.0/16, via: 10.1.0.1}]}]
  routes: [{to: 10.0.0.0/8, via: 172.16.32.254}]
  vlans: [{name: v7, id: 7, link: {mac: "52:54:00:00:00:01"}}]
`

// Nothing is silently ignored: whatever key of a section changes, the node changes, or
// the key is said to be for a later Patroni.
func TestEveryKeyIsAppliedOrNamed(t *testing.T) {
	texts := []string{everything, "version: banyan/v1\ncluster: {name: pgsql-cl}\nnodes: [{name: pgsql-n1, address: 172.16.32.11/24}]\nnetwork:\n" + networks["bond"]}
	for _, name := range []string{"single", "raft"} {
		data, err := seeds.Examples.ReadFile("examples/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(data))
	}
	// Those that no file has: internal/member is what applies them.
	joining := []string{"postgresql.databases", "postgresql.existing", "postgresql.roles"}
	seen := map[string]bool{} // whether the key is applied, or named, somewhere
	f := typicalServer
	for i, text := range texts {
		f.Installed = facts.Installed{PostgreSQL: [][]int{{17, 18}, {13, 14}}[i%2]}
		s, _, err := seeds.ParseCluster("seed.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		self := s.Nodes[0]
		render := func() string {
			state, err := Desired(*s, self, f)
			if err != nil {
				return err.Error()
			}
			return Text(show(state))
		}
		before := render()
		sections := reflect.ValueOf(&self).Elem()
		for _, section := range strict.Fields(sections.Type()) {
			if section.Onto == "" {
				continue
			}
			vary(section.Key, sections.Field(section.Index), render, func(path string, changes bool) {
				seen[path] = seen[path] || changes || slices.ContainsFunc(append(Unapplied(self, f), joining...), func(key string) bool { return strings.HasPrefix(path+".", key+".") })
			})
		}
		if render() != before {
			t.Fatal("what was changed was not put back")
		}
	}
	var ignored []string
	for path, applied := range seen {
		if !applied {
			ignored = append(ignored, path)
		}
	}
	slices.Sort(ignored)
	if len(ignored) > 0 || len(seen) < 150 {
		t.Errorf("of %d keys these change nothing and are in no list: %s", len(seen), strings.Join(ignored, ", "))
	}
}

// vary gives each value below v another one, tells whether what is rendered changes by
// that, and puts the first back. An empty list or map gets an item before.
func vary(path string, v reflect.Value, render func() string, tell func(path string, changes bool)) {
	t := v.Type()
	was := reflect.New(t).Elem()
	was.Set(v)
	defer v.Set(was)
	_, isText := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	switch {
	case t.Kind() == reflect.Struct && !isText:
		for _, f := range strict.Fields(t) {
			vary(path+"."+f.Key, v.Field(f.Index), render, tell)
		}
	case t.Kind() == reflect.Slice:
		items := reflect.MakeSlice(t, max(1, v.Len()), max(1, v.Len()))
		reflect.Copy(items, v)
		v.Set(items)
		vary(path, items.Index(0), render, tell)
	case t.Kind() == reflect.Map:
		element := reflect.New(t.Elem()).Elem()
		name := reflect.ValueOf("new")
		for key, value := range v.Seq2() {
			name = key
			element.Set(value)
		}
		vary(path, element, func() string {
			v.Set(reflect.MakeMap(t))
			v.SetMapIndex(name, element)
			return render()
		}, tell)
	default:
		before := render()
		other(v)
		tell(path, render() != before)
	}
}

// other changes a value to one that it has nowhere.
func other(v reflect.Value) {
	if e, ok := reflect.TypeAssert[strict.Enumerator](v); ok {
		i := slices.IndexFunc(e.Enum(), func(choice string) bool { return choice != v.String() })
		v.SetString(e.Enum()[i])
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *netip.Prefix:
		*p = netip.MustParsePrefix("192.0.2.77/28")
	case *netip.Addr:
		*p = netip.MustParseAddr("192.0.2.78")
	case *seeds.MAC:
		*p = seeds.MAC{2, 3, 4, 5, 6, 7}
	case *seeds.PortRange:
		p.First, p.Last = 77, 78
	case *seeds.PrivateKey:
		p.Secret = "another"
	case *seeds.PEM:
		*p = seeds.PEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("another")}))
	case *any:
		*p = "another"
	default:
		switch {
		case v.Kind() == reflect.String:
			v.SetString(v.String() + "other")
		case v.CanInt():
			v.SetInt(v.Int() + 1)
		case v.CanUint():
			v.SetUint(v.Uint() + 1)
		case v.Kind() == reflect.Bool:
			v.SetBool(!v.Bool())
		default:
			panic(fmt.Sprintf("no other value of a %s", v.Type()))
		}
	}
}

func TestUnapplied(t *testing.T) {
	s := fixture(t)
	if got := Unapplied(s.Nodes[0], machine()); len(got) > 0 {
		t.Errorf("of a seed of the README %v is not applied", got)
	}
	s.Nodes[0].Patroni.RESTAPI.Allowlist = []string{"10.0.0.1"}
	s.Nodes[0].Patroni.FailsafeMode = true
	f := machine()
	f.Installed = debian11
	if got := strings.Join(Unapplied(s.Nodes[0], f), " "); got != "patroni.failsafe_mode patroni.restapi.allowlist" {
		t.Errorf("got %s", got)
	}
	f.Patroni.Minor = 1
	if got := strings.Join(Unapplied(s.Nodes[0], f), " "); got != "patroni.failsafe_mode" {
		t.Errorf("of Patroni 2.1: got %s", got)
	}
}
