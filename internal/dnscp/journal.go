package dnscp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
)

// NewLogger makes a program's log: where standard error is the journal, an entry a change
// with each attribute as a field, such as DNSCP_VIP; else lines of text to w.
func NewLogger(w io.Writer, level slog.Level) *slog.Logger {
	// A time that the journal has too is left out.
	text := slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	if ok, err := journal.StderrIsJournalStream(); err != nil || !ok {
		return slog.New(text)
	}
	return slog.New(&journalHandler{level: level})
}

// journalHandler sends records to journald(8), each field as one of its own.
type journalHandler struct {
	level slog.Level
	attrs []slog.Attr
}

func (h *journalHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journalHandler{h.level, slices.Concat(h.attrs, attrs)}
}

// WithGroup is for those who name groups, which nobody does here.
func (h *journalHandler) WithGroup(string) slog.Handler { return h }

// journalPatience is for how long a journal that does not read may keep what is to be done:
// a VIP does not wait for its line.
const journalPatience = 100 * time.Millisecond

func (h *journalHandler) Handle(_ context.Context, r slog.Record) error {
	message, fields := journalEntry(h.attrs, r)
	sent := make(chan error, 1)
	go func() { sent <- journal.Send(message, journalPriority(r.Level), fields) }()
	select {
	case err := <-sent:
		return err
	case <-time.After(journalPatience):
		return errors.New("the journal does not read")
	}
}

// journalEntry is the line and its fields. The line has them all, for those who read it as
// text: "took the VIP vip=172.16.32.180 interface=eth0".
func journalEntry(attrs []slog.Attr, r slog.Record) (string, map[string]string) {
	var message strings.Builder
	message.WriteString(r.Message)
	fields := map[string]string{}
	add := func(a slog.Attr) bool {
		value := a.Value.Resolve().String()
		message.WriteString(" " + a.Key + "=" + value)
		// systemd.journal-fields(7): capital letters, digits and underscores.
		fields["DNSCP_"+strings.ToUpper(strings.ReplaceAll(a.Key, "-", "_"))] = value
		return true
	}
	for _, a := range attrs {
		add(a)
	}
	r.Attrs(add)
	return message.String(), fields
}

func journalPriority(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= slog.LevelInfo:
		return journal.PriNotice
	}
	return journal.PriDebug
}
