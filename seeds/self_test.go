package seeds

import (
	"strings"
	"testing"
)

// rack is a seed of three machines.
const rack = `version: banyan/v1
cluster: {name: pgsql-cl}
nodes:
  - {name: pgsql-n1, address: 172.16.32.11/24, match: {mac: "52:54:00:00:00:01"}}
  - {name: pgsql-n2, address: 172.16.32.12/24, match: {serial: CZ1, uuid: 4c4c4544-0051-3510-8052-b4c04f4a3432}}
  - {name: pgsql-n3, address: 172.16.32.13/24, match: {hostname: rack3-u12}}
secrets: {superuser_password: Hush-superuser, replication_password: Hush-replicator, rewind_password: Hush-rewind}
`

func parseMAC(t *testing.T, text string) MAC {
	t.Helper()
	var m MAC
	if err := m.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSelf(t *testing.T) {
	one, two := parseMAC(t, "52:54:00:00:00:01"), parseMAC(t, "52:54:00:00:00:02")
	const uuid = "4c4c4544-0051-3510-8052-b4c04f4a3432"
	paste := "    match:\n      mac: \"52:54:00:00:00:02\"\n      # or mac: \"52:54:00:00:00:03\"\n      serial: \"CZ 2\"\n      uuid: \"" + uuid + `"`
	for name, c := range map[string]struct {
		seed       string
		machine    Machine
		want, fail string
	}{
		"by MAC":               {rack, Machine{MACs: []MAC{two, one}}, "pgsql-n1", ""},
		"by serial and UUID":   {rack, Machine{MACs: []MAC{two}, Serial: "cz1", UUID: uuid}, "pgsql-n2", ""},
		"UUID turned around":   {rack, Machine{Serial: "CZ1", UUID: "44454c4c-5100-1035-8052-b4c04f4a3432"}, "pgsql-n2", ""},
		"one of two":           {rack, Machine{Serial: "CZ1"}, "", "none of the 3 nodes"},
		"another UUID":         {rack, Machine{Serial: "CZ1", UUID: "00000000-0051-3510-8052-b4c04f4a3432"}, "", "none of the 3 nodes"},
		"by host name":         {rack, Machine{Hostname: "Rack3-u12"}, "pgsql-n3", ""},
		"by its first label":   {rack, Machine{Hostname: "rack3-u12.demo.ru"}, "pgsql-n3", ""},
		"two":                  {rack, Machine{MACs: []MAC{one}, Hostname: "rack3-u12"}, "", "by their match pgsql-n1 and pgsql-n3 are all this machine"},
		"none, ready to paste": {rack, Machine{MACs: []MAC{two, parseMAC(t, "52:54:00:00:00:03")}, Serial: "CZ 2", UUID: uuid}, "", paste},
		"nothing to tell it":   {rack, Machine{}, "", "give it a seed of its own, with the key node"},
		"named":                {rack + "node: pgsql-n2\n", Machine{MACs: []MAC{one}}, "pgsql-n2", ""},
		"named in vain":        {rack + "node: pgsql-n9\n", Machine{}, "", "no node of that name"},
		"only one":             {minimal, Machine{}, "pgsql-n1", ""},
		"no match fits nobody": {strings.Replace(rack, `, match: {hostname: rack3-u12}`, "", 1), Machine{}, "", "none of the 3 nodes"},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := read("seed.yaml", []byte(c.seed))
			if err := d.Err(); err != nil && c.want != "" {
				t.Fatal(err)
			}
			n, err := s.Self(c.machine)
			if c.want != "" && (err != nil || n.Name != c.want) {
				t.Errorf("got %s, %v", n.Name, err)
			}
			if c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail)) {
				t.Errorf("got %s and the error\n%v\nwant one with\n%s", n.Name, err, c.fail)
			}
		})
	}
}

// What a machine is told to paste is a match that is its own.
func TestSelfOffersAMatchThatFits(t *testing.T) {
	m := Machine{MACs: []MAC{parseMAC(t, "52:54:00:00:00:07")}, Serial: `odd "serial": #1`, UUID: "4c4c4544-0051-3510-8052-b4c04f4a3433"}
	text := strings.Replace(rack, `  - {name: pgsql-n1, address: 172.16.32.11/24, match: {mac: "52:54:00:00:00:01"}}`,
		"  - name: pgsql-n1\n    address: 172.16.32.11/24\n"+m.match(), 1)
	s, err := Parse("seed.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if n, err := s.Self(m); err != nil || n.Name != "pgsql-n1" {
		t.Errorf("got %s, %v", n.Name, err)
	}
}
