package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

var native = binary.NativeEndian

// conn is a route socket in the namespace that it was opened in.
type conn struct {
	fd  int
	buf []byte // messages that wait to be sent
	seq uint32
}

func dial() (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("opening a route socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("binding a route socket: %w", err)
	}
	return &conn{fd: fd}, nil
}

func (c *conn) close() { unix.Close(c.fd) }

// add queues a message; body writes its attributes.
func (c *conn) add(typ, flags uint16, fixed []byte, body func(*attrs)) {
	start := len(c.buf)
	c.seq++
	c.buf = native.AppendUint32(c.buf, 0)
	c.buf = native.AppendUint16(c.buf, typ)
	c.buf = native.AppendUint16(c.buf, flags|unix.NLM_F_REQUEST)
	c.buf = native.AppendUint32(c.buf, c.seq)
	c.buf = native.AppendUint32(c.buf, 0)
	c.buf = append(c.buf, fixed...)
	a := attrs{c.buf}
	body(&a)
	c.buf = a.b
	native.PutUint32(c.buf[start:], uint32(len(c.buf)-start))
}

// flush sends what is queued in one call and waits for the last message's answer. The
// kernel answers an error at once, so an earlier one is seen too.
func (c *conn) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	c.acknowledgeLast()
	err := unix.Sendto(c.fd, c.buf, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	c.buf = c.buf[:0]
	if err != nil {
		return fmt.Errorf("sending netlink messages: %w", err)
	}
	answer := make([]byte, 8192)
	for {
		n, _, err := unix.Recvfrom(c.fd, answer, 0)
		if err != nil {
			return fmt.Errorf("receiving netlink answers: %w", err)
		}
		done, err := c.read(answer[:n])
		if done || err != nil {
			return err
		}
	}
}

func (c *conn) acknowledgeLast() {
	at := 0
	for next := 0; next < len(c.buf); next += int(native.Uint32(c.buf[next:])) {
		at = next
	}
	native.PutUint16(c.buf[at+6:], native.Uint16(c.buf[at+6:])|unix.NLM_F_ACK)
}

// read looks through answers for an error or the acknowledgement of the last message.
func (c *conn) read(b []byte) (done bool, err error) {
	for len(b) >= unix.SizeofNlMsghdr {
		n := int(native.Uint32(b))
		if native.Uint16(b[4:]) == unix.NLMSG_ERROR {
			if code := int32(native.Uint32(b[16:])); code != 0 {
				return true, fmt.Errorf("netlink message %d: %w", native.Uint32(b[8:]), unix.Errno(-code))
			}
			done = done || native.Uint32(b[8:]) == c.seq
		}
		b = b[min(len(b), n):]
	}
	return done, nil
}

// attrs builds netlink attributes.
type attrs struct{ b []byte }

func (a *attrs) bytes(typ uint16, data []byte) {
	a.b = native.AppendUint16(a.b, uint16(4+len(data)))
	a.b = native.AppendUint16(a.b, typ)
	a.b = append(a.b, data...)
	for len(a.b)%4 != 0 {
		a.b = append(a.b, 0)
	}
}

func (a *attrs) text(typ uint16, s string)      { a.bytes(typ, append([]byte(s), 0)) }
func (a *attrs) u32(typ uint16, v uint32)       { a.bytes(typ, native.AppendUint32(nil, v)) }
func (a *attrs) addr(typ uint16, ip netip.Addr) { a.bytes(typ, ip.AsSlice()) }
func (a *attrs) nest(typ uint16, fill func()) {
	at := len(a.b)
	a.b = native.AppendUint32(a.b, uint32(typ)<<16)
	fill()
	native.PutUint16(a.b[at:], uint16(len(a.b)-at))
	native.PutUint16(a.b[at+2:], typ)
}

// ifinfo is struct ifinfomsg.
func ifinfo(index int32, flags, change uint32) []byte {
	b := make([]byte, 4, 16)
	b = native.AppendUint32(b, uint32(index))
	b = native.AppendUint32(b, flags)
	return native.AppendUint32(b, change)
}

func family(ip netip.Addr) byte {
	if ip.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// address queues an address for a link. Nobody else has it, so it is not probed for.
func (c *conn) address(index int32, p netip.Prefix) {
	fixed := []byte{family(p.Addr()), byte(p.Bits()), unix.IFA_F_NODAD, 0}
	fixed = native.AppendUint32(fixed, uint32(index))
	c.add(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, fixed, func(a *attrs) {
		a.addr(unix.IFA_LOCAL, p.Addr())
		a.addr(unix.IFA_ADDRESS, p.Addr())
	})
}

// defaultRoute queues the way out.
func (c *conn) defaultRoute(via netip.Addr) {
	fixed := []byte{family(via), 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST, 0, 0, 0, 0}
	c.add(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, fixed, func(a *attrs) { a.addr(unix.RTA_GATEWAY, via) })
}

// up queues bringing a link up.
func (c *conn) up(index int32) {
	c.add(unix.RTM_NEWLINK, 0, ifinfo(index, unix.IFF_UP, unix.IFF_UP), func(*attrs) {})
}
