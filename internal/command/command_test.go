package command

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	out, err := Command{Name: "sh", Args: []string{"-c", `cat; echo "$GREETING"`}, Env: []string{"GREETING=hello"}, Stdin: strings.NewReader("in ")}.Run(t.Context())
	if err != nil || out != "in hello\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestAFailureSaysWhatTheProgramSaid(t *testing.T) {
	_, err := Run(t.Context(), "sh", "-c", "echo the password is x >/dev/null; seq 20 >&2; exit 3")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("got %v", err)
	}
	if said := err.Error(); !strings.HasPrefix(said, "sh: ") || !strings.HasSuffix(said, "19\n20") || strings.Contains(said, "12\n") {
		t.Errorf("got %q", said)
	}
	if strings.Contains(err.Error(), "password") {
		t.Errorf("the arguments are in the error: %v", err)
	}
}

// A program that asks at the terminal would wait for good: it has none.
func TestNoTerminal(t *testing.T) {
	if _, err := Run(t.Context(), "sh", "-c", `read -r _ _ _ _ _ session _ </proc/$$/stat; test $session = $$`); err != nil {
		t.Errorf("it is in the session of this process: %v", err)
	}
}

func TestAMissingProgram(t *testing.T) {
	_, err := Run(t.Context(), "no-such-program")
	if err == nil || !strings.Contains(err.Error(), "no-such-program is not installed") {
		t.Errorf("got %v", err)
	}
}

// A program that is interrupted takes with it what it started.
func TestAnInterruptedProgramLeavesNothingRunning(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	time.AfterFunc(200*time.Millisecond, func() { cancel(interrupted) })
	started := time.Now()
	// The child keeps standard output open: Run returns early only if it is ended as well.
	_, err := Run(ctx, "sh", "-c", "sleep 300 & wait")
	if !errors.Is(err, interrupted) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(started); took > 9*time.Second {
		t.Errorf("the child was not interrupted: it took %v", took)
	}
}
