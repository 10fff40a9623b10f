// Package cli is what Banyan's programs have in common: how they print a result, and how they end.
package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Exit ends a program with an exit status of its own, without a word where there is no error.
type Exit struct {
	Code int
	Err  error
}

func (e Exit) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Code)
	}
	return e.Err.Error()
}

func (e Exit) Unwrap() error { return e.Err }

// Status is the exit status of a program that ends with that error: that of an [Exit], or else 1.
// What went wrong is said on the standard error.
func Status(program string, err error) int {
	if err == nil {
		return 0
	}
	exit := Exit{1, err}
	errors.As(err, &exit)
	if exit.Err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
	}
	return exit.Code
}

// Result is what a command found, for people and programs, and the exit status that tells it.
type Result interface {
	fmt.Stringer
	ExitCode() int
}

// Print prints a result as text or JSON, and ends with its exit status.
func Print(r Result, asJSON bool) (err error) {
	if asJSON {
		err = JSON(r)
	} else {
		_, err = fmt.Print(r)
	}
	if code := r.ExitCode(); err == nil && code != 0 {
		err = Exit{Code: code}
	}
	return err
}

// JSON prints a value for a program.
func JSON(v any) error {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
