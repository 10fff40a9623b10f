//go:build boot

package boot

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

var (
	// terminal is what a line is freed of: ECMA-48 control sequences (CSI),
	// control strings (OSC, DCS, ...), other escape sequences, and the control
	// characters that only move the cursor.
	terminal = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]` +
		`|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)` +
		`|\x1b[ -/]*[0-OQ-WYZ\\\x60-~]` +
		`|[\x00\x07\x08\r]`)

	// unfinished is an escape sequence whose end has not arrived yet.
	unfinished = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\n]*\x1b?|[ -/]*)$`)

	// deadEnd is a machine that waits for a person, which no test is.
	deadEnd = regexp.MustCompile(`Kernel panic - not syncing|You are in emergency mode|\(initramfs\)|grub>|grub rescue>|Security Violation|No bootable option`)
)

// console follows what a machine writes to its serial port. Its Write is the
// port's other end.
type console struct {
	*watched
	log  io.Writer
	held []byte // the start of an escape sequence
	text []byte // everything so far, plain
	seen int    // how much of text waitFor has gone past
	end  error  // why nothing follows any more
}

// newConsole makes a console that copies its plain text to log.
func newConsole(log io.Writer) *console { return &console{watched: newWatched(), log: log} }

func (c *console) Write(p []byte) (n int, err error) {
	c.update(func() {
		raw := slices.Concat(c.held, p)
		whole := len(raw)
		if at := unfinished.FindIndex(raw); at != nil {
			whole = at[0]
		}
		plain := terminal.ReplaceAll(raw[:whole], nil)
		c.held = bytes.Clone(raw[whole:])
		c.text = append(c.text, plain...)
		_, err = c.log.Write(plain)
	})
	return len(p), err
}

// close says that nothing follows, and why.
func (c *console) close(why error) { c.update(func() { c.end = why }) }

// waitFor waits for text that matches re, in whole lines after the text that the
// previous call returned, and returns the match and its submatches. It does not
// wait for a machine that has ended or that waits for a person.
func (c *console) waitFor(ctx context.Context, re *regexp.Regexp) (match []string, err error) {
	err = c.wait(ctx, func() (bool, error) {
		rest := c.text[c.seen:]
		lines := rest[:bytes.LastIndexByte(rest, '\n')+1]
		if at := re.FindIndex(lines); at != nil {
			for _, group := range re.FindSubmatch(lines) {
				match = append(match, string(group))
			}
			c.seen += at[1]
			return true, nil
		}
		if dead := deadEnd.Find(rest); dead != nil {
			return false, fmt.Errorf("the machine stopped at %q", dead)
		}
		return false, c.end
	})
	if err != nil {
		return nil, fmt.Errorf("wait for %q on the console: %w", re, err)
	}
	return match, nil
}

// skip makes waitFor go past all that the console has shown so far.
func (c *console) skip() { c.update(func() { c.seen = len(c.text) }) }

// String is everything that the console has shown.
func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}

// tail is the last n lines that the console has shown.
func (c *console) tail(n int) string {
	lines := strings.Split(strings.TrimSpace(c.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
