package vip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Sever ends the TCP connections that clients have to an address which is still here, and
// returns how many they were. The clients are told by a reset. Once the address is gone nobody
// could tell them anything, and one that waits for an answer would wait until its keepalives
// fail: sock_diag(7), SOCK_DESTROY. The error of a kernel without it wraps [unix.EOPNOTSUPP].
func Sever(vip netip.Addr) (ended int, err error) {
	var errs []error
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} { // an IPv4 connection may be one of an IPv6 socket
		sockets, err := dump(func() ([]*netlink.Socket, error) { return netlink.SocketDiagTCP(family) })
		if err != nil {
			errs = append(errs, fmt.Errorf("list the connections of %s: %w", vip, err))
			continue
		}
		for _, s := range sockets {
			local, _ := netip.AddrFromSlice(s.ID.Source)
			if local.Unmap() != vip || s.State == netlink.TCP_LISTEN || s.State == netlink.TCP_TIME_WAIT {
				continue
			}
			err := destroy(s)
			if errors.Is(err, unix.ENOENT) { // it has ended meanwhile
				continue
			}
			if err != nil {
				return ended, errors.Join(append(errs, fmt.Errorf("end a connection to %s: %w", vip, explain(err)))...)
			}
			ended++
		}
	}
	return ended, errors.Join(errs...)
}

// destroy ends that very socket.
func destroy(s *netlink.Socket) error {
	request := nl.NewNetlinkRequest(nl.SOCK_DESTROY, unix.NLM_F_ACK)
	request.AddRawData(which(s))
	_, err := request.Execute(unix.NETLINK_INET_DIAG, 0)
	return err
}

// which names a socket: struct inet_diag_req_v2 of linux/inet_diag.h, in which ports and
// addresses are as on the wire.
func which(s *netlink.Socket) []byte {
	b := make([]byte, 0, 56)
	b = append(b, s.Family, unix.IPPROTO_TCP, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, ^uint32(0)) // in any state
	b = binary.BigEndian.AppendUint16(b, s.ID.SourcePort)
	b = binary.BigEndian.AppendUint16(b, s.ID.DestinationPort)
	for _, ip := range [][]byte{s.ID.Source, s.ID.Destination} {
		addr := [16]byte{}
		if a, ok := netip.AddrFromSlice(ip); ok && s.Family == unix.AF_INET {
			copy(addr[:], a.Unmap().AsSlice())
		} else {
			copy(addr[:], ip)
		}
		b = append(b, addr[:]...)
	}
	b = binary.NativeEndian.AppendUint32(b, s.ID.Interface)
	b = binary.NativeEndian.AppendUint32(b, s.ID.Cookie[0])
	return binary.NativeEndian.AppendUint32(b, s.ID.Cookie[1])
}
