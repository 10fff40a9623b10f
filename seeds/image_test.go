package seeds

import (
	"strings"
	"testing"
)

// Images of Debian 11 and 13.
var (
	older = Image{Name: "debian-11", PostgreSQL: []int{13}, Patroni: PatroniVersion{2, 0}, Locales: []string{"en_US.UTF-8", "ru_RU.UTF-8"}}
	newer = Image{Name: "debian-13", PostgreSQL: []int{16, 17}, Patroni: PatroniVersion{4, 0}, Locales: []string{"en_US.UTF-8", "ru_RU.UTF-8"}}
)

// What an image lacks is refused where the seed asks for it.
func TestImages(t *testing.T) {
	const head = "version: banyan/v1\ncluster: {name: pgsql-cl}\nnodes:\n  - name: pgsql-n1\n    address: 172.16.32.11/24\n"
	english := newer
	english.Name, english.Locales = "english", []string{"en_US.UTF-8"}
	for _, test := range []struct {
		more     string
		images   []Image
		problems []string
		warnings []string
	}{
		{"postgresql: {version: 16}\n", []Image{newer}, nil, nil},
		{"postgresql: {version: 16}\n", []Image{older, newer}, []string{"x:6:23: debian-11 has PostgreSQL 13, not 16: build"}, nil},
		{"postgresql: {version: 15}\n", []Image{newer}, []string{"x:6:23: debian-13 has PostgreSQL 16, 17, not 15: build"}, nil},
		{"    postgresql: {version: 15}\n", []Image{newer}, []string{"x:6:27: debian-13 has PostgreSQL 16, 17, not 15: build"}, nil},
		{"patroni: {synchronous_mode: quorum}\n", []Image{newer}, nil, nil},
		{"patroni: {synchronous_mode: quorum}\n", []Image{older}, []string{"x:6:29: debian-11 has Patroni 2, which takes quorum for off"}, nil},
		{"patroni: {failsafe_mode: true, member_slots_ttl: 30min}\n", []Image{older, newer}, nil, []string{
			"x:6:26: debian-11 has Patroni 2, which has no failsafe_mode", "x:6:50: debian-11 has Patroni 2, which has no member_slots_ttl",
		}},
		{"patroni: {restapi: {allowlist: [10.0.0.1]}}\n", []Image{older, newer}, nil, []string{"x:6:21: debian-11 has Patroni 2.0, which has no allowlist"}},
		{"patroni: {restapi: {allowlist: []}}\n", []Image{older, newer}, nil, nil},
		{"postgresql: {data_dir: /srv/postgresql/main, wal_dir: /var/lib/wal/main}\nstorage: {volumes: {a: {match: {serial: x}, path: /srv/a}, b: {match: {serial: y}, path: /home/b}}}\n", []Image{newer}, nil, []string{
			"x:6:24: the root of debian-13 is read-only: there this has to be below /var", "x:7:51: the root of debian-13 is read-only",
		}},
		{"system: {locale: de_DE.UTF-8}\n", []Image{newer}, []string{"x:6:18: debian-13 has no locale \"de_DE.UTF-8\": it has en_US.UTF-8, ru_RU.UTF-8; add it"}, nil},
		{"system: {locale: en_US.utf8}\npostgresql: {initdb: {locale: C.UTF-8}}\n", []Image{newer}, nil, nil},
		{"postgresql:\n  port: 5433\n", []Image{english}, []string{`x:6:1: english has no locale "ru_RU.UTF-8", which postgresql.initdb.locale is by default: it has en_US.UTF-8; write`}, nil},
		{"system: {timezone: Europe/Moskow}\n", nil, []string{`x:6:20: there is no time zone "Europe/Moskow": see`}, nil},
	} {
		_, warnings, err := ParseCluster("x", []byte(head+test.more), test.images...)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if (err != nil) != (test.problems != nil) {
			t.Errorf("%s: %v", test.more, err)
		}
		for _, want := range test.problems {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", test.more, want, text)
			}
		}
		if len(warnings) != len(test.warnings) {
			t.Errorf("%s: %v", test.more, warnings)
		}
		for _, want := range test.warnings {
			if !strings.Contains(warnings.Error(), want) {
				t.Errorf("%s: no %q in\n%v", test.more, want, warnings)
			}
		}
	}
}
