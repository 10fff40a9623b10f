package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"banyan/seeds"
)

// readPassword reads a password from a file, where one is named, and else from the
// terminal, which does not show it.
func readPassword(ctx context.Context, file, prompt string) (seeds.Secret, error) {
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		return seeds.Secret(strings.TrimRight(string(content), "\r\n")), nil
	}
	terminal := int(os.Stdin.Fd())
	if !term.IsTerminal(terminal) {
		return "", errors.New("there is no terminal to ask for the password on: name a file that holds it with --password-file")
	}
	state, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	fmt.Fprint(os.Stderr, prompt)
	type answer struct {
		text []byte
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(terminal)
		typed <- answer{text, err}
	}()
	select {
	case a := <-typed:
		fmt.Fprintln(os.Stderr)
		return seeds.Secret(a.text), a.err
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr)
		return "", errors.Join(context.Cause(ctx), term.Restore(terminal, state))
	}
}

// newPassword reads a password that is to be set: on the terminal twice.
func newPassword(ctx context.Context, file, prompt string) (seeds.Secret, error) {
	word, err := readPassword(ctx, file, prompt)
	if err != nil || file != "" {
		return word, err
	}
	again, err := readPassword(ctx, file, "Once more: ")
	if err == nil && again != word {
		err = errors.New("these are two passwords: nothing was done")
	}
	return word, err
}
