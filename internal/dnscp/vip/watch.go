package vip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Kind is what an [Event] is about.
type Kind string

// What has happened.
const (
	Removed Kind = "removed" // an address is gone
	LinkUp  Kind = "link up" // an interface can send again: the cable is in, or it was set up
	Lost    Kind = "lost"    // more than was read in time: anything may have happened
)

// Event is something to look again for.
type Event struct {
	Kind      Kind
	Interface string       // its name, "" where it is not known, as of Lost
	Index     int          // its index
	Address   netip.Prefix // which is gone; of Removed only
}

// pending is how many events wait for whoever is slow to read them.
const pending = 64

// Watch reports what happens to this host's addresses and interfaces from now on, until the
// context ends, which closes the channel. Who does not read it in time misses events, and then
// finds Lost as the last one; so does the kernel say where this process was slow (ENOBUFS).
// That the channel is closed before the context ends is that the kernel's socket failed.
func Watch(ctx context.Context) (<-chan Event, error) {
	s, err := subscribe()
	if err != nil {
		return nil, err
	}
	w, err := newWatcher()
	if err != nil {
		s.Close()
		return nil, err
	}
	context.AfterFunc(ctx, s.Close)
	go w.run(s.Receive)
	return w.events, nil
}

func subscribe() (*nl.NetlinkSocket, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, fmt.Errorf("watch the interfaces: %w", err)
	}
	return s, nil
}

// watcher makes events of the kernel's messages. The kernel tells how an interface is, not what
// became different, so it remembers.
type watcher struct {
	links  map[int]link
	events chan Event
}

// link is an interface, as it was told last.
type link struct {
	name    string
	running bool // it can send: it is set up, and there is a carrier
}

func newWatcher() (*watcher, error) {
	w := &watcher{links: make(map[int]link), events: make(chan Event, pending)}
	links, err := dump(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	for _, l := range links {
		w.links[l.Attrs().Index] = state(l.Attrs())
	}
	return w, nil
}

func state(l *netlink.LinkAttrs) link {
	const both = unix.IFF_UP | unix.IFF_LOWER_UP
	return link{l.Name, l.RawFlags&both == both}
}

// run reads until reading fails.
func (w *watcher) run(receive func() ([]syscall.NetlinkMessage, *unix.SockaddrNetlink, error)) {
	defer close(w.events)
	for {
		messages, from, err := receive()
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS):
			for index, l := range w.links { // what has become of it is lost too: better one LinkUp too many
				w.links[index] = link{name: l.name}
			}
			w.tell(Event{Kind: Lost})
			continue
		case err != nil:
			return
		case from.Pid != nl.PidKernel: // anybody may write to a socket of netlink
			continue
		}
		for _, m := range messages {
			if e, ok := w.event(m); ok {
				w.tell(e)
			}
		}
	}
}

// tell never waits, so that the kernel never has to. Lost is in the last place if the channel is
// full: whoever reads it looks at everything, and so misses nothing of what had no place any more.
func (w *watcher) tell(e Event) {
	switch free := cap(w.events) - len(w.events); { // which grows meanwhile, if anything
	case free > 1:
		w.events <- e
	case free == 1:
		w.events <- Event{Kind: Lost}
	}
}

// event is what a message says that is new, if anything.
func (w *watcher) event(m syscall.NetlinkMessage) (Event, bool) {
	switch m.Header.Type {
	case unix.RTM_DELADDR:
		index, gone, err := removed(m.Data)
		if err != nil {
			return Event{Kind: Lost}, true
		}
		return Event{Removed, w.links[index].name, index, gone}, true
	case unix.RTM_NEWLINK:
		l, err := netlink.LinkDeserialize(nil, m.Data)
		if err != nil {
			return Event{Kind: Lost}, true
		}
		index, is := l.Attrs().Index, state(l.Attrs())
		was := w.links[index]
		w.links[index] = is
		return Event{Kind: LinkUp, Interface: is.name, Index: index}, is.running && !was.running
	case unix.RTM_DELLINK:
		delete(w.links, int(nl.DeserializeIfInfomsg(m.Data).Index))
	}
	return Event{}, false
}

// removed reads a message about an address: on which interface, and which. IPv4 says it as
// IFA_LOCAL, and IFA_ADDRESS is the other side's where there is one; IPv6 may have IFA_ADDRESS alone.
func removed(data []byte) (index int, gone netip.Prefix, err error) {
	header := nl.DeserializeIfAddrmsg(data)
	attributes, err := nl.ParseRouteAttr(data[header.Len():])
	if err != nil {
		return 0, gone, err
	}
	var addr netip.Addr
	for _, a := range attributes {
		if a.Attr.Type == unix.IFA_LOCAL || a.Attr.Type == unix.IFA_ADDRESS && !addr.IsValid() {
			addr, _ = netip.AddrFromSlice(a.Value)
		}
	}
	if !addr.IsValid() {
		return 0, gone, errors.New("a message of an address, without the address")
	}
	return int(header.Index), netip.PrefixFrom(addr, int(header.Prefixlen)), nil
}
