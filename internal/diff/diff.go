// Package diff compares texts as diff(1) does, by diff(1) itself.
package diff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Unified is the unified diff from one text to another, under the names that stand
// in its head, and "" where they are the same. No text touches a disk.
func Unified(ctx context.Context, fromName, toName, from, to string) (string, error) {
	if from == to {
		return "", nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer read.Close()
	go func() {
		_, _ = io.WriteString(write, to) // fails only where diff has failed
		_ = write.Close()                // likewise
	}()
	cmd := exec.CommandContext(ctx, "diff", "-u", "--label", fromName, "--label", toName, "-", "/dev/fd/3")
	cmd.Stdin, cmd.ExtraFiles = strings.NewReader(from), []*os.File{read}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return out.String(), nil // they differ
	}
	if err != nil {
		return "", fmt.Errorf("diff: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}
