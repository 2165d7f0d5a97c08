package kernel

import (
	"context"
	"errors"
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

const (
	sizeofRtgenmsg = 4 // struct rtgenmsg, one byte, aligned
	noNsid         = -1
)

// end is one interface of one namespace.
type end struct {
	in    *reading
	index int32
}

// hasRemotePeer reports that a veth pair, a tunnel or a link on another one leads out of the
// namespace.
func hasRemotePeer(links []link) bool {
	for i := range links {
		if links[i].netnsid >= 0 && leadsOn(links[i].kind) {
			return true
		}
	}
	return false
}

// leadsOn reports a type whose links have another end, or one below, in some namespace.
func leadsOn(t state.LinkType) bool { return t == state.Veth || t == state.VXLAN || stacked(t) }

// nsid is the number that the socket's namespace has for the one in fd. Namespaces without
// a number get one if need be, as the kernel itself does whenever it has to name one in a
// message.
func (c *conn) nsid(fd int, assign bool) (int32, error) {
	id, err := c.getNsid(fd)
	if err != nil || id >= 0 || !assign {
		return id, err
	}
	m := &message{}
	m.begin(unix.RTM_NEWNSID, unix.NLM_F_ACK, make([]byte, sizeofRtgenmsg))
	m.u32(unix.NETNSA_FD, uint32(fd))
	m.u32(unix.NETNSA_NSID, ^uint32(0)) // any
	m.end()
	if err := c.get(m, func([]byte) {}); err != nil && !errors.Is(err, unix.EEXIST) {
		return noNsid, fmt.Errorf("numbering the namespace: %w", err)
	}
	return c.getNsid(fd)
}

// getNsid asks for the number of the namespace in fd.
func (c *conn) getNsid(fd int) (id int32, err error) {
	id = noNsid
	m := &message{}
	m.begin(unix.RTM_GETNSID, 0, make([]byte, sizeofRtgenmsg))
	m.u32(unix.NETNSA_FD, uint32(fd))
	m.end()
	err = c.get(m, func(body []byte) {
		if len(body) < sizeofRtgenmsg {
			return
		}
		attrs(body[sizeofRtgenmsg:], func(typ uint16, data []byte) {
			if typ == unix.NETNSA_NSID {
				id = int32(number(data))
			}
		})
	})
	if err != nil {
		return noNsid, fmt.Errorf("reading the namespace's number: %w", err)
	}
	return id, nil
}

// numbers lists how the namespace that the socket's one calls target numbers others, by
// the socket's own numbers for them. It has none for itself.
func (c *conn) numbers(ctx context.Context, target int32) (own map[int32]int32, err error) {
	var m message
	m.b = make([]byte, sizeofRtgenmsg)
	m.u32(unix.NETNSA_TARGET_NSID, uint32(target))
	reset := func() { own = map[int32]int32{} }
	err = c.dump(ctx, unix.RTM_GETNSID, m.b, reset, func(body []byte) {
		if len(body) < sizeofRtgenmsg {
			return
		}
		var theirs, ours int32 = noNsid, noNsid
		attrs(body[sizeofRtgenmsg:], func(typ uint16, data []byte) {
			switch typ {
			case unix.NETNSA_NSID:
				theirs = int32(number(data))
			case unix.NETNSA_CURRENT_NSID:
				ours = int32(number(data))
			}
		})
		own[theirs] = ours
	})
	if err != nil {
		return nil, fmt.Errorf("reading the numbers of namespaces: %w", err)
	}
	return own, nil
}

// matchmaker finds the other end of every veth end that was read. The kernel names it by
// its number and by the number of its namespace, as the namespace of the first end
// counts; the host's numbers are known beforehand, the others' are asked for where needed.
type matchmaker struct {
	ctx   context.Context
	host  *reading
	byID  map[int32]*reading
	peers map[end]state.End
}

func pairUp(ctx context.Context, host *reading, spaces []*reading) (map[end]state.End, error) {
	m := &matchmaker{ctx, host, make(map[int32]*reading, len(spaces)), make(map[end]state.End, 2*len(host.on.links))}
	for _, r := range spaces {
		if r.nsid >= 0 {
			m.byID[r.nsid] = r
		}
	}
	for _, r := range append([]*reading{host}, spaces...) {
		if err := m.pair(r); err != nil {
			return nil, err
		}
	}
	return m.peers, nil
}

// pair finds the peers of one namespace's links that are not known yet. The host's turn is
// first: most pairs begin there.
func (m *matchmaker) pair(r *reading) error {
	var numbers map[int32]int32 // asked for once, if at all
	for i := range r.on.links {
		l := &r.on.links[i]
		if !leadsOn(l.kind) || m.peers[end{r, l.index}] != (state.End{}) {
			continue
		}
		if r != m.host && l.netnsid >= 0 && r.nsid >= 0 && numbers == nil {
			var err error
			if numbers, err = m.host.conn.numbers(m.ctx, r.nsid); err != nil {
				return err
			}
		}
		switch {
		case l.kind == state.VXLAN:
			l.tunnel.Underlay = m.underlay(r, l, numbers)
			continue
		case stacked(l.kind):
			l.on.Lower = m.below(r, l, numbers)
			continue
		}
		m.join(r, l, m.otherSide(r, l, numbers))
	}
	return nil
}

// otherSide is the namespace of l's peer, nil when it is none that was read.
func (m *matchmaker) otherSide(r *reading, l *link, numbers map[int32]int32) *reading {
	switch {
	case l.netnsid < 0:
		return r
	case r == m.host:
		return m.byID[l.netnsid]
	}
	id, ok := numbers[l.netnsid]
	switch {
	case !ok:
		return nil
	case id == noNsid:
		return m.host
	}
	return m.byID[id]
}

// join notes that l of a has its peer in b, if that is so.
func (m *matchmaker) join(a *reading, l *link, b *reading) {
	if b == nil {
		return
	}
	if other := b.on.link(l.peer); other != nil && other.kind == state.Veth && other.peer == l.index {
		m.peers[end{a, l.index}] = state.End{Place: b.place, Name: other.name}
		m.peers[end{b, l.peer}] = state.End{Place: a.place, Name: l.name}
	}
}

// withPeer completes a veth end. Of a pair, the end that is born with the other is the one
// in a namespace, or the later by key.
func withPeer(l state.Link, peer state.End) state.Link {
	if l.Type != state.Veth || peer == (state.End{}) {
		return l
	}
	l.Peer = peer
	switch {
	case l.Place == state.Host && peer.Place != state.Host:
	case l.Place != state.Host && peer.Place == state.Host:
		l.Second = true
	default:
		l.Second = state.CompareKeys(l.Key(), state.LinkKey(peer.Place, peer.Name)) > 0
	}
	return l
}
