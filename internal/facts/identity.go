package facts

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"banyan/seeds"
)

// Machine is what the machine is recognised by in a seed of several nodes.
func (f Facts) Machine() seeds.Machine {
	m := seeds.Machine{Serial: f.Serial, UUID: f.UUID, Hostname: f.Hostname}
	for _, n := range f.NICs {
		var mac seeds.MAC
		// A group of interfaces has the address of one of them.
		if err := mac.UnmarshalText([]byte(n.MAC)); err == nil && !slices.Contains(m.MACs, mac) {
			m.MACs = append(m.MACs, mac)
		}
	}
	return m
}

// fillers are what vendors leave in place of a value, in lower case.
var fillers = []string{
	"", "0", "00000000", "0123456789", "123456789", "1234567890", "none", "n/a", "na", "null", "unknown", "empty", "not specified", "not applicable",
	"not available", "default string", "to be filled by o.e.m.", "system serial number", "serial number", "chassis serial number", "oem", "invalid", "xxxxxxxxxx",
	"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
	"03000200-0400-0500-0006-000700080009", "00020003-0004-0005-0006-000700080009", // of boards whose vendor gave them none
}

// dmi reads a value of the system's firmware; a filler is none. Only root may read
// those that tell machines apart.
func dmi(name string) (string, error) {
	content, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	value := strings.TrimSpace(string(content))
	if slices.Contains(fillers, strings.ToLower(value)) || strings.Trim(value, ".-_ ") == "" {
		return "", nil
	}
	return value, nil
}

// systemUUID reads the UUID of the system's firmware.
func systemUUID(name string) (seeds.UUID, error) {
	value, err := dmi(name)
	if err != nil || value == "" {
		return "", err
	}
	var u seeds.UUID // stays "" where it is none
	_ = u.UnmarshalText([]byte(value))
	return u, nil
}

// hostname reads the name that the kernel has, which may be nobody's.
func hostname(name string) (string, error) {
	content, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	value := strings.TrimSpace(string(content))
	if value == "(none)" || value == "localhost" {
		return "", err
	}
	return value, err
}
