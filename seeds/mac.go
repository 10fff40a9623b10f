package seeds

import (
	"fmt"
	"net"
)

// MAC is the hardware address of an Ethernet interface. Its zero value is none.
// Unlike [net.HardwareAddr] it can be compared.
type MAC [6]byte

// IsZero reports whether m is no address.
func (m MAC) IsZero() bool { return m == MAC{} }

// String is m with colons and in lower case, as Linux writes it, or "" for none.
func (m MAC) String() string {
	if m.IsZero() {
		return ""
	}
	return net.HardwareAddr(m[:]).String()
}

// Wanted says how a MAC address is written.
func (MAC) Wanted() string {
	return "the MAC address of an interface, such as 52:54:00:12:34:56"
}

// Pattern has the three forms of [net.ParseMAC].
func (MAC) Pattern() string {
	return `^([0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(-[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}(\.[0-9A-Fa-f]{4}){2})$`
}

// MarshalText writes what String returns.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the forms of [net.ParseMAC]: colons, hyphens or dots, in
// either case. An address of a group of interfaces names no single one and is
// refused.
func (m *MAC) UnmarshalText(text []byte) error {
	address, err := net.ParseMAC(string(text))
	if err != nil {
		return err
	}
	const group = 1 // the I/G bit, IEEE 802-2014, 8.2.2
	if len(address) != len(m) || address[0]&group != 0 || MAC(address) == (MAC{}) {
		return fmt.Errorf("%s is not the address of one Ethernet interface", address)
	}
	*m = MAC(address)
	return nil
}
