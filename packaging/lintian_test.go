package packaging

import (
	"errors"
	"os/exec"
	"testing"
	"time"
)

// Debian finds no error in the package of the real program.
func TestLintian(t *testing.T) {
	deb, err := Firstboot(Options{Version: "0.1.0~git1", Binary: buildFirstboot(t), Date: time.Unix(1_700_000_000, 0), Output: t.TempDir()})
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
}
