package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// What a shell is told when the last of the words is to be completed. No argument is a file
// but the first of plant and of restore-etcd, and what other programs run is not for typing.
func TestCompletion(t *testing.T) {
	const nothing = ":4\n" // cobra.ShellCompDirectiveNoFileComp
	for line, want := range map[string]string{
		"pl":              "plant\n" + nothing,
		"plant ":          ":0\n", // cobra.ShellCompDirectiveDefault
		"plant x ":        nothing,
		"ex":              nothing,
		"etcd":            nothing,
		"restore-etcd ":   ":0\n",
		"restore-etcd x ": nothing,
		"re":              "restore-etcd\n" + nothing,
		"status --w":      "--wait\n" + nothing,
		"in":              nothing,
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
