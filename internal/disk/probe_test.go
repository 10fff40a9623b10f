package disk

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"banyan/internal/command"
)

const mib = 1 << 20

// medium is a file of 4 MiB, which blkid and Probe read like a device, after a program.
func medium(t *testing.T, program ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "medium")
	if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, 4*mib)); err != nil {
		t.Fatal(err)
	}
	if len(program) > 0 {
		run(t, program[0], append(program[1:], name)...)
	}
	return name
}

func writeAt(t *testing.T, name, what string, at int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte(what), at)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestProbe(t *testing.T) {
	const uuid = "7d3f1d1e-0000-8000-8000-00c0ffee0001"
	gpt := medium(t)
	if err := sfdisk(t.Context(), "label: gpt\nsize=1M\n", gpt); err != nil {
		t.Fatal(err)
	}
	at := func(offset int64) string {
		name := medium(t)
		writeAt(t, name, "x", offset)
		return name
	}
	small := filepath.Join(t.TempDir(), "small")
	if err := os.WriteFile(small, make([]byte, 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	both := medium(t, "mkfs.ext4", "-q")
	boot, err := os.ReadFile(medium(t, "mkfs.vfat"))
	if err != nil {
		t.Fatal(err)
	}
	writeAt(t, both, string(boot[:512]), 0)
	for name, c := range map[string]struct {
		medium string
		want   Holding
		words  string
		known  bool
	}{
		"nothing":      {medium(t), Holding{Size: 4 * mib, Empty: true}, "data of no known kind", false},
		"nothing much": {small, Holding{Size: 10_000, Empty: true}, "data of no known kind", false},
		"a file system": {
			medium(t, "mkfs.ext4", "-q", "-U", uuid, "-L", `my "data" \o/`),
			Holding{Size: 4 * mib, Filesystem: "ext4", UUID: uuid, Label: `my "data" \o/`},
			`ext4, labelled "my \"data\" \\o/", UUID ` + uuid, true,
		},
		"a table":            {gpt, Holding{Size: 4 * mib, Table: "gpt"}, "a partition table (gpt)", true},
		"two file systems":   {both, Holding{Size: 4 * mib, Filesystem: "several things at once"}, "several things at once", true},
		"the first byte":     {at(0), Holding{Size: 4 * mib}, "data of no known kind", false},
		"near the beginning": {at(mib - 1), Holding{Size: 4 * mib}, "data of no known kind", false},
		"near the end":       {at(3 * mib), Holding{Size: 4 * mib}, "data of no known kind", false},
		"the last byte":      {at(4*mib - 1), Holding{Size: 4 * mib}, "data of no known kind", false},
		"where no signature would be": {
			at(2 * mib), Holding{Size: 4 * mib, Empty: true}, "data of no known kind", false,
		},
	} {
		got, err := Probe(t.Context(), c.medium)
		if err != nil || got != c.want || got.String() != c.words || got.Known() != c.known {
			t.Errorf("%s: %+v, %s, known %t, %v", name, got, got, got.Known(), err)
		}
	}
	if _, err := Probe(t.Context(), small+"er"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no disk: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Probe(ended, small); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "look at "+small+": ") {
		t.Errorf("an ended context: %v", err)
	}
}

// What is asked of a part of a disk is of that part alone.
func TestBlkid(t *testing.T) {
	name := medium(t, "mkfs.ext4", "-q", "-L", "whole")
	inside, err := os.ReadFile(medium(t, "mkfs.ext4", "-q", "-L", "inside"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(inside)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	for offset, want := range map[int64]string{0: "whole", 4 * mib: "inside"} {
		found, err := Blkid(t.Context(), name, offset, 4*mib)
		if err != nil || found["LABEL"] != want || found["TYPE"] != "ext4" {
			t.Errorf("at %d: %v, %v", offset, found, err)
		}
	}
	if found, err := Blkid(t.Context(), name, 2*mib, mib); err != nil || len(found) > 0 {
		t.Errorf("between: %q, %v", slices.Sorted(maps.Keys(found)), err)
	}
}

// A device is claimed by one, and until it is closed.
func TestClaim(t *testing.T) {
	device := strings.TrimSpace(run(t, "losetup", "--find", "--show", medium(t)))
	t.Cleanup(func() {
		if _, err := command.Run(context.WithoutCancel(t.Context()), "losetup", "--detach", device); err != nil {
			t.Error(err)
		}
	})
	for range 2 {
		claim, err := Claim(device)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Claim(device); err == nil || err.Error() != device+" is in use: lsblk "+device+" says by what" {
			t.Errorf("claimed twice: %v", err)
		}
		if err := claim.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Claim(device + "/none"); err == nil {
		t.Error("what is no device is claimed")
	}
}
