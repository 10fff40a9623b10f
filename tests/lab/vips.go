//go:build lab

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// vip is the VIP of a site, counted from 0.
func vip(site int) netip.Addr { return siteAddress(site, 180) }

// addresses are those of a host, but for loopback, as its kernel has them, whatever its processes
// do; none of one that is off.
func (h *host) addresses() ([]netip.Addr, error) {
	list, err := inside(h.id(), func(in *netlink.Handle) ([]netlink.Addr, error) { return in.AddrList(nil, netlink.FAMILY_ALL) })
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case errors.Is(err, netlink.ErrDumpInterrupted):
		return h.addresses()
	case err != nil:
		return nil, fmt.Errorf("%s: %w", h.name, err)
	}
	var all []netip.Addr
	for _, a := range list {
		if addr, ok := netip.AddrFromSlice(a.IP); ok && !addr.IsLoopback() {
			all = append(all, addr.Unmap())
		}
	}
	return all, nil
}

// watchVIPs looks every 50 ms until it is stopped whether several nodes have a VIP at a time,
// and PostgreSQL takes writes on more than one of them.
func (c *cluster) watchVIPs() (stop func()) {
	databases := c.databases()
	return c.watch(func(ctx context.Context) {
		w := vipWatch{c, databases}
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
}

// holders are the nodes that have a VIP.
func (w vipWatch) holders() (map[netip.Addr][]*node, error) {
	found := map[netip.Addr][]*node{}
	for _, n := range w.nodes {
		all, err := n.addresses()
		if err != nil {
			return nil, err
		}
		for site := range w.cluster.sites {
			if slices.Contains(all, vip(site)) {
				found[vip(site)] = append(found[vip(site)], n)
			}
		}
	}
	return found, nil
}

// look fails where two nodes have one VIP, and both take writes. The nodes are looked at one
// after the other, and so a second time before they are believed.
func (w vipWatch) look(ctx context.Context) error {
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
	w := vipWatch{c, c.databases()}
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
func inside[T any](namespace string, ask func(*netlink.Handle) (T, error)) (T, error) {
	return inNamespace(namespace, func() (value T, err error) {
		handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return value, err
		}
		defer handle.Close()
		return ask(handle)
	})
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
