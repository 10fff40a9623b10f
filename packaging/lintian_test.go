package packaging

import (
	"errors"
	"os/exec"
	"testing"
	"time"
)

// Debian finds no error in the packages of the real programs.
func TestLintian(t *testing.T) {
	for _, p := range products {
		t.Run(p.program, func(t *testing.T) {
			deb, err := p.pack(Options{Version: "0.1.0~git1", Date: time.Unix(1_700_000_000, 0), Output: t.TempDir()}, build(t, p))
			if err != nil {
				t.Fatal(err)
			}
			said, err := exec.CommandContext(t.Context(), "lintian", "--fail-on", "error", deb).CombinedOutput()
			if errors.Is(err, exec.ErrNotFound) {
				t.Fatal("lintian is missing: sudo scripts/setup test")
			}
			if err != nil {
				t.Errorf("lintian: %v:\n%s", err, said)
			}
		})
	}
}

// systemd's own judgement of what the guard could do to its host, from 0 to 10: with the
// network and the capabilities that it needs it comes to 1.8.
func TestTheGuardIsConfined(t *testing.T) {
	said, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=19", "dnscp/dnscp.service").CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v:\n%s", err, said)
	}
}
