package node

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"banyan/internal/facts"
	"banyan/internal/golden"
	"banyan/seeds"
)

// fixture is a seed, whose one node has what is in effect.
func fixture(t *testing.T) seeds.Seed {
	t.Helper()
	s, err := seeds.Parse("fixture.yaml", []byte(`version: banyan/v1
cluster: {name: pgsql-cl}
nodes:
  - {name: pgsql-n1, address: 172.16.32.11/24, gateway: 172.16.32.1}
secrets:
  superuser_password: fixture-superuser
  replication_password: fixture-replication
  rewind_password: "fixture-rewind: #1"
`))
	if err != nil {
		t.Fatal(err)
	}
	certify(s)
	return *s
}

// certify gives a seed and its first node what stands in for certificates.
func certify(s *seeds.Seed) {
	s.PKI.CA, s.PKI.EtcdCA = "the authority\n", "etcd's authority\n"
	s.Nodes[0].PKI = seeds.NodePKI{
		Certificate: "the certificate\n", Key: seeds.PrivateKey{Secret: "fixture-key"},
		EtcdCertificate: "the certificate for etcd\n", EtcdKey: seeds.PrivateKey{Secret: "fixture-etcd-key"},
	}
}

func machine() facts.Facts {
	return facts.Facts{
		Installed: facts.Installed{PostgreSQL: []int{17}},
		NICs:      []facts.NIC{{Name: "eno1", MAC: "52:54:00:00:00:01", Physical: true}},
		Accounts:  map[string]int{"root": 0, "backup": 34, "haproxy": 904, "nobody": 65534},
		Groups:    []string{"root", "adm", "backup", "operator", "haproxy", "systemd-journal"},
		Shells:    []string{"/bin/sh", "/bin/bash"},
		Timezones: []string{"Europe/Moscow", "UTC"},
		Locales:   []string{"C.UTF-8", "en_US.UTF-8", "ru_RU.UTF-8"},
	}
}

// What the older profiles have.
var (
	debian11 = facts.Installed{PostgreSQL: []int{13}, Systemd: facts.Version{Major: 247, Minor: 3}, Patroni: facts.Version{Major: 2}, Etcd: facts.Version{Major: 3, Minor: 3}}
	debian12 = facts.Installed{PostgreSQL: []int{15}, Systemd: facts.Version{Major: 252, Minor: 39}, Patroni: facts.Version{Major: 3}, Etcd: facts.Version{Major: 3, Minor: 4}}
)

