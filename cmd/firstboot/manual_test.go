package main

import (
	"testing"

	"banyan/internal/manual"
)

func TestManual(t *testing.T) {
	manual.Check(t, "../../packaging/firstboot/firstboot.8", rootCommand())
}
