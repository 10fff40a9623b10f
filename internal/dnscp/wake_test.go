package dnscp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// socket is one that a guard listens on, and what wakes it.
func socket(t *testing.T) (path string, wakes <-chan wake) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "wake")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	woken, ended := make(chan wake), make(chan error)
	go func() { ended <- serve(t.Context(), l, woken, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), <-ended); err != nil {
			t.Error(err)
		}
	})
	return path, woken
}

func TestWake(t *testing.T) {
	path, wakes := socket(t)
	want := answer{Standing: "leads", Holds: []netip.Addr{netip.MustParseAddr("172.16.32.180")}, Error: "the record"}
	go func() { (<-wakes).answer <- want }()
	got, err := wakeUp(t.Context(), path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

// TestWakeIsGivenUp: a guard that does not answer keeps nobody for longer than they want.
func TestWakeIsGivenUp(t *testing.T) {
	path, wakes := socket(t)
	given := errors.New("given up")
	ctx, cancel := context.WithCancelCause(t.Context())
	woken := make(chan wake, 1)
	go func() {
		woken <- <-wakes
		cancel(given)
	}()
	if _, err := wakeUp(ctx, path); !errors.Is(err, given) {
		t.Errorf("%v, want %v", err, given)
	}
	(<-woken).answer <- answer{} // nobody waits for it, and it waits for nobody
}

func TestNoGuard(t *testing.T) {
	if _, err := wakeUp(t.Context(), filepath.Join(t.TempDir(), "wake")); !errors.Is(err, errNoGuard) {
		t.Errorf("%v, want %v", err, errNoGuard)
	}
}

func TestJournalEntry(t *testing.T) {
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "took the VIP", 0)
	r.Add("vip", netip.MustParseAddr("172.16.32.180"), "took", 35*time.Millisecond)
	message, fields := journalEntry([]slog.Attr{slog.String("callback", "on_start")}, r)
	if want := "took the VIP callback=on_start vip=172.16.32.180 took=35ms"; message != want {
		t.Errorf("the line is %q, want %q", message, want)
	}
	want := map[string]string{"DNSCP_CALLBACK": "on_start", "DNSCP_VIP": "172.16.32.180", "DNSCP_TOOK": "35ms"}
	if !reflect.DeepEqual(fields, want) {
		t.Errorf("the fields are %v, want %v", fields, want)
	}
	var text strings.Builder
	NewLogger(&text, slog.LevelInfo).Info("took the VIP", "vip", netip.MustParseAddr("172.16.32.180"))
	if want := "level=INFO msg=\"took the VIP\" vip=172.16.32.180\n"; text.String() != want {
		t.Errorf("as text it is %q, want %q", text.String(), want)
	}
}