func mac(t *testing.T, s string) (m seeds.MAC) {
	t.Helper()
	if err := m.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDesired(t *testing.T) {
	tests := map[string]func(s *seeds.Seed, f *facts.Facts){
		"static": func(s *seeds.Seed, _ *facts.Facts) {
			s.Nodes[0].Network.DNS = []netip.Addr{netip.MustParseAddr("172.16.32.2"), netip.MustParseAddr("172.16.64.2")}
			s.Nodes[0].Network.Domains = []string{"demo.ru", "example.org"}
		},
		"born": func(_ *seeds.Seed, f *facts.Facts) { f.Born = true },
		"dhcp": func(s *seeds.Seed, _ *facts.Facts) {
			s.Nodes[0].Network.DHCP = true
			s.Nodes[0].Gateway = netip.Addr{}
		},
		"ipv6": func(s *seeds.Seed, _ *facts.Facts) {
			s.Nodes[0].Address = netip.MustParsePrefix("2001:db8:32::11/64")
			s.Nodes[0].Gateway = netip.MustParseAddr("2001:db8:32::1")
		},
		"interface-mac": func(s *seeds.Seed, f *facts.Facts) {
			f.NICs = append(f.NICs, facts.NIC{Name: "eno2", MAC: "52:54:00:00:00:02", Physical: true})
			s.Nodes[0].Network.Interface.MAC = mac(t, "52-54-00-00-00-02")
		},
		"debian-11": func(_ *seeds.Seed, f *facts.Facts) {
			f.Installed = debian11
		},
		"debian-12": func(_ *seeds.Seed, f *facts.Facts) {
			f.Installed = debian12
		},
		"interface-name": func(s *seeds.Seed, _ *facts.Facts) { s.Nodes[0].Network.Interface.Name = "eno1" },
		"users": func(s *seeds.Seed, f *facts.Facts) {
			f.Homes = map[string]int{"elena": 1001, "long-gone": 1000}
			s.Nodes[0].System.Users = []seeds.User{
				{
					Name: "dba", Shell: "/bin/bash", Groups: []string{"adm", "systemd-journal"},
					HashedPasswd:      "$y$j9T$fixture-hash",
					SSHAuthorizedKeys: []string{"ssh-ed25519 AAAAC3Nz dba@office", "ssh-ed25519 AAAAC3Nx dba@home"},
					Sudo:              true,
				},
				{Name: "elena", Shell: "/bin/sh"},
				{Name: "backup-robot", UID: 2000, Shell: "/bin/bash", Sudo: true},
			}
		},
		"postgresql": func(s *seeds.Seed, f *facts.Facts) {
			f.PostgreSQL = []int{15, 17}
			p := &s.Nodes[0].PostgreSQL
			p.Version = 15
			s.PostgreSQL.Parameters = map[string]any{"max_connections": 200, "jit": "off", "random_page_cost": 1.1, "log_line_prefix": "%t [%p]: ", "hot_standby_feedback": true}
			p.Parameters = maps.Clone(s.PostgreSQL.Parameters)
			p.Parameters["random_page_cost"] = 4
			p.PgHBA = []string{"hostssl all all 172.16.0.0/12 scram-sha-256", "host all monitor 10.0.0.5/32 scram-sha-256"}
			d := &s.Nodes[0].Patroni
			d.TTL, d.LoopWait, d.RetryTimeout = 20, 5, 5
		},
	}
	for name, vary := range tests {
		t.Run(name, func(t *testing.T) {
			s, f := fixture(t), machine()
			vary(&s, &f)
			if err := Check(s, s.Nodes[0], f); err != nil {
				t.Fatal(err)
			}
			shown, err := Preview(&s, s.Nodes[0].Name, f)
			if err != nil {
				t.Fatal(err)
			}
			got := Text(shown)
			if strings.Contains(got, "fixture-") {
				t.Fatalf("a secret would come into the golden file:\n%s", got)
			}
			golden.Check(t, "testdata/"+name+".golden", got)
		})
	}
}

func TestCheck(t *testing.T) {
	two := []facts.NIC{
		{Name: "br0", MAC: "52:54:00:00:00:09"},
		{Name: "eno1", MAC: "52:54:00:00:00:01", Physical: true},
		{Name: "eno2", MAC: "52:54:00:00:00:02", Physical: true},
	}
	tests := map[string]struct {
		vary func(s *seeds.Seed, f *facts.Facts)
		want string // "" where nothing is wrong
	}{
		"one NIC":    {func(*seeds.Seed, *facts.Facts) {}, ""},
		"a bridge":   {func(_ *seeds.Seed, f *facts.Facts) { f.NICs = two[:2] }, ""},
		"named":      {func(s *seeds.Seed, f *facts.Facts) { f.NICs, s.Nodes[0].Network.Interface.Name = two, "eno2" }, ""},
		"named veth": {func(s *seeds.Seed, f *facts.Facts) { f.NICs, s.Nodes[0].Network.Interface.Name = two, "br0" }, ""},
		"by MAC": {func(s *seeds.Seed, f *facts.Facts) {
			f.NICs, s.Nodes[0].Network.Interface.MAC = two, mac(t, "52:54:00:00:00:02")
		}, ""},
		"own version": {func(s *seeds.Seed, _ *facts.Facts) { s.Nodes[0].PostgreSQL.Version = 17 }, ""},
		"own uid": {func(s *seeds.Seed, f *facts.Facts) {
			s.Nodes[0].System.Users, f.Homes, f.Accounts = []seeds.User{person("dba", 1001)}, map[string]int{"dba": 1001}, map[string]int{"dba": 1001}
		}, ""},
		"a person of this host": {func(s *seeds.Seed, f *facts.Facts) {
			s.Nodes[0].System.Users, f.Accounts, f.Groups = []seeds.User{person("dba", 0)}, map[string]int{"dba": 1000}, []string{"dba"}
		}, ""},
		"version of the data": {func(_ *seeds.Seed, f *facts.Facts) { f.PostgreSQL, f.PostgreSQLData = []int{15, 17}, []int{15} }, ""},
		"another spelling":    {func(s *seeds.Seed, _ *facts.Facts) { s.Nodes[0].System.Locale = "en_US.utf8" }, ""},

		"two NICs": {
			func(_ *seeds.Seed, f *facts.Facts) { f.NICs = two },
			"network.interface: say by name or mac which one it is: this machine has eno1 (52:54:00:00:00:01), eno2 (52:54:00:00:00:02)",
		},
		"no NIC": {
			func(_ *seeds.Seed, f *facts.Facts) { f.NICs = nil },
			"network.interface: this machine has no Ethernet interface; if its driver came late, try again",
		},
		"no such name": {
			func(s *seeds.Seed, _ *facts.Facts) { s.Nodes[0].Network.Interface.Name = "eth0" },
			"network.interface.name: this machine has no Ethernet interface eth0; it has eno1 (52:54:00:00:00:01)",
		},
		"no such MAC": {
			func(s *seeds.Seed, f *facts.Facts) {
				s.Nodes[0].Network.Interface.MAC, f.NICs = mac(t, "52:54:00:00:00:07"), nil
			},
			"network.interface.mac: no Ethernet interface has the address 52:54:00:00:00:07; this machine has none",
		},
		"no server": {
			func(_ *seeds.Seed, f *facts.Facts) { f.PostgreSQL = nil },
			"postgresql: no server is installed in /usr/lib/postgresql",
		},
		"no such version": {
			func(s *seeds.Seed, f *facts.Facts) { s.Nodes[0].PostgreSQL.Version, f.PostgreSQL = 16, []int{15, 17} },
			"postgresql.version: 16 is not installed; this machine has [15 17]",
		},
		"a cluster file": {
			func(s *seeds.Seed, _ *facts.Facts) {
				s.PKI, s.Nodes[0].PKI = seeds.PKI{}, seeds.NodePKI{}
			},
			"pki: the seed lacks pki.ca, the certificate of pgsql-n1, pki.etcd_ca, the certificate of pgsql-n1 for etcd, " +
				"and nothing of a cluster speaks without TLS: make the seed of pgsql-n1 with `build seed mint`",
		},
		"another uid": {
			func(s *seeds.Seed, f *facts.Facts) {
				s.Nodes[0].System.Users, f.Homes = []seeds.User{person("dba", 1001)}, map[string]int{"dba": 1000}
			},
			"system.users: dba: uid is 1001, but /home/dba belongs to 1000; give it that uid, or change the owner of its files first",
		},
		"another's uid": {
			func(s *seeds.Seed, f *facts.Facts) {
				s.Nodes[0].System.Users, f.Homes = []seeds.User{person("dba", 1001)}, map[string]int{"elena": 1001}
			},
			"system.users: dba: uid 1001 already owns /home/elena",
		},
		"an account's uid": {
			func(s *seeds.Seed, f *facts.Facts) {
				s.Nodes[0].System.Users, f.Accounts = []seeds.User{person("dba", 1001)}, map[string]int{"elena": 1001}
			},
			"system.users: dba: uid 1001 is that of the account elena",
		},
		"system accounts": {
			func(s *seeds.Seed, _ *facts.Facts) {
				s.Nodes[0].System.Users = []seeds.User{person("backup", 0), person("nobody", 0)}
			},
			"system.users: backup: is an account of the system; give the person another name\n" +
				"system.users: nobody: is an account of the system; give the person another name",
		},
		"a group's name": {
			func(s *seeds.Seed, _ *facts.Facts) { s.Nodes[0].System.Users = []seeds.User{person("operator", 0)} },
			"system.users: operator: is a group of this machine, and a user has one of that name; give the person another name",
		},
		"no such group": {
			func(s *seeds.Seed, _ *facts.Facts) {
				s.Nodes[0].System.Users = []seeds.User{person("dba", 0), person("elena", 0)}
				s.Nodes[0].System.Users[0].Groups = []string{"adm", "wheel", "elena"}
			},
			"system.users: dba: this machine has no group wheel\nsystem.users: dba: this machine has no group elena",
		},
		"no such shell": {
			func(s *seeds.Seed, _ *facts.Facts) {
				s.Nodes[0].System.Users = []seeds.User{person("dba", 0)}
				s.Nodes[0].System.Users[0].Shell = "/usr/bin/zsh"
			},
			"system.users: dba: this machine has no shell /usr/bin/zsh; it has /bin/sh, /bin/bash",
		},
		"no such time zone": {
			func(s *seeds.Seed, _ *facts.Facts) { s.Nodes[0].System.Timezone = "US/Eastern" },
			"system.timezone: this machine has no /usr/share/zoneinfo/US/Eastern; write a zone such as Europe/Moscow",
		},
		"no such locale": {
			func(s *seeds.Seed, _ *facts.Facts) { s.Nodes[0].System.Locale = "de_DE.UTF-8" },
			"system.locale: de_DE.UTF-8 was not generated; this machine has C.UTF-8, en_US.UTF-8, ru_RU.UTF-8",
		},
		"no locale for initdb": {
			func(_ *seeds.Seed, f *facts.Facts) { f.Locales = []string{"en_US.UTF-8"} },
			"postgresql.initdb.locale: ru_RU.UTF-8 was not generated; this machine has en_US.UTF-8",
		},
		"data of another version": {
			func(_ *seeds.Seed, f *facts.Facts) { f.PostgreSQL, f.PostgreSQLData = []int{18}, []int{15, 17} },
			"postgresql: /var/lib/postgresql/17/main holds data, and 17 is not installed; this machine has [18]; " +
				"install it, or say in postgresql.version which one to run",
		},
		"quorum of an older Patroni": {
			func(s *seeds.Seed, f *facts.Facts) {
				s.Nodes[0].Patroni.SynchronousMode, f.Installed = seeds.SynchronousModeQuorum, debian12
			},
			"patroni.synchronous_mode: quorum is for Patroni 4 and later; this machine has 3.0",
		},
		"everything at once": {
			func(_ *seeds.Seed, f *facts.Facts) { f.NICs, f.PostgreSQL = nil, nil },
			"network.interface: this machine has no Ethernet interface; if its driver came late, try again\n" +
				"postgresql: no server is installed in /usr/lib/postgresql",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, f := fixture(t), machine()
			test.vary(&s, &f)
			got := ""
			if err := Check(s, s.Nodes[0], f); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got:  %s\nwant: %s", got, test.want)
			}
		})
	}
}

