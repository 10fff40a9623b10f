package facts

import (
	"maps"
	"reflect"
	"testing"

	"banyan/seeds"
)

// What vendors leave in place of a value tells no machines apart.
func TestFillers(t *testing.T) {
	for name, c := range map[string]struct{ serial, uuid, hostname string }{
		"nothing":   {"", "", ""},
		"American":  {"To be filled by O.E.M.\n", "03000200-0400-0500-0006-000700080009\n", "(none)\n"},
		"defaults":  {"Default string\n", "00000000-0000-0000-0000-000000000000\n", "localhost\n"},
		"spaces":    {"   \n", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n", "\n"},
		"points":    {"....\n", "Not Settable\n", "\n"},
		"a counted": {"0123456789\n", "\n", "\n"},
	} {
		files := bare()
		maps.Copy(files, map[string]string{
			"sys/class/dmi/id/product_serial": c.serial, "sys/class/dmi/id/product_uuid": c.uuid, "proc/sys/kernel/hostname": c.hostname,
		})
		f, err := Gather(machine(t, files))
		if err != nil || f.Serial != "" || f.UUID != "" || f.Hostname != "" {
			t.Errorf("%s: got %q, %q, %q, %v", name, f.Serial, f.UUID, f.Hostname, err)
		}
	}
}

func TestMachine(t *testing.T) {
	f := Facts{
		NICs:   []NIC{{Name: "bond0", MAC: "52:54:00:00:00:01"}, {Name: "eno1", MAC: "52:54:00:00:00:01"}, {Name: "eno2", MAC: "52:54:00:00:00:02"}, {Name: "dummy0", MAC: "00:00:00:00:00:00"}},
		Serial: "CZ1", UUID: "4c4c4544-0051-3510-8052-b4c04f4a3432", Hostname: "rack3",
	}
	want := seeds.Machine{
		MACs:   []seeds.MAC{{0x52, 0x54, 0, 0, 0, 1}, {0x52, 0x54, 0, 0, 0, 2}},
		Serial: "CZ1", UUID: "4c4c4544-0051-3510-8052-b4c04f4a3432", Hostname: "rack3",
	}
	if got := f.Machine(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}
