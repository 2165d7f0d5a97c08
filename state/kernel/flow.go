package kernel

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Of linux/netfilter/nfnetlink_conntrack.h, not in package unix.
const (
	ctMsgGet    = 1 // IPCTNL_MSG_CT_GET
	ctMsgDelete = 2 // IPCTNL_MSG_CT_DELETE

	ctTupleOrig  = 1  // CTA_TUPLE_ORIG
	ctTupleReply = 2  // CTA_TUPLE_REPLY
	ctID         = 12 // CTA_ID
	ctZone       = 18 // CTA_ZONE

	ctTupleIP    = 1 // CTA_TUPLE_IP
	ctTupleProto = 2 // CTA_TUPLE_PROTO

	ctIPv4Src = 1 // CTA_IP_V4_SRC
	ctIPv4Dst = 2 // CTA_IP_V4_DST
	ctIPv6Src = 3 // CTA_IP_V6_SRC
	ctIPv6Dst = 4 // CTA_IP_V6_DST

	ctProtoNum = 1 // CTA_PROTO_NUM
	ctSrcPort  = 2 // CTA_PROTO_SRC_PORT
	ctDstPort  = 3 // CTA_PROTO_DST_PORT
)

func ctType(typ uint16) uint16 { return unix.NFNL_SUBSYS_CTNETLINK<<8 | typ }

// flow is a connection that the kernel knows of: whom its client talks to, and who answers.
// The library that watches links (vishvananda/netlink) reads connections too, but of their
// ports only those of TCP and UDP.
type flow struct {
	protocol   uint8
	to, server netip.AddrPort
	// name are the attributes by which the kernel knows it again.
	name []byte
}

// parseFlow reads a message about a connection, behind its header.
func parseFlow(b []byte) (f flow) {
	attrs(b, func(typ uint16, data []byte) {
		switch typ {
		case ctTupleOrig:
			f.protocol, _, f.to = parseTuple(data)
		case ctTupleReply:
			_, f.server, _ = parseTuple(data)
		}
	})
	return f
}

// flowName picks what names a connection from a message about it.
func flowName(b []byte) []byte {
	var m message
	attrs(b, func(typ uint16, data []byte) {
		switch typ {
		case ctTupleOrig:
			m.attr(typ|unix.NLA_F_NESTED, data)
		case ctID, ctZone:
			m.attr(typ, data)
		}
	})
	return m.b
}

// parseTuple reads the two ends of one direction.
func parseTuple(b []byte) (protocol uint8, src, dst netip.AddrPort) {
	var from, to netip.Addr
	var fromPort, toPort uint16
	attrs(b, func(typ uint16, data []byte) {
		attrs(data, func(part uint16, data []byte) {
			switch {
			case typ == ctTupleIP && (part == ctIPv4Src || part == ctIPv6Src):
				from = address(data)
			case typ == ctTupleIP && (part == ctIPv4Dst || part == ctIPv6Dst):
				to = address(data)
			case typ == ctTupleProto && part == ctProtoNum && len(data) == 1:
				protocol = data[0]
			case typ == ctTupleProto && part == ctSrcPort && len(data) == 2:
				fromPort = binary.BigEndian.Uint16(data)
			case typ == ctTupleProto && part == ctDstPort && len(data) == 2:
				toPort = binary.BigEndian.Uint16(data)
			}
		})
	})
	return protocol, netip.AddrPortFrom(from, fromPort), netip.AddrPortFrom(to, toPort)
}

// flows lists the connections of a family that match.
func (c *filterConn) flows(family uint8, match func(flow) bool) (found []flow, err error) {
	head := filterHead(family, 0)
	err = c.dump(noCancel, ctType(ctMsgGet), head, func() { found = found[:0] }, func(body []byte) {
		if len(body) < len(head) {
			return
		}
		if f := parseFlow(body[len(head):]); match(f) {
			f.name = flowName(body[len(head):])
			found = append(found, f)
		}
	})
	return found, err
}

// forgetFlows makes the kernel forget the connections of a family that match. Where so many
// come and go that there is no list of all at one moment, those that were seen are forgotten.
func (c *filterConn) forgetFlows(family uint8, match func(flow) bool) error {
	found, err := c.flows(family, match)
	if err != nil && !errors.Is(err, errInterrupted) {
		return err
	}
	b := &batch{}
	for _, f := range found {
		b.request(ctType(ctMsgDelete), 0, filterHead(family, 0))
		b.b = append(b.b, f.name...)
		b.end()
	}
	results, err := c.send(noCancel, b)
	for _, e := range results {
		if e != nil && !errors.Is(e, unix.ENOENT) { // somebody else, or its time, was faster
			return e
		}
	}
	return err
}
