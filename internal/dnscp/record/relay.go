package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
)

// relay is a port of the loopback interface that leads to a KDC. The library of Kerberos
// connects by itself, and would neither end with a context nor go where an Updater's
// connections go. What passes is safe from whoever else finds the port: RFC 4120, 10.
type relay struct {
	listener net.Listener
	stop     context.CancelFunc
	serving  sync.WaitGroup

	mu  sync.Mutex
	err error // of the way to the KDC
}

// relay makes one. It is open until the context ends or it is closed.
func (u *Updater) relay(ctx context.Context, kdc netip.AddrPort) (*relay, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a way to the KDC: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	r := &relay{listener: listener, stop: stop}
	context.AfterFunc(ctx, func() { _ = listener.Close() }) // which ends who serves
	r.serving.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			r.serving.Go(func() { r.join(ctx, u, from, kdc) })
		}
	})
	return r, nil
}

func (r *relay) address() string { return r.listener.Addr().String() }

// close ends all connections through it.
func (r *relay) close() {
	r.stop()
	r.serving.Wait()
}

// failed is why the KDC did not answer, or nil where it did.
func (r *relay) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// join joins a connection to one to the KDC, which has one question and one answer.
func (r *relay) join(ctx context.Context, u *Updater, from net.Conn, kdc netip.AddrPort) {
	defer from.Close()
	to, err := u.dial(ctx, "tcp", kdc)
	if err != nil {
		r.fail(err)
		return
	}
	defer to.Close()
	within, cancel := context.WithTimeoutCause(ctx, u.limits.answer, fmt.Errorf("no answer within %v: is the KDC up?", u.limits.answer))
	defer cancel()
	done := context.AfterFunc(within, func() { _ = to.Close() }) // has nobody to tell
	defer done()
	r.serving.Go(func() { _, _ = io.Copy(to, from) }) // ends with the connections; what did not get through has no answer
	if n, _ := io.Copy(from, to); n > 0 {
		return
	}
	if within.Err() != nil {
		err = context.Cause(within)
	} else {
		err = errors.New("it closes the connection without an answer")
	}
	r.fail(err)
}

func (r *relay) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}
