package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"banyan/rootfs"
)

// What a shell is told when the last of the words is to be completed.
func TestCompletion(t *testing.T) {
	const files, nothing, suffixes, directories = ":0\n", ":4\n", ":8\n", ":16\n" // cobra's ShellCompDirective
	for line, want := range map[string]string{
		"image --profile ":      strings.Join(rootfs.ProfileNames(), "\n") + "\n" + files, // one of your own
		"image --output ":       directories,
		"image --firstboot ":    files,
		"image --dnscp ":        files,
		"packages ":             nothing,
		"packages --output ":    directories,
		"image ":                nothing,
		"seed schema ":          nothing,
		"seed check ":           "yaml\nyml\n" + suffixes,
		"seed check --diff ":    "yaml\nyml\n" + suffixes,
		"seed check --profile ": strings.Join(append(rootfs.ProfileNames(), "all"), "\n") + "\n" + files,
		"seed check ../../seeds/examples/single.yaml --node ": "pgsql-n1\n" + nothing,
		"seed new --output ":                       "yaml\nyml\n" + suffixes,
		"seed new --services ":                     "postgresql\netcd\nhaproxy\nwitness\n" + nothing,
		"image --seed-key ":                        "pub\n" + suffixes,
		"seed sign --key ":                         "key\n" + suffixes,
		"seed verify --key ":                       "pub\n" + suffixes,
		"seed keygen ":                             nothing,
		"seed mint ":                               "--output\n" + files,
		"seed mint x --output ":                    directories,
		"seed mint x --sign ":                      "key\n" + suffixes,
		"seed mint x --import-ca ":                 files,
		"seed mint x --recipient ":                 nothing,
		"seed write ":                              "--image\n--device\n--output\n" + files,
		"seed write x --device /dev/sdb --output ": "img\niso\n" + suffixes,

		"seed import --vars ":      "yaml\nyml\n" + suffixes,
		"seed import --inventory ": files,
		"seed import --address ":   nothing,
		"seed import --subnet ":    nothing,
	} {
		root := rootCommand()
		root.SetArgs(append([]string{cobra.ShellCompNoDescRequestCmd}, strings.Split(line, " ")...))
		var got strings.Builder
		root.SetOut(&got)
		root.SetErr(io.Discard)
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		if got.String() != want {
			t.Errorf("%q: got %q, want %q", line, got.String(), want)
		}
	}
}
