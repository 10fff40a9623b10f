package seeds

import (
	"errors"
	"fmt"
	"log/slog"

	"banyan/internal/strict"
)

// Secret is text that no log, report or error may show: every way of printing
// or encoding it gives "(secret)", and only Reveal gives the text. Keep it in
// exported fields: fmt cannot call the methods of an unexported one, and prints
// its bytes.
type Secret string

var (
	_ strict.Secret  = Secret("")
	_ strict.Checker = Secret("")
)

const masked = "(secret)"

// Reveal returns the text. Whoever calls it answers for where the text goes.
func (s Secret) Reveal() string { return string(s) }

var errSealed = errors.New("this secret was sealed on the node that the seed was planted on: write the real value here")

// Check refuses what Redacted put in the place of a secret.
func (s Secret) Check() error {
	if s == sealed {
		return errSealed
	}
	return nil
}

// String masks s.
func (Secret) String() string { return masked }

// GoString masks s.
func (Secret) GoString() string { return masked }

// Format covers the verbs that pass String by, such as %x and %d.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, masked) }

// MarshalText is what JSON, YAML and the other encodings write.
func (Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// LogValue masks s.
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }
