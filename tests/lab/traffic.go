//go:build lab

package lab

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"banyan/tests/fixture"
)

// What may become of a packet to a port.
const (
	open    = "open"
	dropped = "dropped" // nobody answers
	closed  = "closed"  // it got through, and nobody listens
)

// answerTime is how long an answer may take that comes over a virtual cable. What is
// dropped is waited for that long.
const answerTime = 3 * time.Second

// knock tells what becomes of a packet of a protocol as Go's package net calls it.
// Over UDP the other end has to echo, see listen; to ICMP the kernel answers.
func knock(ctx context.Context, dial fixture.Dial, protocol string, to netip.AddrPort) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	addr, hello := to.String(), []byte("hello")
	switch protocol {
	case "ip4:icmp":
		addr, hello = to.Addr().String(), []byte{8, 0, 0xf7, 0xfd, 0, 1, 0, 1} // RFC 792: an echo, with its checksum
	case "ip6:ipv6-icmp":
		addr, hello = to.Addr().String(), []byte{128, 0, 0, 0, 0, 1, 0, 1} // RFC 4443; its checksum is made by the kernel
	}
	conn, err := dial(ctx, protocol, addr)
	if err == nil && protocol != "tcp" {
		err = exchange(ctx, conn, hello)
	}
	if conn != nil {
		err = errors.Join(err, conn.Close())
	}
	var timeout net.Error
	switch {
	case err == nil:
		return open, nil
	case errors.As(err, &timeout) && timeout.Timeout():
		return dropped, nil
	case errors.Is(err, unix.ECONNREFUSED):
		return closed, nil
	}
	return "", err
}

// exchange sends a datagram and waits for one.
func exchange(ctx context.Context, conn net.Conn, hello []byte) error {
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1500))
	return err
}

// listen listens on a port in a network namespace until the test ends, and echoes what
// comes in datagrams.
func listen(t testing.TB, namespace, protocol string, on netip.AddrPort) {
	t.Helper()
	at := net.JoinHostPort(on.Addr().String(), strconv.Itoa(int(on.Port())))
	if protocol == "tcp" {
		l, err := inNamespace(namespace, func() (net.Listener, error) {
			return new(net.ListenConfig).Listen(context.Background(), protocol, at) // the backlog takes connections
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() }) // nothing was written
		return
	}
	conn, err := inNamespace(namespace, func() (net.PacketConn, error) {
		return new(net.ListenConfig).ListenPacket(context.Background(), protocol, at)
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- echo(conn) }()
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), <-done); err != nil {
			t.Error(err)
		}
	})
}

// echo sends back what comes, until the connection is closed.
func echo(conn net.PacketConn) error {
	buffer := make([]byte, 1500)
	for {
		size, from, err := conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := conn.WriteTo(buffer[:size], from); err != nil {
			return err
		}
	}
}
