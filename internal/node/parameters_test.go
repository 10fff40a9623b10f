package node

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"banyan/internal/golden"
	"banyan/seeds"
)

// server is a machine of the middle kind.
func server() sizing {
	return sizing{
		memory: 64 * gb, cpus: 16, class: seeds.DiskClassSSD, walSize: 200 * gb, dataSize: 2000 * gb,
		version: 17, hugePage: "2MB", timezone: "Europe/Moscow",
	}
}

func TestComputedParameters(t *testing.T) {
	machines := map[string]sizing{
		"1g-hdd": {
			memory: 1*gb - 40*mb, cpus: 1, class: seeds.DiskClassRotational, dataSize: 8 * gb,
			version: 17, hugePage: "2MB", timezone: "Europe/Moscow",
		},
		"4g-any":  {memory: 4*gb - 150*mb, cpus: 2, class: seeds.DiskClassAny, version: 17, hugePage: "0MB", timezone: "UTC"},
		"64g-ssd": server(),
		"512g-nvme": {
			memory: 512*gb - 7*gb, cpus: 64, class: seeds.DiskClassNVMe, walSize: 400 * gb, dataSize: 8000 * gb,
			version: 17, hugePage: "1GB", timezone: "Asia/Yekaterinburg", statsTemp: "/run/postgresql-stats",
		},
	}
	for _, version := range []int{11, 13, 15, 18} {
		z := machines["512g-nvme"]
		z.version = version
		machines[fmt.Sprintf("512g-nvme-%d", version)] = z
	}
	for name, z := range machines {
		t.Run(name, func(t *testing.T) {
			cluster, own, _ := computedParameters(z, nil)
			text, err := yaml.Marshal(map[string]any{"cluster": cluster, "node": own})
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, "testdata/parameters-"+name+".golden", string(text))
		})
	}
}

// inBytes is what a machine gets, as a number; bytes where it is a size.
func inBytes(t *testing.T, z sizing, given map[string]any, name string) int64 {
	t.Helper()
	cluster, own, _ := computedParameters(z, given)
	value, ok := own[name]
	if !ok {
		value, ok = cluster[name]
	}
	n, isNumber := number(value, row(t, name).base)
	if !ok || !isNumber {
		t.Fatalf("%s is %v", name, value)
	}
	return n
}

func row(t *testing.T, name string) parameter {
	t.Helper()
	i := slices.IndexFunc(parameters, func(p parameter) bool { return p.name == name })
	if i < 0 {
		t.Fatalf("the table lacks %s", name)
	}
	return parameters[i]
}

// What PostgreSQL may take is there, however large the machine is.
func TestParametersFitIntoMemory(t *testing.T) {
	for memory := gb; memory < 8<<40; memory += max(memory/13, 1) {
		for _, connections := range []int64{25, 100, 200, 1000, 20000} {
			for _, buffers := range []any{nil, "512MB", size(memory / 5 * 4 / mb * mb)} {
				z, given := server(), map[string]any{"max_connections": int(connections)}
				z.memory = memory
				shared := inBytes(t, z, given, "shared_buffers")
				if buffers != nil {
					given["shared_buffers"] = buffers
					shared, _ = number(buffers, 8<<10)
				}
				work, maintenance := inBytes(t, z, given, "work_mem"), inBytes(t, z, given, "maintenance_work_mem")
				cache := inBytes(t, z, given, "effective_cache_size")
				if work > 4*mb && shared+work*connections > memory {
					t.Errorf("%s for %d connections: shared_buffers %s, work_mem %s", size(memory), connections, size(shared), size(work))
				}
				if work < 4*mb || work > memory/64 && work > 4*mb || maintenance < 64*mb || maintenance > 2*gb || cache > memory {
					t.Errorf("%s: work_mem %s, maintenance_work_mem %s, effective_cache_size %s", size(memory), size(work), size(maintenance), size(cache))
				}
			}
		}
	}
}

// A kernel that leaves a little less of the memory changes nothing.
func TestParametersOfNearlyTheSameMemory(t *testing.T) {
	z := server()
	z.memory = 15*gb + 700*mb
	cluster, own, _ := computedParameters(z, nil)
	z.memory -= 20 * mb
	cluster2, own2, _ := computedParameters(z, nil)
	if !reflect.DeepEqual(cluster, cluster2) || !reflect.DeepEqual(own, own2) {
		t.Errorf("%v is not %v", own2, own)
	}
}

// Nothing is known of a machine: PostgreSQL starts all the same.
func TestParametersOfNoMachine(t *testing.T) {
	_, own, _ := computedParameters(sizing{version: 17}, nil)
	want := map[string]any{
		"shared_buffers": "128MB", "work_mem": "4MB", "maintenance_work_mem": "64MB", "effective_cache_size": "128MB",
		"random_page_cost": 2.0, "effective_io_concurrency": 4, "autovacuum_max_workers": 4, "max_wal_size": "8GB", "min_wal_size": "2GB",
		"ssl": "on", "ssl_ca_file": CAFile, "ssl_cert_file": certificateFile, "ssl_key_file": keyFile,
	}
	if !reflect.DeepEqual(own, want) {
		t.Errorf("%v", own)
	}
}

