package kernel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// The socket is ours and not google/nftables': its Conn leaves out what it does not know
// of a rule, does not say which message of a transaction failed, and asks for an
// acknowledgement of each, which for some hundred rules no longer fit into the socket's
// buffer. Its expressions are what rules are made of here, too (nftables_encode.go).

// familyInet is the family of our tables, for IPv4 and IPv6 (NFPROTO_INET).
const familyInet = unix.NFPROTO_INET

// filterConn is a netfilter socket. It stays in the namespace of the thread that opened it.
type filterConn struct {
	conn
	known *ruleMemo
	seen  generations
}

// openFilter opens a netfilter socket in the namespace of the calling thread.
func (k *Kernel) openFilter() (*filterConn, error) { return openFilter(k.buffers, &k.known) }

func openFilter(buffers *sync.Pool, known *ruleMemo) (*filterConn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	return &filterConn{conn: conn{fd: fd, buffers: buffers}, known: known}, nil
}

// nfMessage builds netfilter messages, whose numbers are in network order.
type nfMessage struct{ message }

// filterHeadSize is the length of filterHead.
const filterHeadSize = 4

func filterType(typ uint16) uint16 { return unix.NFNL_SUBSYS_NFTABLES<<8 | typ }

// filterHead is struct nfgenmsg: family, version, resource.
func filterHead(family uint8, resource uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
}

func (m *nfMessage) be32(typ uint16, v uint32) { m.attr(typ, binary.BigEndian.AppendUint32(nil, v)) }

// request is the body of a question about a table, or about a set of it.
func (c *filterConn) request(typeOfTable uint16, table string, typeOfSet uint16, set string) []byte {
	var m nfMessage
	m.b = append(m.b, filterHead(familyInet, 0)...)
	m.text(typeOfTable, table)
	if set != "" {
		m.text(typeOfSet, set)
	}
	return m.b
}

// list dumps a part of the table.
func (c *filterConn) list(ctx context.Context, typ uint16, request []byte, each func(body []byte)) error {
	var bodies [][]byte
	err := c.dump(ctx, filterType(typ), request, func() { bodies = bodies[:0] }, func(body []byte) {
		if len(body) > filterHeadSize {
			c.seen.note(body)
			bodies = append(bodies, bytes.Clone(body[filterHeadSize:]))
		}
	})
	for _, b := range bodies {
		each(b)
	}
	return err
}

// ask asks for one object.
func (c *filterConn) ask(typ uint16, request []byte) ([]byte, error) {
	var m message
	m.begin(filterType(typ), unix.NLM_F_ACK, request)
	m.end()
	c.seq++
	native.PutUint32(m.b[8:], c.seq)
	if err := c.write(m.b); err != nil {
		return nil, err
	}
	in := c.buffers.Get().(*[recvSize]byte)
	defer c.buffers.Put(in)
	var answer []byte
	for done := false; !done; {
		b, err := c.read(in)
		if err != nil {
			return nil, err
		}
		err = split(b, func(h header, body []byte) error {
			switch {
			case h.seq != c.seq:
			case h.typ == unix.NLMSG_ERROR:
				done = true
				return ackError(h, body)
			case len(body) >= filterHeadSize:
				c.seen.note(body)
				answer = append(answer, body[filterHeadSize:]...)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// speaksFilter reports that the kernel has nftables at all.
func (c *filterConn) speaksFilter() bool {
	_, err := c.ask(unix.NFT_MSG_GETGEN, filterHead(unix.NFPROTO_UNSPEC, 0))
	return err == nil
}

// generations are those of the tables that answers were about. Each transaction in the
// namespace begins a new one; the kernel writes its last bits into the head of each answer.
type generations struct {
	last          uint16
	some, several bool
}

// note is told the head of an answer.
func (g *generations) note(body []byte) {
	now := binary.BigEndian.Uint16(body[2:])
	g.several = g.several || g.some && now != g.last
	g.last, g.some = now, true
}

// transaction is a batch of messages that takes effect as a whole or not at all.
type transaction struct {
	nfMessage
	table string
	// what each message does, for the error about it.
	what []string
}

func newTransaction(table string) *transaction {
	t := &transaction{table: table}
	t.mark(unix.NFNL_MSG_BATCH_BEGIN, "beginning the transaction")
	return t
}

func (t *transaction) mark(typ uint16, what string) {
	t.what = append(t.what, what)
	t.message.begin(typ, 0, filterHead(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES))
	t.message.end()
}

// begin starts a message; what says in an error what it is about.
func (t *transaction) begin(what string, typ, flags uint16) {
	t.what = append(t.what, what)
	t.message.begin(filterType(typ), flags, filterHead(familyInet, 0))
}

// commit sends the transaction and waits for what comes of it. Only the last message asks
// for an acknowledgement; errors come without being asked for. Where one message fails,
// those after it fail because of it: the first error is the cause.
func (c *filterConn) commit(t *transaction) error {
	last := t.start
	flags := native.Uint16(t.b[last+6:])
	native.PutUint16(t.b[last+6:], flags|unix.NLM_F_ACK)
	t.mark(unix.NFNL_MSG_BATCH_END, "ending the transaction")
	first := c.seq + 1
	for at := 0; at < len(t.b); at += int(native.Uint32(t.b[at:])+3) &^ 3 {
		c.seq++
		native.PutUint32(t.b[at+8:], c.seq)
	}
	// The whole transaction has to go in one sendmsg.
	if need := len(t.b) + 4096; unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, need) != nil {
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, need)
	}
	if err := c.write(t.b); err != nil {
		return err
	}
	return c.outcome(t, first, c.seq-1)
}

// outcome reads until the message with the sequence number last is acknowledged, or any
// message has failed.
func (c *filterConn) outcome(t *transaction, first, last uint32) error {
	in := c.buffers.Get().(*[recvSize]byte)
	defer c.buffers.Put(in)
	for done := false; !done; {
		b, err := c.read(in)
		if errors.Is(err, unix.ENOBUFS) {
			continue // so many errors that some were dropped; the first are there
		}
		if err != nil {
			return err
		}
		err = split(b, func(h header, body []byte) error {
			i := h.seq - first
			if h.typ != unix.NLMSG_ERROR || i >= uint32(len(t.what)) {
				return nil
			}
			done = h.seq == last
			if err := ackError(h, body); err != nil {
				return fmt.Errorf("%s: %w", t.what[i], err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
