package dnscp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is where the guard is woken. A connection is the whole message: nothing is read
// from it, so that whoever may connect can do no more than have the guard look.
const Socket = "/run/dnscp/wake"

// errNoGuard is that no guard runs on this host, and systemd starts none.
var errNoGuard = errors.New("no guard runs on this host")

// answer is what the guard says once it has looked, and done what is to be done.
type answer struct {
	Standing string       `json:"standing"`        // what Patroni says, for people: "leads", "does not lead" ...
	Holds    []netip.Addr `json:"holds"`           // the VIPs that are on this host
	Error    string       `json:"error,omitempty"` // what could not be done
}

// wake is somebody who waits for the guard to look.
type wake struct {
	at     time.Time
	answer chan<- answer // has room for one
}

// wakeUp has the guard look at once, and waits until it is done.
func wakeUp(ctx context.Context, socket string) (answer, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unixpacket", socket)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return answer{}, errNoGuard
	}
	if err != nil {
		return answer{}, fmt.Errorf("wake the guard: %w", errors.Join(err, context.Cause(ctx)))
	}
	defer conn.Close()                                                          // nothing was written
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) }) // fails only where it is closed
	defer stop()
	var a answer
	packet := make([]byte, 1<<16)
	n, err := conn.Read(packet)
	if err == nil {
		err = json.Unmarshal(packet[:n], &a)
	}
	if err != nil {
		return answer{}, fmt.Errorf("the guard was woken, and does not answer: %w; look into journalctl -u dnscp", errors.Join(err, context.Cause(ctx)))
	}
	return a, nil
}

// serve passes those on who connect, until the listener is closed.
func serve(ctx context.Context, l *net.UnixListener, wakes chan<- wake, log *slog.Logger) error {
	for {
		conn, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", l.Addr(), err)
		}
		go func() {
			defer conn.Close() // what could not be written nobody waits for
			if err := attend(ctx, conn, l.Addr().String(), wakes); err != nil {
				log.Warn("a wake-up came to nothing", "error", err)
			}
		}()
	}
}

// attend wakes the guard for one who has connected, and tells what came of it.
func attend(ctx context.Context, conn *net.UnixConn, socket string, wakes chan<- wake) error {
	if err := admit(conn, socket); err != nil {
		return err
	}
	told := make(chan answer, 1)
	select {
	case wakes <- wake{time.Now(), told}:
	case <-ctx.Done():
		return nil
	}
	select {
	case a := <-told:
		packet, err := json.Marshal(a)
		if err != nil {
			return err
		}
		// A callback that Patroni has killed meanwhile is no matter.
		if _, err := conn.Write(packet); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			return err
		}
		return nil
	case <-ctx.Done():
		return nil
	}
}

// admit refuses who is neither root, nor the guard's own user, nor the owner of the
// socket, who is PostgreSQL's user.
func admit(conn *net.UnixConn, socket string) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("who has connected: %w", err)
	}
	allowed := []uint32{0, uint32(os.Geteuid())}
	var owner unix.Stat_t
	if err := unix.Stat(socket, &owner); err == nil { // it may be gone again
		allowed = append(allowed, owner.Uid)
	}
	if !slices.Contains(allowed, peer.Uid) {
		return fmt.Errorf("user %d (process %d) may not wake the guard", peer.Uid, peer.Pid)
	}
	return nil
}
