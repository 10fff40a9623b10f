package rootfs

import (
	"fmt"
	"slices"
	"strings"
)

// Format is a format of disk images, by the name that qemu-img(1) has for it.
type Format string

const (
	formatRaw   Format = "raw"
	formatQCOW2 Format = "qcow2"
	formatVMDK  Format = "vmdk"
)

// Formats names the formats that an image is made in.
func Formats() []string { return []string{string(formatRaw), string(formatQCOW2), string(formatVMDK)} }

// ParseFormat reads the name of a format.
func ParseFormat(name string) (Format, error) {
	if !slices.Contains(Formats(), name) {
		return "", fmt.Errorf("no format %q; there are: %s", name, strings.Join(Formats(), ", "))
	}
	return Format(name), nil
}

// suffix ends the name of an image.
func (f Format) suffix(compressed bool) string {
	suffix := "." + string(f)
	if f == formatRaw {
		suffix = ".img"
	}
	if compressed {
		suffix += ".zst"
	}
	return suffix
}
