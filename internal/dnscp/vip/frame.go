package vip

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"
)

// Sizes and values of RFC 826 (ARP), RFC 8200 (IPv6) and RFC 4861 (Neighbor Discovery).
const (
	ethernetLen = 14
	arpLen      = 28
	ipv6Len     = 40

	arpRequest = 1
	arpReply   = 2

	icmpv6   = 58  // the next header
	hopLimit = 255 // of any message of Neighbor Discovery: no router has passed it on
)

var (
	nobody    = net.HardwareAddr{0, 0, 0, 0, 0, 0}
	broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	allNodes  = netip.MustParseAddr("ff02::1")
)

// ethernet is the header of a frame.
func ethernet(destination, source net.HardwareAddr, protocol uint16) []byte {
	return binary.BigEndian.AppendUint16(append(bytes.Clone(destination), source...), protocol)
}

// arp is a frame to everybody with a packet of ARP.
func arp(operation uint16, source net.HardwareAddr, sender netip.Addr, targetMAC net.HardwareAddr, target netip.Addr) []byte {
	b := ethernet(broadcast, source, unix.ETH_P_ARP)
	b = append(b, 0, 1, unix.ETH_P_IP>>8, unix.ETH_P_IP&0xff, 6, 4) // of Ethernet and IPv4, and the lengths of their addresses
	b = binary.BigEndian.AppendUint16(b, operation)
	b = append(append(b, source...), sender.AsSlice()...)
	return append(append(b, targetMAC...), target.AsSlice()...)
}

// neighbor is a frame with a message of Neighbor Discovery to a multicast group.
func neighbor(source net.HardwareAddr, from, group netip.Addr, m ndp.Message) ([]byte, error) {
	message, err := ndp.MarshalMessageChecksum(m, from, group)
	if err != nil {
		return nil, err
	}
	b := ethernet(multicast(group), source, unix.ETH_P_IPV6)
	b = append(b, 6<<4, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(message)))
	b = append(b, icmpv6, hopLimit)
	b = append(append(b, from.AsSlice()...), group.AsSlice()...)
	return append(b, message...), nil
}

// multicast is a group of IPv6 on Ethernet: RFC 2464, section 7.
func multicast(group netip.Addr) net.HardwareAddr {
	return append(net.HardwareAddr{0x33, 0x33}, group.AsSlice()[12:]...)
}

// question is the frame that asks who has an address, without claiming it: the probe of RFC
// 5227, section 2.1.1, or the solicitation of RFC 4862, section 5.4.2.
func question(mac net.HardwareAddr, vip netip.Addr) ([]byte, error) {
	if vip.Is4() {
		return arp(arpRequest, mac, netip.IPv4Unspecified(), nobody, vip), nil
	}
	group, err := ndp.SolicitedNodeMulticast(vip)
	if err != nil {
		return nil, err
	}
	return neighbor(mac, netip.IPv6Unspecified(), group, &ndp.NeighborSolicitation{TargetAddress: vip})
}

// announcements are the frames that tell all who have heard of an address whose it is now. By
// ARP that is the request of RFC 5227, section 2.3, and the reply too, since there are devices
// that heed only the one or the other (RFC 5944, section 4.6, allows both); by Neighbor
// Discovery the unsolicited advertisement of RFC 4861, section 7.2.6.
func announcements(mac net.HardwareAddr, vip netip.Addr) ([][]byte, error) {
	if vip.Is4() {
		return [][]byte{arp(arpRequest, mac, vip, nobody, vip), arp(arpReply, mac, vip, mac, vip)}, nil
	}
	b, err := neighbor(mac, vip, allNodes, &ndp.NeighborAdvertisement{
		Override:      true,
		TargetAddress: vip,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: mac}},
	})
	return [][]byte{b}, err
}

// claimant is who claims an address by a frame, or is about to, since it probes for it; nil is nobody.
func claimant(frame []byte, vip netip.Addr) net.HardwareAddr {
	if len(frame) < ethernetLen {
		return nil
	}
	source, protocol, data := net.HardwareAddr(frame[6:12]), binary.BigEndian.Uint16(frame[12:]), frame[ethernetLen:]
	switch {
	case protocol == unix.ETH_P_ARP && vip.Is4():
		return arpClaimant(data, vip)
	case protocol == unix.ETH_P_IPV6 && vip.Is6():
		return neighborClaimant(source, data, vip)
	}
	return nil
}

// arpClaimant judges by RFC 5227, section 2.1.1: any packet that the address sends, and the probe of somebody else.
func arpClaimant(data []byte, vip netip.Addr) net.HardwareAddr {
	if len(data) < arpLen || !bytes.Equal(data[:6], []byte{0, 1, unix.ETH_P_IP >> 8, unix.ETH_P_IP & 0xff, 6, 4}) {
		return nil
	}
	operation := binary.BigEndian.Uint16(data[6:])
	mac := net.HardwareAddr(data[8:14])
	sender, target := netip.AddrFrom4([4]byte(data[14:18])), netip.AddrFrom4([4]byte(data[24:28]))
	if sender == vip || operation == arpRequest && sender.IsUnspecified() && target == vip {
		return mac
	}
	return nil
}

// neighborClaimant judges by RFC 4862, sections 5.4.3 and 5.4.4: an advertisement of the
// address, and the solicitation of somebody else who has none yet.
func neighborClaimant(source net.HardwareAddr, data []byte, vip netip.Addr) net.HardwareAddr {
	if len(data) < ipv6Len || data[0]>>4 != 6 || data[6] != icmpv6 || data[7] != hopLimit {
		return nil
	}
	from, message := netip.AddrFrom16([16]byte(data[8:24])), data[ipv6Len:]
	length := int(binary.BigEndian.Uint16(data[4:]))
	if length > len(message) {
		return nil
	}
	m, err := ndp.ParseMessage(message[:length])
	if err != nil {
		return nil // whatever it says, it is no message of Neighbor Discovery
	}
	switch m := m.(type) {
	case *ndp.NeighborSolicitation:
		if m.TargetAddress == vip && from.IsUnspecified() {
			return source
		}
	case *ndp.NeighborAdvertisement:
		if m.TargetAddress != vip {
			return nil
		}
		for _, o := range m.Options {
			if link, ok := o.(*ndp.LinkLayerAddress); ok && link.Direction == ndp.Target {
				return link.Addr
			}
		}
		return source
	}
	return nil
}