func TestParametersFitIntoFileSystem(t *testing.T) {
	for space := 64 * mb; space < 8<<40; space += max(space/7, 1) {
		z := server()
		z.walSize = space
		most, least, keep := inBytes(t, z, nil, "max_wal_size"), inBytes(t, z, nil, "min_wal_size"), inBytes(t, z, nil, "wal_keep_size")
		if most > max(space/10, 32*mb) || least > max(space/40, 32*mb) || keep > max(space/10, 16*mb) || least > most {
			t.Errorf("%s: max_wal_size %s, min_wal_size %s, wal_keep_size %s", size(space), size(most), size(least), size(keep))
		}
		if least < 32*mb || keep < 16*mb || most%walSegment+least%walSegment+keep%walSegment != 0 {
			t.Errorf("%s: max_wal_size %s, min_wal_size %s, wal_keep_size %s", size(space), size(most), size(least), size(keep))
		}
		z.version = 12
		if segments := inBytes(t, z, nil, "wal_keep_segments"); segments*walSegment != keep {
			t.Errorf("%s: %d segments are not %s", size(space), segments, size(keep))
		}
		z.version, z.walSize, z.dataSize = 17, 0, space
		if got := inBytes(t, z, nil, "max_wal_size"); got != most {
			t.Errorf("%s beside the data: max_wal_size %s, not %s", size(space), size(got), size(most))
		}
	}
	if got := inBytes(t, server(), nil, "max_wal_size"); got != 8*gb {
		t.Errorf("on a large disk max_wal_size is %s", size(got))
	}
}

// What the seed gives is never computed, however its name is written, and nothing else
// that does not rest on it changes.
func TestGivenParametersWin(t *testing.T) {
	rest := map[string][]string{
		"max_connections": {"work_mem", "maintenance_work_mem"},
		"shared_buffers":  {"work_mem", "maintenance_work_mem", "effective_cache_size"},
		"work_mem":        {"maintenance_work_mem"},
	}
	for _, version := range []int{11, 17} {
		z := server()
		z.version, z.hugePage, z.statsTemp = version, "1GB", "/run/stats"
		cluster, own, _ := computedParameters(z, nil)
		for name := range merged(cluster, own) {
			cluster2, own2, _ := computedParameters(z, map[string]any{strings.ToUpper(name): "77"})
			want, got := merged(cluster, own), merged(cluster2, own2)
			delete(want, name)
			for _, changed := range rest[name] {
				if want[changed] == got[changed] {
					t.Errorf("%s given: %s is still %v", name, changed, got[changed])
				}
				delete(want, changed)
				delete(got, changed)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s given: %v, not %v", name, got, want)
			}
		}
	}
}

