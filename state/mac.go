package state

import (
	"fmt"
	"net"
	"net/netip"
)

// MAC is an Ethernet address. The zero value means "left to the kernel".
type MAC [6]byte

// ParseMAC reads the six bytes of an EUI-48 in any form that net.ParseMAC takes.
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil {
		return MAC{}, err
	}
	if len(hw) != 6 {
		return MAC{}, fmt.Errorf("%s has %d bytes; an Ethernet address has 6", s, len(hw))
	}
	return MAC(hw), nil
}

// IsZero reports that the address is not set.
func (m MAC) IsZero() bool { return m == MAC{} }

// String is the usual lower-case form with colons, "" when not set.
func (m MAC) String() string {
	if m.IsZero() {
		return ""
	}
	return net.HardwareAddr(m[:]).String()
}

// MarshalText and UnmarshalText give the form of String.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (m *MAC) UnmarshalText(b []byte) (err error) {
	*m = MAC{}
	if len(b) > 0 {
		*m, err = ParseMAC(string(b))
	}
	return err
}

// LinkLocal is the IPv6 address that the kernel makes of a link's MAC when the link comes
// up (addrconf_ifid_eui48; RFC 4291, appendix A).
func (m MAC) LinkLocal() netip.Addr {
	return netip.AddrFrom16([16]byte{
		0: 0xfe, 1: 0x80,
		8: m[0] ^ 0x02, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5],
	})
}