// person is a user with what seeds.Parse fills in.
func person(name string, uid int) seeds.User {
	return seeds.User{Name: name, UID: uid, Shell: "/bin/bash"}
}

func TestPostgreSQLVersion(t *testing.T) {
	for _, test := range []struct {
		seed            int
		installed, data []int
		want            int
	}{
		{0, []int{15, 17}, nil, 17},
		{0, []int{17, 18}, []int{17}, 17}, // the image came to have another
		{0, []int{15, 17, 18}, []int{15, 17}, 17},
		{18, []int{17, 18}, []int{17}, 18},
	} {
		s, f := fixture(t), machine()
		s.Nodes[0].PostgreSQL.Version, f.PostgreSQL, f.PostgreSQLData = test.seed, test.installed, test.data
		if got, err := PostgreSQLVersion(s.Nodes[0], f); err != nil || got != test.want {
			t.Errorf("%+v: got %d, %v", test, got, err)
		}
	}
}

// PyYAML takes each of these for something else where it stands without quotes.
func TestPatroniPasswords(t *testing.T) {
	for _, password := range []string{"1234-56-78", "0b______", "=", "<<", "12:34:56", "0o17", "1e3", "off", "~", "- a", "#a: b"} {
		s := fixture(t)
		s.Secrets.RewindPassword = seeds.Secret(password)
		config, err := marshalPatroni(s, s.Nodes[0], database{version: 17}, abilities{})
		if err != nil {
			t.Fatal(err)
		}
		if want := "      password: \"" + password + "\"\n"; !strings.Contains(config, want) {
			t.Errorf("%s: the configuration has no line %s", password, want)
		}
	}
}

