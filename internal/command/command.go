// Package command runs the distribution's programs, so that a failure says
// which program failed and what it said, and an interruption ends the program's
// children with it.
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Command is a program to run.
type Command struct {
	Name   string
	Args   []string
	Env    []string // added to the environment
	Stdin  io.Reader
	Stdout io.Writer // gets standard output as it comes, in place of what Run returns
}

// Run runs a program and returns what it wrote to standard output.
func Run(ctx context.Context, name string, args ...string) (string, error) {
	return Command{Name: name, Args: args}.Run(ctx)
}

// Run runs c and returns what it wrote to standard output. The error of a
// program that ran and failed wraps an [exec.ExitError] and holds the last
// lines of its standard error, and never its arguments. An ended context
// terminates the program and all that it started, and kills it ten seconds
// later; the end of this process kills it at once.
func (c Command) Run(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, c.Name, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdin = c.Stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if c.Stdout != nil {
		cmd.Stdout = c.Stdout
	}
	// In a session of its own a program has no terminal to ask, where nobody would answer.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second

	// Pdeathsig is sent when the thread that started the program ends, so that thread is kept until the program has ended.
	runtime.LockOSThread()
	err := cmd.Run()
	runtime.UnlockOSThread()
	if err == nil {
		return stdout.String(), nil
	}
	if ctx.Err() != nil {
		// Whatever ignored SIGTERM; the usual error is that nothing is left.
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		return "", fmt.Errorf("%s: %w", filepath.Base(c.Name), context.Cause(ctx))
	}
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%s is not installed: %w", c.Name, err)
	}
	if said := lastLines(stderr.String(), 8); said != "" {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(c.Name), err, said)
	}
	return "", fmt.Errorf("%s: %w", filepath.Base(c.Name), err)
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
