package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// batchSize is how many requests go into one sendmsg. The kernel answers all of them
	// before sendmsg returns, so their ACKs must fit into the socket's receive buffer.
	batchSize = 64
	// dumpTries bounds the retries of a dump that changes interrupted (NLM_F_DUMP_INTR).
	dumpTries = 50
	// recvSize holds the largest datagram of a dump; the kernel uses up to 32 KiB.
	recvSize = 64 << 10
)

// conn is a route socket. It stays in the namespace of the thread that opened it, so any
// thread can use it later; one at a time.
type conn struct {
	fd  int
	seq uint32
	// buffers lends receive buffers: a thousand sockets share two or three.
	buffers *sync.Pool
}

// newBuffers makes the pool of receive buffers that conns share.
func newBuffers() *sync.Pool {
	return &sync.Pool{New: func() any { return new([recvSize]byte) }}
}

// openConn opens a route socket in the namespace of the calling thread.
func openConn(buffers *sync.Pool) (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// With these two an error comes with the kernel's own sentence and without a copy of
	// the request. Kernels that lack them still work.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	// Without this one the attributes of a dump request are ignored (since Linux 4.20).
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	return &conn{fd: fd, buffers: buffers}, nil
}

// cookie is the number of the socket's namespace, which no other namespace had or will
// have; "" where the kernel does not tell (before 5.14).
func (c *conn) cookie() string {
	if c == nil || c.fd < 0 {
		return ""
	}
	n, err := unix.GetsockoptUint64(c.fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

func (c *conn) close() {
	if c != nil && c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
}

// kernelError is an errno with the sentence that the kernel added to it.
type kernelError struct {
	errno unix.Errno
	text  string
}

func (e *kernelError) Error() string {
	if e.text == "" {
		return e.errno.Error()
	}
	return e.text + " (" + e.errno.Error() + ")"
}

func (e *kernelError) Unwrap() error { return e.errno }

// batch collects requests of one socket; send runs them.
type batch struct {
	message
	offsets []int
}

// request starts one more request; end must follow.
func (b *batch) request(typ, flags uint16, fixed []byte) {
	b.offsets = append(b.offsets, len(b.b))
	b.begin(typ, flags|unix.NLM_F_ACK, fixed)
}

func (b *batch) len() int { return len(b.offsets) }

func (b *batch) reset() { b.b, b.offsets = b.b[:0], b.offsets[:0] }

// send runs the requests of b in their order, many to a sendmsg, and returns what came of
// each. A request does not wait for the success of the one before it.
func (c *conn) send(ctx context.Context, b *batch) ([]error, error) {
	results := make([]error, 0, b.len())
	for from := 0; from < b.len(); from += batchSize {
		if err := ctx.Err(); err != nil {
			return results, err
		}
		to := min(from+batchSize, b.len())
		stop := len(b.b)
		if to < b.len() {
			stop = b.offsets[to]
		}
		first := c.seq + 1
		for _, at := range b.offsets[from:to] {
			c.seq++
			native.PutUint32(b.b[at+8:], c.seq)
		}
		if err := c.write(b.b[b.offsets[from]:stop]); err != nil {
			return results, err
		}
		part, err := c.acks(first, to-from)
		results = append(results, part...)
		if err != nil {
			return results, err
		}
	}
	return results, nil
}

// one runs the single request of b.
func (c *conn) one(ctx context.Context, b *batch) error {
	results, err := c.send(ctx, b)
	return errors.Join(append(results, err)...)
}

func (c *conn) write(b []byte) error {
	for {
		err := unix.Sendto(c.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if err != unix.EINTR {
			return os.NewSyscallError("sendto", err)
		}
	}
}

func (c *conn) read(in *[recvSize]byte) ([]byte, error) {
	for {
		n, _, err := unix.Recvfrom(c.fd, in[:], unix.MSG_TRUNC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		if n > len(in) {
			return nil, fmt.Errorf("a netlink datagram of %d bytes: %w", n, unix.EMSGSIZE)
		}
		return in[:n], nil
	}
}

// acks waits for the n acknowledgements that begin with sequence number first.
func (c *conn) acks(first uint32, n int) ([]error, error) {
	results := make([]error, n)
	in := c.buffers.Get().(*[recvSize]byte)
	defer c.buffers.Put(in)
	for seen := 0; seen < n; {
		b, err := c.read(in)
		if err != nil {
			return results[:seen], err
		}
		err = split(b, func(h header, body []byte) error {
			i := h.seq - first
			if h.typ != unix.NLMSG_ERROR || i >= uint32(n) {
				return nil // of an earlier batch that was given up
			}
			results[i] = ackError(h, body)
			seen++
			return nil
		})
		if err != nil {
			return results[:seen], err
		}
	}
	return results, nil
}

// header is a netlink message header.
type header struct {
	typ, flags uint16
	seq        uint32
}

// split walks the messages of a datagram.
func split(b []byte, each func(h header, body []byte) error) error {
	for len(b) >= unix.SizeofNlMsghdr {
		n := int(native.Uint32(b))
		if n < unix.SizeofNlMsghdr || n > len(b) {
			return fmt.Errorf("a netlink message of %d bytes in a datagram with %d left", n, len(b))
		}
		h := header{native.Uint16(b[4:]), native.Uint16(b[6:]), native.Uint32(b[8:])}
		if err := each(h, b[unix.SizeofNlMsghdr:n]); err != nil {
			return err
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}

// ackError is the error in an NLMSG_ERROR or NLMSG_DONE message, nil for success.
func ackError(h header, body []byte) error {
	if len(body) < 4 {
		return nil
	}
	errno := -int32(native.Uint32(body))
	if errno <= 0 {
		return nil
	}
	e := &kernelError{errno: unix.Errno(errno)}
	const nlmErrTLVs = unix.NLM_F_ACK_TLVS
	if h.flags&nlmErrTLVs != 0 {
		skip := 4
		if h.typ == unix.NLMSG_ERROR {
			skip += unix.SizeofNlMsghdr
			if h.flags&unix.NLM_F_CAPPED == 0 && len(body) >= 8 {
				skip = 4 + int(native.Uint32(body[4:])+3)&^3
			}
		}
		if skip < len(body) {
			attrs(body[skip:], func(typ uint16, data []byte) {
				if typ == unix.NLMSGERR_ATTR_MSG {
					e.text = string(bytes.TrimRight(data, ".\x00"))
				}
			})
		}
	}
	return e
}

// errInterrupted reports a dump that raced with changes every time it was tried.
var errInterrupted = errors.New("the kernel's tables kept changing while they were read; try again when it is quieter")

// dump asks for a table and calls each with the body of every entry. When the kernel says
// that the table changed meanwhile (NLM_F_DUMP_INTR), entries may be missing or double:
// reset is called and the dump starts over.
func (c *conn) dump(ctx context.Context, typ uint16, fixed []byte, reset func(), each func(body []byte)) error {
	for range dumpTries {
		if err := ctx.Err(); err != nil {
			return err
		}
		reset()
		interrupted, err := c.dumpOnce(typ, fixed, each)
		if err != nil || !interrupted {
			return err
		}
	}
	return errInterrupted
}

func (c *conn) dumpOnce(typ uint16, fixed []byte, each func(body []byte)) (interrupted bool, err error) {
	c.seq++
	var m message
	m.begin(typ, unix.NLM_F_DUMP, fixed)
	m.end()
	native.PutUint32(m.b[8:], c.seq)
	if err := c.write(m.b); err != nil {
		return false, err
	}
	in := c.buffers.Get().(*[recvSize]byte)
	defer c.buffers.Put(in)
	for done := false; !done; {
		b, err := c.read(in)
		if err != nil {
			return false, err
		}
		err = split(b, func(h header, body []byte) error {
			if h.seq != c.seq {
				return nil
			}
			interrupted = interrupted || h.flags&unix.NLM_F_DUMP_INTR != 0
			switch h.typ {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR:
				done = true
				return ackError(h, body)
			default:
				each(body)
			}
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	return interrupted, nil
}

// get runs one request that is answered with an object rather than an ACK, and calls
// parse with it.
func (c *conn) get(m *message, parse func(body []byte)) error {
	c.seq++
	native.PutUint32(m.b[8:], c.seq)
	if err := c.write(m.b); err != nil {
		return err
	}
	in := c.buffers.Get().(*[recvSize]byte)
	defer c.buffers.Put(in)
	for found := false; !found; {
		b, err := c.read(in)
		if err != nil {
			return err
		}
		err = split(b, func(h header, body []byte) error {
			if h.seq != c.seq {
				return nil
			}
			found = true
			if h.typ == unix.NLMSG_ERROR {
				return ackError(h, body)
			}
			parse(body)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
