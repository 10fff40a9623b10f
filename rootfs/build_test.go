package rootfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"banyan/internal/scratch"
)

// stub puts a shell script in the place of a program.
func stub(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// build builds into a new directory, with a base tree that the given script
// pretends to make, and returns what it leaves there, in the working one and
// among the trees of the cache.
func build(ctx context.Context, t *testing.T, makeBase string) (left []string, err error) {
	t.Helper()
	work, output, cache := t.TempDir(), filepath.Join(t.TempDir(), "dist"), t.TempDir()
	t.Setenv("TMPDIR", work)
	stub(t, "apt-get", `for option; do case $option in Dir::State::Lists=*) lists=${option#*=} ;; esac; done
case $* in *\ update) echo "Date: Sat, 21 Nov 2026 14:03:05 UTC" >"$lists/a_dists_trixie_InRelease" ;; esac`)
	stub(t, "unshare", makeBase)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	firstboot := filepath.Join(t.TempDir(), "firstboot")
	if err := os.WriteFile(firstboot, []byte("a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	profile, err := LoadProfile("debian-13")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Build(ctx, Options{Profile: profile, Version: "1", Output: output, Firstboot: firstboot, DNSCP: firstboot, Format: formatRaw, CacheDir: cache,
		Keyring: firstboot, // apt, which would read it, is a stub
	}, log)
	for _, pattern := range []string{work + "/*", output, cache + "/trees/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, names...)
	}
	return left, err
}

func TestAFailedBuildLeavesNothing(t *testing.T) {
	left, err := build(t.Context(), t, `echo "E: no space left on device" >&2; exit 1`)
	if err == nil || !strings.Contains(err.Error(), "no space left") || len(left) > 0 {
		t.Errorf("error %v, and this is left: %q", err, left)
	}
}

func TestAnInterruptedBuildLeavesNothing(t *testing.T) {
	begun := filepath.Join(t.TempDir(), "begun")
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		look := time.NewTicker(10 * time.Millisecond)
		defer look.Stop()
		for range look.C {
			if _, err := os.Stat(begun); err == nil || ctx.Err() != nil {
				interrupt()
				return
			}
		}
	}()
	left, err := build(ctx, t, "touch "+begun+"; sleep 300 & wait")
	if !errors.Is(err, context.Canceled) || len(left) > 0 {
		t.Errorf("error %v, and this is left: %q", err, left)
	}
}

func TestMakeWorkRemovesWhatAKilledBuilderLeft(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("TMPDIR", parent)
	used, lock, err := makeWork()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	stale := filepath.Join(parent, "banyan-build-stale")
	if err := os.MkdirAll(filepath.Join(stale, "root/usr"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, lock, err := makeWork(); err != nil {
		t.Fatal(err)
	} else if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(used); err != nil {
		t.Errorf("another builder's directory: %v", err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the stale directory: %v", err)
	}
}

func TestTwoBuildersDoNotShareAnOutput(t *testing.T) {
	output := filepath.Join(t.TempDir(), "dist")
	if err := os.Mkdir(output, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := scratch.Lock(output)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if again, err := scratch.Lock(output); again != nil || err != nil {
		t.Errorf("it is locked twice: %v", err)
	}
}
