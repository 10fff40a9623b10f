//go:build lab

package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
)

// namespaces is where ip-netns(8) keeps the names of network namespaces.
const namespaces = "/run/netns"

// network is a bridge in a network namespace of its own, in which clients are too.
// Nothing leads out of it.
type network struct {
	t         testing.TB
	namespace string
	prefix    netip.Prefix // its address has the bridge itself
}

// networks tells the networks of this process from one another.
var networks atomic.Int32

// newNetwork makes a network. It is gone when the test ends.
func newNetwork(t testing.TB, prefix netip.Prefix) *network {
	t.Helper()
	n := &network{t: t, namespace: fmt.Sprintf("net%d", networks.Add(1)), prefix: prefix}
	addNamespace(t, n.namespace)
	n.ip("link set lo up",
		"link add bridge type bridge",
		fmt.Sprintf("address add %s dev bridge", prefix),
		"link set bridge up")
	return n
}

// addNamespace makes a network namespace, which is gone when the test ends.
func addNamespace(t testing.TB, name string) {
	t.Helper()
	if _, err := command.Run(t.Context(), "ip", "netns", "add", name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := command.Run(context.Background(), "ip", "netns", "delete", name); err != nil {
			t.Error(err)
		}
	})
}

// ip runs commands of ip(8) in the network's namespace.
func (n *network) ip(commands ...string) {
	n.t.Helper()
	stdin := strings.NewReader(strings.Join(commands, "\n"))
	if _, err := (command.Command{Name: "ip", Args: []string{"-netns", n.namespace, "-batch", "-"}, Stdin: stdin}).Run(n.t.Context()); err != nil {
		n.t.Fatalf("%q: %v", commands, err)
	}
}

// plug makes the namespace of a host, whose eth0 leads to the bridge, and returns its
// name.
func (n *network) plug(host string) string {
	n.t.Helper()
	namespace := n.namespace + "-" + host
	addNamespace(n.t, namespace)
	n.ip(fmt.Sprintf("link add %s type veth peer name eth0 netns %s", host, namespace),
		fmt.Sprintf("link set %s master bridge up", host))
	return namespace
}

// dial connects from inside the network. The address is an IP address: a name would
// be looked up by whatever thread comes, and so outside.
func (n *network) dial(ctx context.Context, protocol, addr string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread, which is in the network, ends with this function
		if err := setNamespace(n.namespace); err != nil {
			done <- result{nil, err}
			return
		}
		conn, err := new(net.Dialer).DialContext(ctx, protocol, addr)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

// setNamespace moves the calling thread to a network namespace.
func setNamespace(name string) error {
	f, err := os.Open(filepath.Join(namespaces, name))
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace %s: %w", name, err)
	}
	return nil
}
