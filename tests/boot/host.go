//go:build boot

package boot

import (
	"net"
	"os"
	"syscall"
	"testing"

	"banyan/internal/command"
	"banyan/tests/fixture"
)

// artifacts is the directory that what is worth reading after a failure is kept
// in.
func artifacts(t testing.TB) string {
	t.Helper()
	dir, err := fixture.Artifacts("boot")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// freeAddresses finds a free loopback address for each of the guest's ports.
func freeAddresses(t testing.TB, ports []int) map[int]string {
	t.Helper()
	addresses := map[int]string{}
	for _, port := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all of them are held until each has one
		addresses[port] = l.Addr().String()
	}
	return addresses
}

// socketPair makes two connected Unix sockets: one end to speak over and one for
// another process to inherit.
func socketPair(t testing.TB) (ours net.Conn, theirs *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("socketpair: %v", err)
	}
	file := os.NewFile(uintptr(fds[0]), "monitor")
	defer file.Close() // FileConn duplicates it
	if ours, err = net.FileConn(file); err != nil {
		t.Fatal(err)
	}
	return ours, os.NewFile(uintptr(fds[1]), "qemu's monitor")
}

// run runs a program to its end.
func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if _, err := command.Run(t.Context(), name, args...); err != nil {
		t.Fatal(err)
	}
}

// read reads a whole file.
func read(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
