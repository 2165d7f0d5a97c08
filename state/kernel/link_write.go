package kernel

import (
	"context"
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// ifinfo is the fixed part of a link message: struct ifinfomsg.
func ifinfo(index int32, flags, change uint32) []byte {
	fixed := make([]byte, unix.SizeofIfInfomsg)
	native.PutUint32(fixed[4:], uint32(index))
	native.PutUint32(fixed[8:], flags)
	native.PutUint32(fixed[12:], change)
	return fixed
}

// lookup is the number of the link called name. What was looked up once is remembered.
func (p *place) lookup(_ context.Context, name string) (int32, error) {
	if index, ok := p.index[name]; ok {
		return index, nil
	}
	m := &message{}
	m.begin(unix.RTM_GETLINK, 0, linkRequest())
	m.text(unix.IFLA_IFNAME, name)
	m.end()
	var index int32
	err := p.conn.get(m, func(body []byte) {
		if len(body) >= unix.SizeofIfInfomsg {
			index = int32(native.Uint32(body[4:]))
		}
	})
	if err != nil {
		return 0, fmt.Errorf("looking up link %s: %w", name, err)
	}
	p.index[name] = index
	return index, nil
}

// birth adds the attributes that a link is born with.
func birth(m *message, l state.Link, group uint32) {
	m.text(unix.IFLA_IFNAME, l.Name)
	m.u32(unix.IFLA_GROUP, group)
	if l.MTU != 0 && l.Type != state.Bridge { // see complete
		m.u32(unix.IFLA_MTU, uint32(l.MTU))
	}
	if !l.MAC.IsZero() {
		m.attr(unix.IFLA_ADDRESS, l.MAC[:])
	}
}

// newBridge adds the request that makes a bridge: no spanning tree and no forward delay,
// because we make no loops and a port should forward at once.
func newBridge(b *batch, l state.Link, group uint32) {
	b.request(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, ifinfo(0, 0, 0))
	birth(&b.message, l, group)
	b.nest(unix.IFLA_LINKINFO, func() {
		b.text(unix.IFLA_INFO_KIND, string(state.Bridge))
		b.nest(unix.IFLA_INFO_DATA, func() {
			b.u32(unix.IFLA_BR_FORWARD_DELAY, 0)
			b.u32(unix.IFLA_BR_STP_STATE, 0)
			if l.Filtering {
				b.u8(unix.IFLA_BR_VLAN_FILTERING, 1)
			}
		})
	})
	b.end()
}

// newVeth adds the request that makes both ends of a pair, the second where it belongs
// (peerNS is a file descriptor, -1 for the same namespace) and under its own name: moving
// a link costs forty times as much as making it in place. Neither is up: the kernel
// answers ENOTCONN to IFF_UP on a peer, and ports have to come up together.
func newVeth(b *batch, l, peer state.Link, master int32, groups [2]uint32, peerNS int) {
	b.request(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, ifinfo(0, 0, 0))
	birth(&b.message, l, groups[0])
	oneQueue(&b.message)
	if master != 0 {
		b.u32(unix.IFLA_MASTER, uint32(master))
	}
	b.nest(unix.IFLA_LINKINFO, func() {
		b.text(unix.IFLA_INFO_KIND, string(state.Veth))
		b.nest(unix.IFLA_INFO_DATA, func() {
			b.nest(vethInfoPeer, func() {
				b.b = append(b.b, ifinfo(0, 0, 0)...)
				birth(&b.message, peer, groups[1])
				oneQueue(&b.message)
				if peerNS >= 0 {
					b.u32(unix.IFLA_NET_NS_FD, uint32(peerNS))
				}
			})
		})
	})
	b.end()
}

// oneQueue adds that an end has the one queue each way that it uses. Left to itself the kernel
// makes one for each processor, and takes all but the first away again, with an RCU grace
// period for each end (veth_init_queues in drivers/net/veth.c).
func oneQueue(m *message) {
	m.u32(unix.IFLA_NUM_TX_QUEUES, 1)
	m.u32(unix.IFLA_NUM_RX_QUEUES, 1)
}

// vethInfoPeer is VETH_INFO_PEER of linux/veth.h.
const vethInfoPeer = 1

// change starts a request that changes the link called name. It is RTM_SETLINK, because
// RTM_NEWLINK with a group and a name that is gone changes, on kernels before 6.0, all
// links of the group.
func change(b *batch, name string, flags, mask uint32) {
	b.request(unix.RTM_SETLINK, 0, ifinfo(0, flags, mask))
	b.text(unix.IFLA_IFNAME, name)
}

// complete adds the request that ends a link's creation: the mark, and with it the final
// group. IFLA_IFALIAS is ignored when a link is made.
func complete(b *batch, l state.Link, up bool) {
	var flag uint32
	if up {
		flag = unix.IFF_UP
	}
	change(b, l.Name, flag, flag)
	if l.MTU != 0 && l.Type == state.Bridge {
		// One that it is born with, a bridge forgets when its last port goes: only a change
		// is remembered as a wish (BROPT_MTU_SET_BY_USER).
		b.u32(unix.IFLA_MTU, uint32(l.MTU))
	}
	marks(&b.message, l)
	b.end()
}

// marks adds both marks of a link, or takes them away for the zero Owner: an object
// that is forgotten. An alias is sent without a NUL, which the kernel would store.
func marks(m *message, l state.Link) {
	if l.Mark == (state.Owner{}) {
		m.attr(unix.IFLA_IFALIAS, nil)
		m.u32(unix.IFLA_GROUP, 0)
		return
	}
	alias := l.Mark.Mark()
	if l.Type == state.Given {
		alias = l.Mark.GivenMark(l.From)
	}
	m.attr(unix.IFLA_IFALIAS, []byte(alias))
	m.u32(unix.IFLA_GROUP, state.LinkGroup(l.Mark.Stack))
}

// portFlags adds the request that sets a bridge port's own flags.
func portFlags(b *batch, l state.Link) {
	b.request(unix.RTM_NEWLINK, 0, ifinfo(0, 0, 0)) // RTM_SETLINK ignores IFLA_LINKINFO
	b.text(unix.IFLA_IFNAME, l.Name)
	b.nest(unix.IFLA_LINKINFO, func() {
		b.text(unix.IFLA_INFO_SLAVE_KIND, string(state.Bridge))
		b.nest(unix.IFLA_INFO_SLAVE_DATA, func() {
			b.u8(unix.IFLA_BRPORT_MODE, bit(l.Hairpin))
			b.u8(unix.IFLA_BRPORT_ISOLATED, bit(l.Isolated))
			if l.Quiet || l.Type == state.VXLAN {
				for _, flag := range []uint16{unix.IFLA_BRPORT_LEARNING, unix.IFLA_BRPORT_UNICAST_FLOOD, unix.IFLA_BRPORT_MCAST_FLOOD, unix.IFLA_BRPORT_BCAST_FLOOD} {
					b.u8(flag, bit(!l.Quiet))
				}
				b.u8(unix.IFLA_BRPORT_NEIGH_SUPPRESS, bit(l.Quiet))
			}
		})
	})
	b.end()
}

func bit(v bool) uint8 {
	if v {
		return 1
	}
	return 0
}

// upByGroup adds the request that brings up all links of the group.
func upByGroup(b *batch, group uint32) {
	b.request(unix.RTM_NEWLINK, 0, ifinfo(0, unix.IFF_UP, unix.IFF_UP))
	b.u32(unix.IFLA_GROUP, group)
	b.end()
}
