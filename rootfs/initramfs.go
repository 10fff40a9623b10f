package rootfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"banyan/internal/durable"
)

// overlayInitramfs is a configuration directory of mkinitramfs(8), which is laid
// over the tree's own.
const overlayInitramfs = "overlay/initramfs"

// kernel is the path and the release of the one kernel that the base holds.
func (b *base) kernel() (path, release string, err error) {
	kernels, err := filepath.Glob(filepath.Join(b.root(), "boot/vmlinuz-*"))
	if err != nil {
		return "", "", err
	}
	if len(kernels) != 1 {
		return "", "", fmt.Errorf("the tree holds %d kernels, not one: %v", len(kernels), kernels)
	}
	return kernels[0], strings.TrimPrefix(filepath.Base(kernels[0]), "vmlinuz-"), nil
}

// initramfs makes the initramfs of the base, once for each state of what is laid
// over it, and returns its path. It needs nothing of the image but that.
func (b *base) initramfs(ctx context.Context, date time.Time, work string) (name string, cached bool, err error) {
	sum, err := overlaySum(overlayInitramfs)
	if err != nil {
		return "", false, err
	}
	name = filepath.Join(b.dir, "initrd-"+sum+".img")
	if _, err := os.Stat(name); err == nil {
		return name, true, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	_, release, err := b.kernel()
	if err != nil {
		return "", false, err
	}

	// The base stays as it is: it is shown another configuration and another /tmp.
	config, tmp := filepath.Join(work, "initramfs-tools"), filepath.Join(work, "initramfs")
	if err := os.CopyFS(config, os.DirFS(filepath.Join(b.root(), "etc/initramfs-tools"))); err != nil {
		return "", false, err
	}
	if err := layOverlay(overlayInitramfs, config); err != nil {
		return "", false, err
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return "", false, err
	}
	binds := []bind{{config, "/etc/initramfs-tools"}, {tmp, "/tmp"}}
	epoch := fmt.Sprintf("SOURCE_DATE_EPOCH=%d", date.Unix())
	if _, err := inChroot(ctx, b.root(), binds, "env", epoch, "mkinitramfs", "-o", "/tmp/initrd.img", release); err != nil {
		return "", false, err
	}
	content, err := os.ReadFile(filepath.Join(tmp, "initrd.img"))
	if err != nil {
		return "", false, err
	}
	if err := removeAll(b.dir, "initrd-*"); err != nil { // what was laid over the base before
		return "", false, err
	}
	return name, false, durable.WriteFile(name, content, 0o644)
}

// overlaySum is a checksum of the names and contents below dir of the overlay.
func overlaySum(dir string) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(overlay, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := overlay.ReadFile(name)
		fmt.Fprintf(h, "%s %d\n%s", name, len(content), content)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}
