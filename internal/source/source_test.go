package source

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"banyan/internal/disk"
	"banyan/seeds"
)

// seedOf is a seed of that cluster.
func seedOf(cluster string) string {
	return `version: banyan/v1
cluster: {name: ` + cluster + `}
nodes: [{name: pgsql-n1, address: 172.16.32.11/24}]
secrets: {superuser_password: Hush-superuser, replication_password: Hush-replicator, rewind_password: Hush-rewind}
`
}

// root makes a root directory: file contents by path.
func root(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if _, given := files["proc/cmdline"]; !given {
		write(t, filepath.Join(dir, "proc/cmdline"), "BOOT_IMAGE=/vmlinuz quiet\n")
	}
	for name, content := range files {
		write(t, filepath.Join(dir, name), content)
	}
	return dir
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// table is SMBIOS' table of a machine with these OEM strings.
func table(oem ...string) string {
	bios := "\x00\x12\x00\x00" + strings.Repeat("\x00", 14) + "SeaBIOS\x001.16\x00\x00"
	oems := "\x0b\x05\x01\x00" + string(rune(len(oem))) + strings.Join(oem, "\x00") + "\x00\x00"
	return bios + oems + "\x7f\x04\x02\x00\x00\x00"
}

const (
	fwcfg   = "sys/firmware/qemu_fw_cfg/by_name/"
	dmi     = "sys/firmware/dmi/tables/DMI"
	systems = "run/credentials/@system/banyan.seed"
)

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// Every place is looked at in the order of the design, and the first seed counts.
func TestPlaces(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	own := disk.Volume{Device: "/dev/sda3", Label: "BANYAN", Filesystem: "vfat"}
	sources := []string{
		"kernel parameter banyan.seed /run/seed.yaml", "BANYAN partition /dev/sda3", "volume BANYAN-SEED /dev/sdc1", "volume CIDATA /dev/sr0",
		"SMBIOS OEM strings", "QEMU fw_cfg", "credential banyan.seed", "directory /etc/banyan",
	}
	for from, source := range sources {
		t.Run(source, func(t *testing.T) {
			// A seed in this place and in each that follows.
			files := map[string]string{}
			volumes := map[string]string{}
			for i, put := range []func(string){
				func(s string) { files["run/seed.yaml"] = s },
				func(s string) { volumes["/dev/sda3"] = s },
				func(s string) { volumes["/dev/sdc1"] = s },
				func(s string) { volumes["/dev/sr0"] = s },
				func(s string) { files[dmi] = table("io.banyan.seed=" + encode(s)) },
				func(s string) { files[fwcfg+"opt/banyan/seed/raw"] = s },
				func(s string) { files[systems] = s },
				func(s string) { files["etc/banyan/seed.yaml"] = s },
			} {
				if i >= from {
					put(seedOf(fmt.Sprintf("cluster-%d", i)))
				}
			}
			files["proc/cmdline"] = "quiet banyan.seed=/run/seed.yaml\n"
			m := Machine{
				Root: root(t, files), Own: &own,
				Volumes: []disk.Volume{
					own,
					{Device: "/dev/sdb3", Label: "BANYAN", Filesystem: "vfat"}, // of an installer's stick
					{Device: "/dev/sr0", Label: "cidata", Filesystem: "iso9660"},
					{Device: "/dev/sdc1", Label: "banyan-seed", Filesystem: "vfat"},
					{Device: "/dev/sdd1", Label: "DATA", Filesystem: "ext4"},
				},
				Open: func(_ context.Context, v disk.Volume) (fs.FS, error) {
					if content, there := volumes[v.Device]; there {
						return fstest.MapFS{"seed.yaml": {Data: []byte(content)}}, nil
					}
					return fstest.MapFS{}, nil
				},
			}
			found, _, outcomes := anyone.Discover(m.Places(t.Context()))
			if want := fmt.Sprintf("cluster-%d", from); found == nil || found.Seed.Cluster.Name != want {
				t.Errorf("found: %t, want %s; %+v", found != nil, want, outcomes)
			}
			var got []string
			for i, o := range outcomes {
				got = append(got, o.Source)
				if o.Found != (i == from) {
					t.Errorf("%+v", o)
				}
			}
			if !slices.Equal(got, sources) {
				t.Errorf("looked at %q", got)
			}
		})
	}
}

var anyone = seeds.Search{Fits: func(*seeds.Seed, seeds.Node) error { return nil }}

// A bare machine says of each place why there is no seed.
func TestPlacesOfABareMachine(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	m := Machine{Root: root(t, nil), Open: func(context.Context, disk.Volume) (fs.FS, error) { return nil, errors.New("never") }}
	_, _, got := anyone.Discover(m.Places(t.Context()))
	var want []seeds.Outcome
	for _, source := range []string{
		"kernel parameter banyan.seed", "BANYAN partition of the boot disk", "volume BANYAN-SEED or CIDATA", "SMBIOS OEM strings",
		"QEMU fw_cfg", "credential banyan.seed", "directory /etc/banyan",
	} {
		want = append(want, seeds.Outcome{Source: source, Reason: "not present"})
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// lookAt looks at the place of that source alone.
func lookAt(t *testing.T, m Machine, source string) (*seeds.Found, string) {
	t.Helper()
	all := m.Places(t.Context())
	i := slices.IndexFunc(all, func(p seeds.Place) bool { return strings.HasPrefix(p.Source, source) })
	if i < 0 {
		t.Fatalf("there is no place %s", source)
	}
	found, err := anyone.Look(all, i)
	if err != nil {
		return found, err.Error()
	}
	return found, ""
}

func TestFirmware(t *testing.T) {
	text := seedOf("pgsql-cl")
	whole := encode(text)
	third := len(whole) / 3
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	for name, c := range map[string]struct {
		source string
		files  map[string]string
		want   string // what the reason begins with, "" where the seed is found
	}{
		"OEM string":     {"SMBIOS", map[string]string{dmi: table("of the vendor", "io.banyan.seed="+whole)}, ""},
		"in parts":       {"SMBIOS", map[string]string{dmi: table("io.banyan.seed.1="+whole[third:2*third], "io.banyan.seed.0="+whole[:third], "io.banyan.seed.2="+whole[2*third:])}, ""},
		"systemd's":      {"SMBIOS", map[string]string{dmi: table("io.systemd.credential.binary:banyan.seed=" + whole)}, ""},
		"systemd's text": {"SMBIOS", map[string]string{dmi: table("io.systemd.credential:banyan.seed=" + text)}, ""},
		"other strings":  {"SMBIOS", map[string]string{dmi: table("of the vendor", "io.systemd.credential:other=x")}, "not present"},
		"a part missing": {"SMBIOS", map[string]string{dmi: table("io.banyan.seed.0="+whole[:third], "io.banyan.seed.2=x")}, "not readable: of 2 parts io.banyan.seed.1 is missing"},
		"twice":          {"SMBIOS", map[string]string{dmi: table("io.banyan.seed="+whole, "io.banyan.seed="+whole)}, "not readable: io.banyan.seed is there twice"},
		"two ways":       {"SMBIOS", map[string]string{dmi: table("io.banyan.seed="+whole, "io.banyan.seed.0="+whole)}, "not readable: io.banyan.seed and io.banyan.seed.0 are both there"},
		"no Base64":      {"SMBIOS", map[string]string{dmi: table("io.banyan.seed=Hush!")}, "not readable: the OEM string is not Base64"},
		"too large":      {"SMBIOS", map[string]string{dmi: table("io.banyan.seed=" + strings.Repeat("A", 3<<20))}, "not readable: the OEM string is too large"},
		"no seed":        {"SMBIOS", map[string]string{dmi: table("io.banyan.seed=" + encode("x"))}, "the OEM string is not valid"},

		"fw_cfg":            {"QEMU", map[string]string{fwcfg + "opt/banyan/seed/raw": text}, ""},
		"fw_cfg, systemd's": {"QEMU", map[string]string{fwcfg + "opt/io.systemd.credentials/banyan.seed/raw": text}, ""},
		"fw_cfg, no seed":   {"QEMU", map[string]string{fwcfg + "opt/banyan/seed/raw": "x"}, "opt/banyan/seed is not valid"},

		"credential of the system": {"credential", map[string]string{systems: text}, ""},
		"/etc/banyan":              {"directory", map[string]string{"etc/banyan/seed.yaml": text}, ""},
		"/etc/banyan, empty":       {"directory", map[string]string{"etc/banyan/README": ""}, "holds no seed.yaml"},

		"kernel, path":        {"kernel", map[string]string{"proc/cmdline": "banyan.seed=/srv/my.yaml", "srv/my.yaml": text}, ""},
		"kernel, no file":     {"kernel", map[string]string{"proc/cmdline": "banyan.seed=/srv/my.yaml"}, "not present"},
		"kernel, relative":    {"kernel", map[string]string{"proc/cmdline": "banyan.seed=my.yaml"}, "not readable: neither a path that begins with / nor a URL"},
		"kernel, wrong sum":   {"kernel", map[string]string{"proc/cmdline": "banyan.seed=/my.yaml banyan.seed.sha256=" + strings.Repeat("00", 32), "my.yaml": text}, "not readable: its SHA-256 is "},
		"kernel, empty sum":   {"kernel", map[string]string{"proc/cmdline": "banyan.seed=/my.yaml banyan.seed.sha256=", "my.yaml": text}, "not readable: the checksum (sha256) is not 64 hexadecimal digits"},
		"kernel, short sum":   {"kernel", map[string]string{"proc/cmdline": "banyan.seed=/my.yaml banyan.seed.sha256=00", "my.yaml": text}, "not readable: the checksum (sha256) is not 64 hexadecimal digits"},
		"kernel, empty pin":   {"kernel", map[string]string{"proc/cmdline": "banyan.seed=/my.yaml banyan.seed.pin", "my.yaml": text}, `not readable: the pin is not "sha256:" and 64 hexadecimal digits`},
		"kernel, no network":  {"kernel", map[string]string{"proc/cmdline": "banyan.seed=https://example.org/my.yaml"}, "not readable: not fetched: this machine has its seed"},
		"kernel, not to read": {"kernel", map[string]string{"proc/cmdline": "banyan.seed=/srv", "srv/my.yaml": text}, "not readable: read "},
	} {
		t.Run(name, func(t *testing.T) {
			m := Machine{Root: root(t, c.files)}
			found, reason := lookAt(t, m, c.source)
			if (found != nil) != (c.want == "") || !strings.HasPrefix(reason, c.want) || strings.Contains(reason, "Hush!") {
				t.Errorf("found: %t, %q", found != nil, reason)
			}
			if found != nil && string(found.Data) != text {
				t.Errorf("the seed became %q", found.Data)
			}
		})
	}
}

// The unit's own credentials come before those of the system.
func TestCredentialsOfTheUnit(t *testing.T) {
	m := Machine{Root: root(t, map[string]string{"run/credentials/banyan-plant.service/banyan.seed": seedOf("unit"), systems: seedOf("system")})}
	t.Setenv("CREDENTIALS_DIRECTORY", "/run/credentials/banyan-plant.service")
	if found, reason := lookAt(t, m, "credential"); found == nil || found.Seed.Cluster.Name != "unit" {
		t.Errorf("found: %t, %s", found != nil, reason)
	}
}

func TestParameters(t *testing.T) {
	for line, want := range map[string]map[string]string{
		"BOOT_IMAGE=/vmlinuz quiet\n":       {"BOOT_IMAGE": "/vmlinuz", "quiet": ""},
		`a="b c" "d=e f" g`:                 {"a": "b c", "d": "e f", "g": ""},
		"a=1 a=2":                           {"a": "2"},
		"banyan.seed=https://h/s?a=b  x=\n": {"banyan.seed": "https://h/s?a=b", "x": ""},
		"":                                  {},
	} {
		if got := parameters(line); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q", line, got)
		}
	}
}

func FuzzParameters(f *testing.F) {
	f.Add("a=b \"c=d e\" banyan.seed=/x")
	f.Fuzz(func(t *testing.T, line string) {
		for key := range parameters(line) {
			if strings.ContainsAny(key, `"=`) {
				t.Errorf("%q has the key %q", line, key)
			}
		}
	})
}

func FuzzOEMStrings(f *testing.F) {
	f.Add([]byte(table("a", "io.banyan.seed=YQ==")))
	f.Add([]byte("\x0b\x05\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all := oemStrings(data)
		if total := len(strings.Join(all, "")); total > len(data) {
			t.Errorf("%d bytes of strings in %d", total, len(data))
		}
		if seed, err := oemSeed(all); err == nil && seed == nil {
			t.Error("neither a seed nor an error")
		}
	})
}
