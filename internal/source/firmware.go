package source

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"banyan/internal/strict"
)

// credential is what systemd and QEMU's users call the seed, see
// https://systemd.io/CREDENTIALS/.
const credential = "banyan.seed"

// credential reads the seed from the credentials of the unit that this process is
// of, or from those that the system was started with, which systemd keeps from 251 on.
func (m Machine) credential() (string, []byte, error) {
	var names []string
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		names = append(names, filepath.Join(dir, credential))
	}
	_, data, err := firstFile(m.Root, append(names, "/run/credentials/@system/"+credential)...)
	return credential, data, err
}

// firmwareConfiguration reads what QEMU's option -fw_cfg passes on. The kernel's
// module qemu_fw_cfg shows it: https://www.qemu.org/docs/master/specs/fw_cfg.html.
func (m Machine) firmwareConfiguration() (string, []byte, error) {
	const dir = "/sys/firmware/qemu_fw_cfg/by_name/"
	names := []string{"opt/banyan/seed", "opt/io.systemd.credentials/" + credential}
	name, data, err := firstFile(m.Root, dir+names[0]+"/raw", dir+names[1]+"/raw")
	return strings.TrimSuffix(strings.TrimPrefix(name, dir), "/raw"), data, err
}

// smbios reads the seed from the OEM strings of the firmware's tables. The raw
// tables need no module of the kernel, unlike /sys/firmware/dmi/entries.
func (m Machine) smbios() (string, []byte, error) {
	const tables = "/sys/firmware/dmi/tables/DMI"
	table, err := os.ReadFile(filepath.Join(m.Root, tables))
	if err != nil {
		return "", nil, err
	}
	text, err := oemSeed(oemStrings(table))
	return "the OEM string", text, err
}

// oemStrings are the strings of the structures of type 11 in a table of SMBIOS:
// DSP0134, 6.1.2, 6.1.3 and 7.12. A table that ends too early has those before.
func oemStrings(table []byte) []string {
	const header, oem, end = 4, 11, 127
	var all []string
	for len(table) >= header {
		kind, length := table[0], int(table[1])
		if length < header || length > len(table) || kind == end {
			break
		}
		set, rest, whole := bytes.Cut(table[length:], []byte{0, 0})
		if !whole {
			break
		}
		table = rest
		if kind != oem {
			continue
		}
		for s := range bytes.SplitSeq(set, []byte{0}) {
			if len(s) > 0 {
				all = append(all, string(s))
			}
		}
	}
	return all
}

// oemSeed is the seed in OEM strings: io.banyan.seed=BASE64, or in parts
// io.banyan.seed.0=, io.banyan.seed.1= and so on, whose values are put together; or
// as systemd has it, io.systemd.credential:banyan.seed=TEXT and
// io.systemd.credential.binary:banyan.seed=BASE64.
func oemSeed(all []string) ([]byte, error) {
	const (
		ours   = "io.banyan.seed"
		plain  = "io.systemd.credential:" + credential
		binary = "io.systemd.credential.binary:" + credential
		most   = 2 * strict.MaxSize // more than the Base64 of any seed
	)
	values := map[string]string{}
	var first string
	for _, s := range all {
		key, value, ok := strings.Cut(s, "=")
		isPart := strings.HasPrefix(key, ours+".")
		if !ok || key != ours && key != plain && key != binary && !isPart {
			continue
		}
		if _, twice := values[key]; twice {
			return nil, fmt.Errorf("%s is there twice: keep the one that is meant", key)
		}
		if first != "" && (!isPart || !strings.HasPrefix(first, ours+".")) {
			return nil, fmt.Errorf("%s and %s are both there: keep the one that is meant", first, key)
		}
		first, values[key] = key, value
	}
	var encoded string
	switch first {
	case "":
		return nil, fs.ErrNotExist
	case plain:
		return []byte(values[plain]), nil
	case ours, binary:
		encoded = values[first]
	default:
		var parts strings.Builder
		for i := range len(values) {
			key := ours + "." + strconv.Itoa(i)
			part, ok := values[key]
			if !ok {
				return nil, fmt.Errorf("of %d parts %s is missing: they are numbered from 0", len(values), key)
			}
			parts.WriteString(part)
		}
		encoded = parts.String()
	}
	if len(encoded) > most {
		return nil, errors.New("the OEM string is too large for a seed")
	}
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return nil, errors.New("the OEM string is not Base64 (base64 --wrap=0 seed.yaml)")
	}
	return data, nil
}
