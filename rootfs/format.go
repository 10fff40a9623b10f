package rootfs

import (
	"context"
	"fmt"
	"strings"

	"banyan/internal/command"
	"banyan/internal/progress"
)

// Format is a format of disk images, by the name that qemu-img(1) has for it.
type Format string

// Formats lists the formats that an image is made in.
func Formats() []Format { return []Format{raw, "qcow2", "vmdk"} }

const raw Format = "raw"

// ParseFormat reads the name of a format.
func ParseFormat(name string) (Format, error) {
	var names []string
	for _, f := range Formats() {
		if string(f) == name {
			return f, nil
		}
		names = append(names, string(f))
	}
	return "", fmt.Errorf("no format %q; there are: %s", name, strings.Join(names, ", "))
}

// suffix ends the name of an image.
func (f Format) suffix(compressed bool) string {
	suffix := "." + string(f)
	if f == raw {
		suffix = ".img"
	}
	if compressed {
		suffix += ".zst"
	}
	return suffix
}

// converted tells whether the raw disk image is not yet what is wanted.
func (b *builder) converted() bool { return b.Format != raw || b.Compress }

// convert makes what is wanted of the raw disk image.
func (b *builder) convert(ctx context.Context) (progress.Made, error) {
	image := b.raw
	if b.Format != raw {
		image = b.partial
		if b.Compress {
			image = b.file("disk." + string(b.Format))
		}
		args := []string{"convert", "-f", "raw", "-O", string(b.Format)}
		if b.Format == "vmdk" {
			args = append(args, "-o", "subformat=streamOptimized") // what other tools import
		}
		if _, err := command.Run(ctx, "qemu-img", append(args, b.raw, image)...); err != nil {
			return progress.Made{}, err
		}
	}
	if b.Compress {
		if _, err := command.Run(ctx, "zstd", "--quiet", "-T0", "-o", b.partial, image); err != nil {
			return progress.Made{}, err
		}
	}
	return made(b.partial)
}
