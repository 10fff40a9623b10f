//go:build lab

package vip

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// TestSever: clients of the address are told, and nobody else.
func TestSever(t *testing.T) {
	enter(t)
	for _, of := range []struct {
		what, vip, other, listen string
	}{
		{"IPv4", "10.99.0.180", "10.99.0.11", "0.0.0.0:5432"},
		{"IPv4 at a socket of IPv6", "10.99.1.180", "10.99.1.11", "[::]:5433"},
		{"IPv6", "2001:db8::180", "2001:db8::11", "[::]:5434"},
	} {
		vip, other := netip.MustParseAddr(of.vip), netip.MustParseAddr(of.other)
		for _, a := range []netip.Addr{vip, other} {
			ip(t, "address add "+netip.PrefixFrom(a, a.BitLen()).String()+" dev lo")
		}
		l, err := net.Listen("tcp", of.listen)
		if err != nil {
			t.Fatal(err)
		}
		port := netip.MustParseAddrPort(of.listen).Port()
		dial := func(a netip.Addr) net.Conn {
			client, err := net.Dial("tcp", netip.AddrPortFrom(a, port).String())
			if err != nil {
				t.Fatalf("%s: %v", of.what, err)
			}
			if _, err := l.Accept(); err != nil {
				t.Fatal(err)
			}
			return client
		}
		told, kept := dial(vip), dial(other)
		// Of a connection of the host to itself both ends are the address's.
		if n, err := Sever(vip); err != nil || n < 1 {
			t.Errorf("%s: %d connections are ended, %v", of.what, n, err)
		}
		for conn, want := range map[net.Conn]error{told: syscall.ECONNRESET, kept: nil} {
			if err := conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			_, err := conn.Read(make([]byte, 1))
			if timeout := net.Error(nil); want == nil && errors.As(err, &timeout) && timeout.Timeout() {
				continue // it is there
			}
			if !errors.Is(err, want) && !errors.Is(err, syscall.ECONNABORTED) {
				t.Errorf("%s: a client finds %v, want %v", of.what, err, want)
			}
		}
		if n, err := Sever(vip); err != nil || n != 0 {
			t.Errorf("%s: a second time %d connections are ended, %v", of.what, n, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