func merged(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func TestRulesSeeGivenParameters(t *testing.T) {
	for _, test := range []struct {
		given map[string]any
		name  string
		want  any
	}{
		{nil, "work_mem", "122MB"},
		{map[string]any{"max_connections": 100}, "work_mem", "245MB"},
		{map[string]any{"max_connections": "1000"}, "work_mem", "24MB"},
		{map[string]any{"Max_Connections": 50.0}, "work_mem", "491MB"},
		{map[string]any{"max_connections": "many"}, "work_mem", "122MB"},
		{map[string]any{"max_connections": 0}, "work_mem", "122MB"},
		{map[string]any{"max_connections": nil}, "work_mem", "122MB"},
		{map[string]any{"max_connections": "200MB"}, "work_mem", "122MB"},
		{map[string]any{"shared_buffers": 4 << 20}, "work_mem", "81MB"}, // pages of 8kB: 32GB
		{map[string]any{"shared_buffers": "32GB"}, "work_mem", "81MB"},
		{map[string]any{"shared_buffers": "32 GB"}, "effective_cache_size", "32GB"},
		{map[string]any{"shared_buffers": true}, "effective_cache_size", "48GB"},
		{map[string]any{"shared_buffers": "100GB"}, "work_mem", "4MB"},
		{map[string]any{"shared_buffers": "100GB"}, "effective_cache_size", "128MB"},
		{map[string]any{"work_mem": "256MB"}, "maintenance_work_mem", "1GB"},
		{map[string]any{"work_mem": 65536}, "maintenance_work_mem", "256MB"},
		{map[string]any{"work_mem": "0.25GB"}, "maintenance_work_mem", "1GB"},
		{map[string]any{"work_mem": "256mb"}, "maintenance_work_mem", "488MB"},
		{map[string]any{"work_mem": "4GB"}, "maintenance_work_mem", "2GB"},
		{map[string]any{"work_mem": 64}, "maintenance_work_mem", "64MB"},
	} {
		if _, own, _ := computedParameters(server(), test.given); own[test.name] != test.want {
			t.Errorf("%v: %s is %v, not %v", test.given, test.name, own[test.name], test.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for _, test := range []struct {
		value any
		base  int64
		want  int64
		ok    bool
	}{
		{200, 0, 200, true}, {"200", 0, 200, true}, {-1, 0, -1, true}, {1e6, 0, 1000000, true}, {0.5, 0, 0, true}, {1.5, 0, 2, true},
		{"0x10", 0, 16, true}, {"010", 0, 8, true}, {"1e3", 0, 1000, true}, {".5", 0, 0, true}, {"+7", 0, 7, true},
		{" 64 MB ", 1 << 10, 64 * mb, true}, {"64MB", 8 << 10, 64 * mb, true}, {"1.5GB", 1 << 10, 3 * gb / 2, true}, {"1TB", 8 << 10, 1 << 40, true},
		{"8192B", 8 << 10, 8192, true}, {64, mb, 64 * mb, true}, {"0x2MB", mb, 2 * mb, true},
		{"64MB", 0, 0, false}, {"64mb", mb, 0, false}, {"64M", mb, 0, false}, {"64MB2", mb, 0, false}, {"25%", mb, 0, false},
		{"08", 0, 0, false}, {"1_000", 0, 0, false}, {"0b1", 0, 0, false}, {"", 0, 0, false}, {"MB", mb, 0, false}, {".", mb, 0, false}, {"NaN", 0, 0, false},
		{true, 0, 0, false}, {nil, 0, 0, false}, {1 << 31, 0, 0, false}, {"1e400", 0, 0, false}, {"99999999999999999999", 0, 0, false}, {"3TB", 1 << 10, 0, false},
	} {
		if got, ok := number(test.value, test.base); got != test.want || ok != test.ok {
			t.Errorf("%#v with the base %d: %d, %v", test.value, test.base, got, ok)
		}
	}
}

// PostgreSQL does not start with a parameter that it does not know.
func TestParametersOfVersions(t *testing.T) {
	for name, versions := range map[string][2]int{ // the first and the last that know it
		"huge_page_size": {14, 18}, "wal_keep_size": {13, 18}, "wal_keep_segments": {11, 12}, "stats_temp_directory": {11, 14},
		"jit": {11, 18}, "shared_buffers": {11, 18},
	} {
		z := server()
		z.hugePage, z.statsTemp = "1GB", "/run/stats"
		for z.version = 11; z.version <= 18; z.version++ {
			cluster, own, _ := computedParameters(z, nil)
			if _, has := merged(cluster, own)[name]; has != (z.version >= versions[0] && z.version <= versions[1]) {
				t.Errorf("%d has %s: %v", z.version, name, has)
			}
		}
	}
}

// Patroni makes one of these of the other, unless it is given that as well.
func TestWALKeptOfAnotherVersion(t *testing.T) {
	for version, other := range map[int]string{12: "wal_keep_size", 17: "wal_keep_segments"} {
		z := server()
		z.version = version
		cluster, _, _ := computedParameters(z, map[string]any{other: 64})
		for name := range cluster {
			if strings.HasPrefix(name, "wal_keep") {
				t.Errorf("%d: %s is computed, though %s is given", version, name, other)
			}
		}
	}
}

func TestTableOfParameters(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range parameters {
		if seen[p.name] || p.name != strings.ToLower(p.name) {
			t.Errorf("%s stands there twice, or in capitals", p.name)
		}
		seen[p.name] = true
		if (p.rule == nil) == (p.value == nil) || p.rule != nil && p.words == "" {
			t.Errorf("%s has to have a value, or a rule and its words", p.name)
		}
		switch p.value.(type) {
		case nil, int, float64, string:
		default:
			t.Errorf("%s is %T", p.name, p.value)
		}
		if p.own && !seeds.BelowNode("postgresql.parameters."+p.name) {
			t.Errorf("Patroni takes %s from the DCS only", p.name)
		}
	}
}

// A seed could give what is computed, even on the smallest machine: Patroni and the
// seed's own rules take every value, but for those that no seed may have.
func TestSeedTakesComputedParameters(t *testing.T) {
	for _, z := range []sizing{server(), {version: 11}, {version: 17, memory: 128 * mb, dataSize: 64 * mb}} {
		cluster, own, _ := computedParameters(z, nil)
		all := merged(cluster, own)
		for _, fixed := range []string{"hot_standby", "password_encryption", "ssl", "ssl_ca_file", "ssl_cert_file", "ssl_key_file"} {
			delete(all, fixed)
		}
		for _, value := range all {
			if value == nil {
				t.Fatalf("%v", all)
			}
		}
		text, err := yaml.Marshal(map[string]any{
			"version": "banyan/v1", "cluster": map[string]any{"name": "pgsql-cl"},
			"postgresql": map[string]any{"parameters": all},
			"nodes":      []any{map[string]any{"name": "n1", "address": "10.0.0.1/24"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := seeds.ParseCluster("seed.yaml", text); err != nil {
			t.Error(err)
		}
	}
}