// Only the one interface that facts see is matched by its address.
func TestNetworkMatch(t *testing.T) {
	one, two := facts.NIC{Name: "eno1", MAC: "52:54:00:00:00:01", Physical: true}, facts.NIC{Name: "eno2", MAC: "52:54:00:00:00:02", Physical: true}
	const all = "[Match]\nType=ether\nKind=!*\n\n"
	for _, test := range []struct {
		nics []facts.NIC
		want string
	}{
		{[]facts.NIC{two, {Name: "br0", MAC: one.MAC}}, "[Match]\nMACAddress=52:54:00:00:00:02\nType=ether\nKind=!*\n\n"},
		{[]facts.NIC{{Name: "br0", MAC: one.MAC}}, all},
		{[]facts.NIC{one, two}, all},
	} {
		s := fixture(t)
		if got := networkFiles(s.Nodes[0], facts.Facts{NICs: test.nics})[0].Content; !strings.Contains(got, test.want) {
			t.Errorf("%v:\n%s", test.nics, got)
		}
	}
}

func TestAssignUIDs(t *testing.T) {
	homes := map[string]int{"boris": 1000, "gone": 1002}
	machine := facts.Facts{Homes: homes, Accounts: map[string]int{"root": 0, "host": 1003, "anna": 1004}}
	users := []seeds.User{{Name: "anna"}, {Name: "boris"}, {Name: "vera", UID: 1001}, {Name: "galina"}}
	got, err := assignUIDs(users, machine)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"anna": 1004, "boris": 1000, "vera": 1001, "galina": 1005} {
		if got[name] != want {
			t.Errorf("%s has uid %d, want %d", name, got[name], want)
		}
	}

	for uid := firstUID; uid <= lastUID; uid++ {
		homes[fmt.Sprint(uid)] = uid
	}
	if _, err := assignUIDs(users, machine); err == nil || !strings.Contains(err.Error(), "no uid from 1000 to 59999 is left for anna") {
		t.Errorf("without a free uid the error is %v", err)
	}
}
