package kernel

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// attrTypeMask is NLA_TYPE_MASK: the two highest bits of an attribute type are flags.
const attrTypeMask = 0x3fff

// native is the byte order of netlink headers and numbers.
var native = binary.NativeEndian

// message builds one or more netlink messages in one buffer, which is reused.
type message struct {
	b     []byte
	start int // where the message being built begins
}

// begin starts a message of the type, with its fixed part.
func (m *message) begin(typ, flags uint16, fixed []byte) {
	m.start = len(m.b)
	m.b = native.AppendUint32(m.b, 0) // length, see end
	m.b = native.AppendUint16(m.b, typ)
	m.b = native.AppendUint16(m.b, flags|unix.NLM_F_REQUEST)
	m.b = append(m.b, 0, 0, 0, 0, 0, 0, 0, 0) // sequence (see conn.send), port
	m.b = append(m.b, fixed...)
	m.pad()
}

// end closes the message.
func (m *message) end() { native.PutUint32(m.b[m.start:], uint32(len(m.b)-m.start)) }

func (m *message) pad() {
	for len(m.b)%unix.NLMSG_ALIGNTO != 0 {
		m.b = append(m.b, 0)
	}
}

func (m *message) attr(typ uint16, data []byte) {
	m.b = native.AppendUint16(m.b, uint16(unix.SizeofRtAttr+len(data)))
	m.b = native.AppendUint16(m.b, typ)
	m.b = append(m.b, data...)
	m.pad()
}

func (m *message) text(typ uint16, s string) {
	m.b = native.AppendUint16(m.b, uint16(unix.SizeofRtAttr+len(s)+1))
	m.b = native.AppendUint16(m.b, typ)
	m.b = append(m.b, s...)
	m.b = append(m.b, 0)
	m.pad()
}

func (m *message) u8(typ uint16, v uint8) { m.attr(typ, []byte{v}) }

func (m *message) u16(typ uint16, v uint16) { m.attr(typ, native.AppendUint16(nil, v)) }

func (m *message) u32(typ uint16, v uint32) {
	m.attr(typ, native.AppendUint32(nil, v))
}

func (m *message) addr(typ uint16, a netip.Addr) { m.attr(typ, a.AsSlice()) }

// nest runs fill between the brackets of a nested attribute.
func (m *message) nest(typ uint16, fill func()) {
	at := len(m.b)
	m.b = native.AppendUint16(m.b, 0)
	m.b = native.AppendUint16(m.b, typ|unix.NLA_F_NESTED)
	fill()
	native.PutUint16(m.b[at:], uint16(len(m.b)-at))
}

// attrs walks the attributes in b; a malformed tail ends the walk.
func attrs(b []byte, each func(typ uint16, data []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		n := int(native.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return
		}
		each(native.Uint16(b[2:])&attrTypeMask, b[unix.SizeofRtAttr:n])
		n = (n + unix.RTA_ALIGNTO - 1) &^ (unix.RTA_ALIGNTO - 1)
		b = b[min(n, len(b)):]
	}
}

// number reads an unsigned attribute of any width.
func number(b []byte) uint32 {
	switch {
	case len(b) >= 4:
		return native.Uint32(b)
	case len(b) >= 2:
		return uint32(native.Uint16(b))
	case len(b) == 1:
		return uint32(b[0])
	}
	return 0
}

// cstring reads a NUL-terminated attribute.
func cstring(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// address reads an IP address attribute; the zero Addr for anything else.
func address(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

// family is the address family of an address.
func family(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
