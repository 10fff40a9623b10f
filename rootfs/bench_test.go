package rootfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"banyan/internal/command"
)

// BenchmarkImage builds the default image: with nothing at hand, with the
// packages at hand, and after a change of our own code; and, for comparison,
// what Debian's own programs make of the same packages. It needs the network,
// root or a user namespace, and some GiB in $TMPDIR.
func BenchmarkImage(b *testing.B) {
	profile, err := LoadProfile("debian-13")
	if err != nil {
		b.Fatal(err)
	}
	parent, err := os.MkdirTemp(os.Getenv("TMPDIR"), "banyan-bench-") //nolint:usetesting // /tmp may be in memory
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := os.RemoveAll(parent); err != nil {
			b.Error(err)
		}
	})
	cache, dist := filepath.Join(parent, "cache"), filepath.Join(parent, "dist")
	run(b, "go", "build", "-trimpath", "-o", parent, "banyan/cmd/firstboot", "banyan/cmd/dnscp")

	build := func(b *testing.B) {
		out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			b.Fatal(err)
		}
		defer out.Close()
		began := time.Now()
		result, err := Build(b.Context(), Options{Profile: profile, Version: "0", Firstboot: filepath.Join(parent, "firstboot"), DNSCP: filepath.Join(parent, "dnscp"),
			Output: dist, Format: formatRaw, CacheDir: cache, CacheLimit: 8 << 30}, out)
		if err != nil {
			b.Fatal(err)
		}
		for _, s := range result.Stages {
			b.ReportMetric(s.Seconds, "s/"+strings.ReplaceAll(s.Name, " ", "-"))
			switch s.Name {
			case "clean the tree":
				b.ReportMetric(float64(s.Bytes)/mebibyte, "MiB/tree")
			case "disk image":
				b.ReportMetric(float64(s.Bytes)/mebibyte, "MiB/image")
			}
		}
		report(b, began)
	}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			if err := os.RemoveAll(cache); err != nil {
				b.Fatal(err)
			}
			build(b)
		}
	})
	b.Run("packages-at-hand", func(b *testing.B) {
		for b.Loop() {
			if err := os.RemoveAll(filepath.Join(cache, "trees")); err != nil {
				b.Fatal(err)
			}
			build(b)
		}
	})
	b.Run("cached", func(b *testing.B) {
		for b.Loop() {
			build(b)
		}
	})
	b.Run("mmdebstrap-and-mksquashfs", func(b *testing.B) {
		for b.Loop() {
			bare(b, profile, cache, parent)
		}
	})
}

// bare is mmdebstrap and mksquashfs by themselves, with the same packages at hand.
func bare(b *testing.B, p *Profile, cache, work string) {
	sources, err := p.MachineSources(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	hook := filepath.Join(work, "at-hand")
	if err := writeFile(hook, "#!/bin/sh -e\nmkdir -p \"$1/var/cache/apt/archives\"\nln "+cache+"/debs/*.deb \"$1/var/cache/apt/archives/\"\n", 0o755); err != nil {
		b.Fatal(err)
	}
	tree, squashfs := filepath.Join(work, "bare"), filepath.Join(work, "bare.squashfs")
	args := append([]string{"--mode=root", "--variant=minbase", "--format=directory", "--quiet", "--include=" + strings.Join(p.packageNames(), ","),
		"--setup-hook=" + hook, p.Suite, tree}, sources...)
	began := time.Now()
	run(b, "mmdebstrap", args...)
	b.ReportMetric(time.Since(began).Seconds(), "s/mmdebstrap")
	squashing := time.Now()
	run(b, "mksquashfs", tree, squashfs, "-quiet", "-no-progress", "-comp", "zstd")
	b.ReportMetric(time.Since(squashing).Seconds(), "s/mksquashfs")
	report(b, began)
	bytes, err := treeSize(squashfs)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(bytes)/mebibyte, "MiB/squashfs")
	for _, name := range []string{tree, squashfs} {
		if err := os.RemoveAll(name); err != nil {
			b.Fatal(err)
		}
	}
}

func report(b *testing.B, began time.Time) {
	b.ReportMetric(time.Since(began).Seconds(), "s/total")
	b.ReportMetric(0, "ns/op") // which leaves it out
}

func run(b *testing.B, name string, args ...string) {
	b.Helper()
	if _, err := command.Run(b.Context(), name, args...); err != nil {
		b.Fatal(err)
	}
}
