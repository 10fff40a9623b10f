package main

import (
	"io"
	"strings"
	"testing"
)

// The value of an empty variable of a script is no leave to take any seed.
func TestPlantRefusesAnEmptyCheck(t *testing.T) {
	for flag, want := range map[string]string{
		"--sha256=":    "the checksum (sha256) is not 64 hexadecimal digits",
		"--sha256=5f2": "the checksum (sha256) is not 64 hexadecimal digits",
		"--pin=":       `the pin is not "sha256:" and 64 hexadecimal digits`,
	} {
		root := rootCommand()
		// Of two arguments it takes none, so that nothing is planted whatever becomes of the flag.
		root.SetArgs([]string{"plant", "/one", "/two", flag})
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		if err := root.Execute(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got the error %v, want one with %q", flag, err, want)
		}
	}
}
