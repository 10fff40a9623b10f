//go:build boot

package boot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"testing"
)

func TestConsoleShowsPlainText(t *testing.T) {
	const (
		raw = "\x1bc\x1b[?7l\x1b[2J\x1b[01;01Hfirst\r\n" +
			"[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mssh.service\x1b[0m.\r\n" +
			"\x1b]3008;start=1;type=boot\x1b\\\x1bP+q544e\x1b\\\x1b(B\x1b]0;title\x07host login: "
		plain = "first\n[  OK  ] Started ssh.service.\nhost login: "
	)
	for _, size := range []int{1, 2, 7, len(raw)} {
		var log bytes.Buffer
		c := newConsole(&log)
		for rest := []byte(raw); len(rest) > 0; rest = rest[min(size, len(rest)):] {
			if _, err := c.Write(rest[:min(size, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		if c.String() != plain || log.String() != plain {
			t.Errorf("in pieces of %d bytes: text %q, log %q, want %q", size, c.String(), log.String(), plain)
		}
	}
}

func TestWaitForGoesOnWhereItWas(t *testing.T) {
	c := newConsole(io.Discard)
	ready := regexp.MustCompile(`node (\d) is ready`)
	wrote := make(chan error)
	go func() {
		_, err := io.WriteString(c, "node 1 is ready\nnode 2 is ready\nnode 3 is re")
		wrote <- err
	}()
	for _, want := range []string{"1", "2"} {
		match, err := c.waitFor(t.Context(), ready)
		if err != nil || match[1] != want {
			t.Fatalf("got %q, %v; want node %s", match, err, want)
		}
	}

	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	ended := errors.New("qemu: exit status 1")
	c.close(ended)
	if _, err := c.waitFor(t.Context(), ready); !errors.Is(err, ended) {
		t.Errorf("a line that never ended: got %v, want %v", err, ended)
	}
}

func TestWaitForGivesUp(t *testing.T) {
	c := newConsole(io.Discard)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.waitFor(ctx, regexp.MustCompile("ready")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if _, err := io.WriteString(c, "ALERT! no disk\n(initramfs) "); err != nil {
		t.Fatal(err)
	}
	if _, err := c.waitFor(t.Context(), regexp.MustCompile("ready")); err == nil {
		t.Error("waited at a prompt for a person")
	}
}
