package rootfs

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

func TestFill(t *testing.T) {
	p := Partitions{ESP: 100, Banyan: 10, Root: 200, State: 50}
	const least = 563 * mebibyte // 100 + 10 + 2×200 + 50, and 3 around them
	for size, state := range map[int64]int64{0: 50, least: 50, least + mebibyte: 51, least + 3*mebibyte - 1: 52} {
		got, err := p.fill(size)
		if err != nil || got.State != state || got.Root != p.Root {
			t.Errorf("%d: got %+v, %v", size, got, err)
		}
	}
	if _, err := p.fill(least - 1); err == nil || !strings.Contains(err.Error(), "--size") {
		t.Errorf("got %v", err)
	}
}

func TestFormats(t *testing.T) {
	for _, f := range Formats() {
		if got, err := ParseFormat(f); err != nil || string(got) != f {
			t.Errorf("%s: got %s, %v", f, got, err)
		}
	}
	if _, err := ParseFormat("vdi"); err == nil || !strings.Contains(err.Error(), "qcow2") {
		t.Errorf("got %v", err)
	}
	if got := formatRaw.suffix(false) + " " + formatQCOW2.suffix(true); got != ".img .qcow2.zst" {
		t.Errorf("got %s", got)
	}
}

func TestFullSpaceIsExplained(t *testing.T) {
	s := space{"/srv/images", "--output"}
	for _, err := range []error{
		fmt.Errorf("write: %w", syscall.ENOSPC),
		errors.New("mksquashfs: exit status 1: Write failed because No space left on device\nFATAL ERROR: Probably out of space on output filesystem"),
	} {
		if got := s.explain(err).Error(); got != "no space is left in /srv/images: free some, or choose another place with --output" {
			t.Errorf("got %s", got)
		}
	}
	other := errors.New("something else")
	if got := s.explain(other); !errors.Is(got, other) || got.Error() != other.Error() || s.explain(nil) != nil {
		t.Error("what has nothing to do with space was changed")
	}
}
