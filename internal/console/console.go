// Package console speaks to whoever stands before the machine, on every console
// that it has: a screen, a serial line, or both.
package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode"

	"banyan/internal/command"
)

// Announce writes text to every console.
func Announce(text string) error {
	active, err := os.ReadFile("/sys/class/tty/console/active")
	if err != nil {
		return fmt.Errorf("find the consoles: %w", err)
	}
	var errs []error
	for name := range strings.FieldsSeq(string(active)) {
		errs = append(errs, write("/dev/"+name, text))
	}
	return errors.Join(errs...)
}

// write gives up after a few seconds: a terminal may be stopped by Ctrl-S.
func write(device, text string) error {
	const patience = 5 * time.Second
	f, err := os.OpenFile(device, os.O_WRONLY|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	if err := f.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = f.WriteString("\n" + strings.TrimRight(text, "\n") + "\n")
	return errors.Join(err, f.Close())
}

// Greet makes text stand above every login prompt, and shows it where one
// stands already. An earlier text goes.
func Greet(ctx context.Context, text string) error {
	const issue = "/run/issue.d/banyan.issue" // agetty(8)
	if err := os.MkdirAll(filepath.Dir(issue), 0o755); err != nil {
		return err
	}
	escaped := strings.ReplaceAll(strings.TrimRight(text, "\n"), `\`, `\\`) + "\n\n"
	if err := os.WriteFile(issue, []byte(escaped), 0o644); err != nil {
		return err
	}
	_, err := command.Run(ctx, "agetty", "--reload")
	return err
}

// Printable is text that others may have written, such as the name of a file on anybody's
// stick, and that shall not steer the terminal: what does not show becomes a question mark,
// to keep the columns.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsGraphic(r):
			return r
		case r == '\t':
			return ' '
		}
		return '?'
	}, s)
}
