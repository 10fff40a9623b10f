package main

import (
	"testing"

	"banyan/internal/manual"
)

// The command line of dnscp.sh, which has --version, is not cobra's.
func TestManual(t *testing.T) {
	manual.Check(t, "../../packaging/dnscp/dnscp.8", rootCommand(), "--version")
}
