package rootfs

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"banyan/internal/grubenv"
	"banyan/internal/slot"
)

// layOutESP makes an ESP from a tree that holds no more than the boot files.
func newESP(t *testing.T, version string) string {
	t.Helper()
	base, esp := &base{dir: t.TempDir()}, t.TempDir()
	for _, name := range []string{"usr/lib/shim/shimx64.efi.signed", "usr/lib/shim/mmx64.efi.signed",
		"usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "boot/vmlinuz-6.12.0"} {
		if err := writeFile(filepath.Join(base.root(), name), name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	initrd := filepath.Join(base.dir, "initrd.img")
	if err := writeFile(initrd, "an initramfs", 0o644); err != nil {
		t.Fatal(err)
	}
	if err := layOutESP(esp, base, initrd, "debian-13", version); err != nil {
		t.Fatal(err)
	}
	return esp
}

func TestBootFiles(t *testing.T) {
	esp := newESP(t, "0.1.0~git1")
	var got []string
	err := filepath.WalkDir(esp, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got = append(got, strings.TrimPrefix(name, esp+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/grubx64.efi", "EFI/BOOT/mmx64.efi", "EFI/debian/grub.cfg",
		"banyan/a/grub.cfg", "banyan/a/grubenv", "banyan/a/initrd.img", "banyan/a/vmlinuz", "banyan/grub.cfg", "banyan/grubenv"}
	if !slices.Equal(got, want) {
		t.Errorf("the ESP holds %q", got)
	}

	// The node's program finds what the builder wrote.
	slots, err := slot.ESP(esp).List("a")
	if err != nil {
		t.Fatal(err)
	}
	a, b := slots[0], slots[1]
	if a.Version != "0.1.0~git1" || a.Profile != "debian-13" || len(a.Arguments) > 0 || !a.Bootable || !a.Default || b.Bootable {
		t.Errorf("got %+v", slots)
	}
	choice, err := grubenv.Read(filepath.Join(esp, "banyan/grubenv"))
	if want := (grubenv.Block{{Name: "slot", Value: "a"}}); err != nil || !slices.Equal(choice, want) {
		t.Errorf("the disk's grubenv: %q, %v", choice, err)
	}
}

// An upgrade copies what is in a slot's directory into either slot's.
func TestAMenuEntryServesEitherSlot(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(newESP(t, "0.1.0~git1"), "banyan/a/grub.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), `menuentry "Banyan 0.1.0~git1 (debian-13), slot $slot"`) {
		t.Errorf("the title is another:\n%s", content)
	}
	for _, names := range []string{"banyan/a", "slot=a", "slot a"} {
		if strings.Contains(string(content), names) {
			t.Errorf("it names a slot, by %q:\n%s", names, content)
		}
	}
}
