//go:build lab

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// vip is the VIP of a site, counted from 0.
func vip(site int) netip.Addr { return siteAddress(site, 180) }

// kernel reads the addresses of a host from the kernel, whatever its processes do.
type kernel struct {
	host   *host
	inode  uint64 // of the namespace that handle is in
	handle *netlink.Handle
}

// addresses are those of a host, but for loopback; none of one that is off.
func (k *kernel) addresses() ([]netip.Addr, error) {
	path := filepath.Join(namespaces, k.host.id())
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("%s has no inode", path)
	}
	if k.handle == nil || k.inode != stat.Ino { // it was turned on since
		ns, err := netns.GetFromPath(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		handle, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
		if err := errors.Join(err, ns.Close()); err != nil {
			return nil, err
		}
		k.close()
		k.handle, k.inode = handle, stat.Ino
	}
	list, err := k.handle.AddrList(nil, netlink.FAMILY_ALL)
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		return k.addresses()
	}
	if err != nil {
		return nil, err
	}
	var all []netip.Addr
	for _, a := range list {
		if addr, ok := netip.AddrFromSlice(a.IP); ok && !addr.IsLoopback() {
			all = append(all, addr.Unmap())
		}
	}
	return all, nil
}

func (k *kernel) close() {
	if k.handle != nil {
		k.handle.Close()
	}
}

// watchVIPs looks every 50 ms until it is stopped whether several nodes have a VIP at a time,
// and PostgreSQL takes writes on more than one of them.
func (c *cluster) watchVIPs() (stop func()) {
	databases := c.databases()
	return c.watch(func(ctx context.Context) {
		w := newVIPWatch(c, databases)
		defer w.close()
		poll(ctx, 50*time.Millisecond, func() bool {
			if err := w.look(ctx); err != nil && ctx.Err() == nil {
				c.t.Error(err)
			}
			return false
		})
	})
}

// vipWatch is who has which VIP.
type vipWatch struct {
	cluster *cluster
	nodes   []*node
	kernels []*kernel
}

func newVIPWatch(c *cluster, nodes []*node) *vipWatch {
	w := &vipWatch{cluster: c, nodes: nodes}
	for _, n := range nodes {
		w.kernels = append(w.kernels, &kernel{host: n.host})
	}
	return w
}

func (w *vipWatch) close() {
	for _, k := range w.kernels {
		k.close()
	}
}

// holders are the nodes that have a VIP.
func (w *vipWatch) holders() (map[netip.Addr][]*node, error) {
	found := map[netip.Addr][]*node{}
	for i, k := range w.kernels {
		all, err := k.addresses()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.host.name, err)
		}
		for site := range w.cluster.sites {
			if slices.Contains(all, vip(site)) {
				found[vip(site)] = append(found[vip(site)], w.nodes[i])
			}
		}
	}
	return found, nil
}

// look fails where two nodes have one VIP, and both take writes. The nodes are looked at one
// after the other, and so a second time before they are believed.
func (w *vipWatch) look(ctx context.Context) error {
	found, err := w.holders()
	if err != nil {
		return err
	}
	for addr, nodes := range found {
		if len(nodes) < 2 {
			continue
		}
		if found, err = w.holders(); err != nil {
			return err
		}
		var writable []*node
		for _, n := range found[addr] {
			if n.takesWrites(ctx) {
				writable = append(writable, n)
			}
		}
		w.cluster.t.Logf("%s is on %s at a time, of which %s take writes", addr, names(nodes), names(writable))
		if len(found[addr]) > 1 && len(writable) > 1 {
			return fmt.Errorf("%s is on %s at a time, and all take writes", addr, names(writable))
		}
	}
	return nil
}

// takesWrites asks PostgreSQL from the node's own network, whatever becomes of the cable.
func (n *node) takesWrites(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	value, err := n.cluster.SQL(ctx, n.dial, netip.AddrPortFrom(n.addr.Addr(), 5432).String(), "select pg_is_in_recovery()::text")
	return err == nil && value == "false"
}

// holds waits until a node has the VIP of its site, no other node has one, and the cluster's
// name leads there.
func (c *cluster) holds(want *node) {
	c.t.Helper()
	w := newVIPWatch(c, c.databases())
	defer w.close()
	until(c.t, settleTime, func(context.Context) error {
		found, err := w.holders()
		if err != nil {
			return err
		}
		for site, s := range c.sites {
			var wanted []*node
			if s == want.network {
				wanted = []*node{want}
				if name := c.zone.lookup(clusterName); !slices.Equal(name, []netip.Addr{vip(site)}) {
					err = errors.Join(err, fmt.Errorf("%s leads to %v, and not to %s", clusterName, name, vip(site)))
				}
			}
			if !slices.Equal(found[vip(site)], wanted) {
				err = errors.Join(err, fmt.Errorf("%s is on %q, and not on %q", vip(site), names(found[vip(site)]), names(wanted)))
			}
		}
		return err
	})
}

// inside is netlink in a network namespace.
func inside[T any](namespace string, ask func(*netlink.Handle) (T, error)) (value T, err error) {
	ns, err := netns.GetFromPath(filepath.Join(namespaces, namespace))
	if err != nil {
		return value, err
	}
	handle, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err := errors.Join(err, ns.Close()); err != nil {
		return value, err
	}
	defer handle.Close()
	return ask(handle)
}

// linkAddress is the MAC address of an interface.
func linkAddress(namespace, name string) (string, error) {
	return inside(namespace, func(h *netlink.Handle) (string, error) {
		link, err := h.LinkByName(name)
		if err != nil {
			return "", err
		}
		return link.Attrs().HardwareAddr.String(), nil
	})
}

// neighbor is the MAC address that the hosts of a namespace know for an address; "" for none.
func neighbor(t testing.TB, namespace string, addr netip.Addr) string {
	t.Helper()
	mac, err := inside(namespace, func(h *netlink.Handle) (string, error) {
		all, err := h.NeighList(0, netlink.FAMILY_ALL)
		for _, n := range all {
			if a, ok := netip.AddrFromSlice(n.IP); ok && a.Unmap() == addr {
				return n.HardwareAddr.String(), err
			}
		}
		return "", err
	})
	if err != nil {
		t.Fatal(err)
	}
	return mac
}
