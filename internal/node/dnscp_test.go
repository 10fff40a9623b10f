package node

import (
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"banyan/internal/converge"
	"banyan/internal/dnscp/config"
	"banyan/internal/golden"
	"banyan/seeds"
)

// guarded is a seed of two sites, and what its DNS says.
func guarded(t *testing.T, dns, more string) *seeds.Seed {
	t.Helper()
	s, _, err := seeds.ParseCluster("seed.yaml", []byte(`version: banyan/v1
cluster: {name: pgsql-cl}
sites:
  - {name: dc1, subnet: 172.16.32.0/24, vips: [172.16.32.180]}
  - {name: dc2, subnet: "2001:db8:64::/64", vips: ["2001:db8:64::180", "2001:db8:64::181"]}
dns: {name: pgsql-cl, zone: demo.ru, `+dns+`}
nodes:
  - {name: pgsql-n1, address: 172.16.32.11/24}
  - {name: pgsql-n2, address: "2001:db8:64::12/64", patroni: {watchdog: {mode: off}, callbacks: {on_start: /opt/site/on-change, on_reload: /opt/site/on-reload}}}
  - {name: pgsql-w1, address: 172.16.32.13/24, services: [witness]}
secrets: {tsig_secret: Zml4dHVyZS10c2ln, dns_password: fixture-dns}
`+more))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What a node has of the connection point, by how updates are authorized.
func TestDNSCP(t *testing.T) {
	for name, s := range map[string]*seeds.Seed{
		"tsig":     guarded(t, "auth: tsig, key_name: pgsql-cl., read_name: pgsql-cl-ro, ttl: 30", "dnscp: {hold_down: 3, metrics_port: 9999}\n"),
		"gss-tsig": guarded(t, "auth: gss-tsig, realm: CORP.DEMO.RU, account: DB$, nsupdate: true, servers: [dc1.demo.ru, dc2.demo.ru]", ""),
		"none":     guarded(t, "auth: none", ""),
	} {
		var b strings.Builder
		for _, self := range s.Nodes {
			resources, err := dnscp(*s.Masked(), self, false)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString(Text(show(converge.State{Steps: []converge.Step{{Name: self.Name, Resources: resources}}})))
		}
		golden.Check(t, "testdata/dnscp-"+name+".golden", b.String())
	}
}

// Whatever key of dns and dnscp changes, what the guard has changes.
func TestDNSCPMindsEveryKey(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range []*seeds.Seed{
		guarded(t, "auth: tsig, key_name: k.", ""),
		guarded(t, "auth: gss-tsig", ""),
	} {
		render := func() string {
			text, err := marshalDNSCP(*s, s.Nodes[0])
			if err != nil {
				return err.Error()
			}
			return text
		}
		tell := func(path string, changes bool) { seen[path] = seen[path] || changes }
		vary("dns", reflect.ValueOf(&s.DNS).Elem(), render, tell)
		vary("dnscp", reflect.ValueOf(&s.DNSCP).Elem(), render, tell)
	}
	for path, minded := range seen {
		if !minded {
			t.Errorf("%s changes nothing", path)
		}
	}
	if len(seen) < 12 {
		t.Errorf("no more than %v was tried", seen)
	}
}

// Only who may read the secret has it.
func TestDNSCPSecret(t *testing.T) {
	for auth, want := range map[string]string{"auth: tsig, key_name: k.": "Zml4dHVyZS10c2ln\n", "auth: gss-tsig": "fixture-dns\n"} {
		s := guarded(t, auth, "")
		resources, err := dnscp(*s, s.Nodes[0], false)
		if err != nil {
			t.Fatal(err)
		}
		held := 0
		for _, r := range resources {
			f, ok := r.(converge.File)
			switch {
			case !ok:
			case f.Content == want && f.Secret && f.Mode == 0o600 && f.Owner == "dnscp":
				held++
			case strings.Contains(f.Content, strings.TrimSpace(want)):
				t.Errorf("%s: %s has the secret", auth, f.Path)
			}
		}
		if held != 1 {
			t.Errorf("%s: %d files hold the secret", auth, held)
		}
	}
}

// A node that has left its cluster, or never leads, has no guard, and starts none.
func TestDNSCPMasked(t *testing.T) {
	s := guarded(t, "auth: none", "")
	certify(s)
	f := machine()
	for place, left := range map[int]bool{0: true, 2: false} {
		f.Left = left
		if got := desired(t, *s, s.Nodes[place], f); !masked(got, dnscpUnit) || !reflect.DeepEqual(got[dnscpSocket], converge.Unit{Name: dnscpSocket}) || got[config.File] != (converge.Absent{Path: config.File}) {
			t.Errorf("%s: %v, %v, %v", s.Nodes[place].Name, got[dnscpUnit], got[dnscpSocket], got[config.File])
		}
	}
}

// What is written the guard reads, of every example.
func TestDNSCPReadsItsConfiguration(t *testing.T) {
	all := map[string]*seeds.Seed{}
	files, err := fs.Glob(seeds.Examples, "examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := seeds.Examples.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if all[file], _, err = seeds.ParseCluster(file, data); err != nil {
			t.Fatal(err)
		}
	}
	all["a TSIG key"] = guarded(t, "auth: tsig, key_name: k.", "")
	read := 0
	for name, s := range all {
		for _, self := range s.Nodes {
			if !s.KeepsVIPs(self) {
				continue
			}
			text, err := marshalDNSCP(*s, self)
			if err != nil {
				t.Fatal(err)
			}
			c, err := config.Parse(config.File, []byte(text))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if want := s.FQDN(s.DNS.Name); c.DNS.Name != want {
				t.Errorf("%s: the name is %q, want %q", name, c.DNS.Name, want)
			}
			read++
		}
	}
	if read < 5 {
		t.Errorf("%d configurations were read", read)
	}
}
