package kernel

import (
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

// hasRemotePeer reports that a veth pair leads out of the namespace.
func hasRemotePeer(links []link) bool {
	for i := range links {
		if links[i].kind == state.Veth && links[i].netnsid >= 0 {
			return true
		}
	}
	return false
}

// nsid is the number that the socket's namespace has for the one in fd. Namespaces without
// a number get one if need be, as the kernel itself does whenever it has to name one in a
// message.
func (c *conn) nsid(fd int, assign bool) (int32, error) {
	id, err := c.getNsid(func(m *message) { m.u32(unix.NETNSA_FD, uint32(fd)) }, unix.NETNSA_NSID)
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
	return c.getNsid(func(m *message) { m.u32(unix.NETNSA_FD, uint32(fd)) }, unix.NETNSA_NSID)
}

// getNsid asks for a namespace's number and reads it from the attribute want.
func (c *conn) getNsid(ask func(*message), want uint16) (id int32, err error) {
	id = noNsid
	m := &message{}
	m.begin(unix.RTM_GETNSID, 0, make([]byte, sizeofRtgenmsg))
	ask(m)
	m.end()
	err = c.get(m, func(body []byte) {
		if len(body) < sizeofRtgenmsg {
			return
		}
		attrs(body[sizeofRtgenmsg:], func(typ uint16, data []byte) {
			if typ == want {
				id = int32(number(data))
			}
		})
	})
	if err != nil {
		return noNsid, fmt.Errorf("reading the namespace's number: %w", err)
	}
	return id, nil
}

// pairUp finds the other end of every veth end that was read. The kernel names it by its
// number and by the number of its namespace, as the namespace of the first end counts;
// only the host's numbers are known beforehand.
func (k *Kernel) pairUp(host *reading, spaces []*reading) (map[end]state.End, error) {
	byID := make(map[int32]*reading, len(spaces))
	for _, r := range spaces {
		if r.nsid >= 0 {
			byID[r.nsid] = r
		}
	}
	peers := make(map[end]state.End, 2*len(host.on.links))
	join := func(a *reading, l *link, b *reading) {
		if other := b.on.link(l.peer); other != nil && other.kind == state.Veth && other.peer == l.index {
			peers[end{a, l.index}] = state.End{Place: b.place, Name: other.name}
			peers[end{b, l.peer}] = state.End{Place: a.place, Name: l.name}
		}
	}
	for _, r := range append([]*reading{host}, spaces...) {
		for i := range r.on.links {
			l := &r.on.links[i]
			if l.kind != state.Veth || peers[end{r, l.index}] != (state.End{}) {
				continue
			}
			other, err := k.otherEnd(host, r, l, byID)
			if err != nil {
				return nil, err
			}
			if other != nil {
				join(r, l, other)
			}
		}
	}
	return peers, nil
}

// otherEnd is the namespace of l's peer, nil when it is none that was read.
func (k *Kernel) otherEnd(host, r *reading, l *link, byID map[int32]*reading) (*reading, error) {
	switch {
	case l.netnsid < 0:
		return r, nil
	case r == host:
		return byID[l.netnsid], nil
	case r.nsid < 0:
		return nil, nil
	}
	// What r calls netnsid, in the host's numbers. The host has none for itself.
	id, err := host.conn.getNsid(func(m *message) {
		m.u32(unix.NETNSA_TARGET_NSID, uint32(r.nsid))
		m.u32(unix.NETNSA_NSID, uint32(l.netnsid))
	}, unix.NETNSA_CURRENT_NSID)
	if err != nil {
		return nil, err
	}
	if id == noNsid {
		return host, nil
	}
	return byID[id], nil
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
