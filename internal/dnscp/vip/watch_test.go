package vip

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

func newLink(index int32, name string, flags uint32) syscall.NetlinkMessage {
	m := nl.NewIfInfomsg(unix.AF_UNSPEC)
	m.Index, m.Flags = index, flags
	return syscall.NetlinkMessage{
		Header: syscall.NlMsghdr{Type: unix.RTM_NEWLINK},
		Data:   append(m.Serialize(), nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)).Serialize()...),
	}
}

func delAddress(index uint32, bits uint8, attributes ...*nl.RtAttr) syscall.NetlinkMessage {
	m := nl.NewIfAddrmsg(unix.AF_INET)
	m.Index, m.Prefixlen = index, bits
	data := m.Serialize()
	for _, a := range attributes {
		data = append(data, a.Serialize()...)
	}
	return syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: unix.RTM_DELADDR}, Data: data}
}

func TestEvents(t *testing.T) {
	const up, carrier = unix.IFF_UP, unix.IFF_UP | unix.IFF_LOWER_UP
	w := &watcher{links: map[int]link{2: {"eth0", true}}, events: make(chan Event, pending)}
	gone := prefixes("10.0.0.180/24", "2001:db8::180/64")
	for n, c := range []struct {
		message syscall.NetlinkMessage
		want    Event
	}{
		{delAddress(2, 24, nl.NewRtAttr(unix.IFA_ADDRESS, []byte{10, 0, 0, 1}), nl.NewRtAttr(unix.IFA_LOCAL, []byte{10, 0, 0, 180})),
			Event{Removed, "eth0", 2, gone[0]}},
		{delAddress(2, 64, nl.NewRtAttr(unix.IFA_ADDRESS, gone[1].Addr().AsSlice())), Event{Removed, "eth0", 2, gone[1]}},
		{delAddress(7, 64, nl.NewRtAttr(unix.IFA_ADDRESS, gone[1].Addr().AsSlice())), Event{Removed, "", 7, gone[1]}},
		{delAddress(2, 24), Event{Kind: Lost}}, // it cannot be read, so anything may have happened
		{newLink(2, "eth0", carrier), Event{}}, // as it was
		{newLink(2, "eth0", up), Event{}},
		{newLink(2, "eth0", carrier), Event{Kind: LinkUp, Interface: "eth0", Index: 2}},
		{newLink(3, "eth1", up), Event{}},
		{newLink(3, "eth1", carrier), Event{Kind: LinkUp, Interface: "eth1", Index: 3}},
		{syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: unix.RTM_DELLINK}, Data: newLink(3, "eth1", 0).Data}, Event{}},
		{newLink(3, "eth1", carrier), Event{Kind: LinkUp, Interface: "eth1", Index: 3}},
		{syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: unix.RTM_NEWADDR}}, Event{}},
	} {
		if e, ok := w.event(c.message); ok && e != c.want || ok != (c.want != Event{}) {
			t.Errorf("message %d gives %+v, %t, want %+v", n, e, ok, c.want)
		}
	}
}

// A socket that overflows goes on, and may have lost that a carrier went; one that fails ends
// the watch; strangers are not heard.
func TestReading(t *testing.T) {
	kernel, stranger := &unix.SockaddrNetlink{}, &unix.SockaddrNetlink{Pid: 7}
	address := []syscall.NetlinkMessage{delAddress(2, 24, nl.NewRtAttr(unix.IFA_LOCAL, vip4.AsSlice()))}
	type reading struct {
		messages []syscall.NetlinkMessage
		from     *unix.SockaddrNetlink
		err      error
	}
	running := []syscall.NetlinkMessage{newLink(2, "eth0", unix.IFF_UP|unix.IFF_LOWER_UP)}
	readings := []reading{
		{running, kernel, nil}, {err: unix.ENOBUFS}, {err: unix.EINTR}, {address, stranger, nil}, {address, kernel, nil},
		{running, kernel, nil}, {err: errors.New("closed")},
	}
	w := &watcher{links: map[int]link{2: {"eth0", true}}, events: make(chan Event, pending)}
	w.run(func() ([]syscall.NetlinkMessage, *unix.SockaddrNetlink, error) {
		r := readings[0]
		readings = readings[1:]
		return r.messages, r.from, r.err
	})
	var got []Kind
	for e := range w.events {
		got = append(got, e.Kind)
	}
	if want := []Kind{Lost, Removed, LinkUp}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whoever reads nothing for long holds nobody up, and finds at the end that events were lost.
func TestASlowReader(t *testing.T) {
	w := &watcher{events: make(chan Event, 4)}
	tell := func(from, to int) {
		for i := from; i <= to; i++ {
			w.tell(Event{Kind: Removed, Index: i})
		}
	}
	read := func(n int) (got []int) {
		for range n {
			e := <-w.events
			if e.Kind == Lost {
				e.Index = -1
			}
			got = append(got, e.Index)
		}
		return got
	}
	tell(1, 9)
	if got, want := read(2), []int{1, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	tell(10, 12) // there is room for one, and then for the word that more is lost
	if got, want := read(4), []int{3, -1, 10, -1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	tell(13, 13)
	if got, want := read(1), []int{13}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
