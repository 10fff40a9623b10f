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
	"banyan/tests/fixture"
)

// namespaces is where ip-netns(8) keeps the names of network namespaces.
const namespaces = "/run/netns"

// network is a bridge in a network namespace of its own, in which clients are too.
// Nothing leads out of it but its line to a router.
type network struct {
	namespace string
	prefix    netip.Prefix // its address has the bridge itself
	line      *line        // nil where there is no router
	zone      *zone        // that is served here; nil for none
}

// networks tells the networks of this process from one another.
var networks atomic.Int32

// newNetwork makes a network. It is gone when the test ends.
func newNetwork(t testing.TB, prefix netip.Prefix) *network {
	t.Helper()
	n := &network{namespace: fmt.Sprintf("net%d", networks.Add(1)), prefix: prefix}
	if err := addNamespace(n.namespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := deleteNamespace(n.namespace); err != nil {
			t.Error(err)
		}
	})
	err := n.ip("link set lo up",
		"link add bridge type bridge",
		fmt.Sprintf("address add %s dev bridge", prefix),
		"link set bridge up")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func addNamespace(name string) error {
	_, err := command.Run(context.Background(), "ip", "netns", "add", name)
	return err
}

func deleteNamespace(name string) error {
	_, err := command.Run(context.Background(), "ip", "netns", "delete", name)
	return err
}

// ip runs commands of ip(8) in the network's namespace.
func (n *network) ip(commands ...string) error { return ip(n.namespace, commands...) }

// ip runs commands of ip(8) in a network namespace.
func ip(namespace string, commands ...string) error {
	_, err := command.Command{
		Name:  "ip",
		Args:  []string{"-netns", namespace, "-batch", "-"},
		Stdin: strings.NewReader(strings.Join(commands, "\n")),
	}.Run(context.Background())
	if err != nil {
		return fmt.Errorf("%q: %w", commands, err)
	}
	return nil
}

// plug lays a cable to a host: from eth0 in the host's namespace to a port of the
// bridge that has the host's name.
func (n *network) plug(host, namespace string) error {
	return n.ip(fmt.Sprintf("link add %s type veth peer name eth0 netns %s", host, namespace),
		fmt.Sprintf("link set %s master bridge up", host))
}

// unplug takes the cable away, with both its ends.
func (n *network) unplug(host string) error { return n.ip("link delete " + host) }

// dial connects from inside the network. The address is an IP address: a name would
// be looked up by whatever thread comes, and so outside.
func (n *network) dial(ctx context.Context, protocol, addr string) (net.Conn, error) {
	return inNamespace(n.namespace, func() (net.Conn, error) { return new(net.Dialer).DialContext(ctx, protocol, addr) })
}

// from is dial for a client that has an address of its own in the network, see addClient.
func (n *network) from(client netip.Addr) fixture.Dial {
	return func(ctx context.Context, protocol, addr string) (net.Conn, error) {
		var d net.Dialer
		switch {
		case strings.HasPrefix(protocol, "tcp"):
			d.LocalAddr = &net.TCPAddr{IP: client.AsSlice()}
		case strings.HasPrefix(protocol, "udp"):
			d.LocalAddr = &net.UDPAddr{IP: client.AsSlice()}
		default:
			d.LocalAddr = &net.IPAddr{IP: client.AsSlice()}
		}
		return inNamespace(n.namespace, func() (net.Conn, error) { return d.DialContext(ctx, protocol, addr) })
	}
}

// addClient gives clients an address more.
func (n *network) addClient(t testing.TB, addr netip.Prefix) {
	t.Helper()
	if err := n.ip(fmt.Sprintf("address add %s dev bridge nodad", addr)); err != nil {
		t.Fatal(err)
	}
}

// inNamespace calls a function in a network namespace. What it opens stays in there.
func inNamespace[T any](name string, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread, which is in the network, ends with this function
		if err := setNamespace(name); err != nil {
			done <- result{err: err}
			return
		}
		value, err := do()
		done <- result{value, err}
	}()
	r := <-done
	return r.value, r.err
}

// setNamespace moves the calling thread to a network namespace. While ip-netns(8) adds one or
// deletes it, there is an empty file of its name, and no namespace.
func setNamespace(name string) error {
	f, err := os.Open(filepath.Join(namespaces, name))
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	if fs.Type != unix.NSFS_MAGIC {
		return fmt.Errorf("the network namespace %s: %w", name, os.ErrNotExist)
	}
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace %s: %w", name, err)
	}
	return nil
}
