package kernel

import (
	"context"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// iflaVRFTable is IFLA_VRF_TABLE of linux/if_link.h, not in package unix.
const iflaVRFTable = 1

// newVRF adds the request that makes a VRF. With the first one of a namespace the kernel
// adds the rule that looks up the tables of VRFs ("1000: from all lookup [l3mdev-table]"),
// once: nothing makes it again, so it is left when the last VRF goes.
func newVRF(b *batch, l state.Link, group uint32) {
	b.request(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, ifinfo(0, 0, 0))
	birth(&b.message, l, group)
	b.nest(unix.IFLA_LINKINFO, func() {
		b.text(unix.IFLA_INFO_KIND, string(state.VRF))
		b.nest(unix.IFLA_INFO_DATA, func() { b.u32(iflaVRFTable, l.Table) })
	})
	b.end()
}

// enslave adds the request that puts a link into its VRF. The kernel takes a link down and up
// for that (cycle_netdev), which costs it its routes and IPv6 addresses: a new one is put
// there before it has any.
func (p *place) enslave(ctx context.Context, b *batch, l state.Link) error {
	vrf, err := p.lookup(ctx, l.VRF)
	if err != nil {
		return err
	}
	change(b, l.Name, 0, 0)
	b.u32(unix.IFLA_MASTER, uint32(vrf))
	b.end()
	return nil
}

func (l *link) parseVRF(b []byte) {
	attrs(b, func(typ uint16, data []byte) {
		if typ == iflaVRFTable {
			l.table = number(data)
		}
	})
}

// above are the bridge that a link is a port of, and the VRF that it is in.
func (h *held) above(l *link) (master, vrf string) {
	switch m := h.link(l.master); {
	case m == nil:
	case m.kind == state.VRF:
		vrf = m.name
	default:
		master = m.name
	}
	return master, vrf
}
