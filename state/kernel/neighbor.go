package kernel

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// neighbor is what a dump says of one entry of a neighbor table.
type neighbor struct {
	index int32
	ip    netip.Addr
	mac   state.MAC
}

// neighbors reads the permanent entries of the socket's namespace; the others are what the
// kernel has learned.
func (c *conn) neighbors(ctx context.Context) (found []neighbor, err error) {
	fixed := make([]byte, unix.SizeofNdMsg)
	err = c.dump(ctx, unix.RTM_GETNEIGH, fixed, func() { found = found[:0] }, func(body []byte) {
		if len(body) < unix.SizeofNdMsg || native.Uint16(body[8:])&unix.NUD_PERMANENT == 0 {
			return
		}
		n := neighbor{index: int32(native.Uint32(body[4:]))}
		attrs(body[unix.SizeofNdMsg:], func(typ uint16, data []byte) {
			switch typ {
			case unix.NDA_DST:
				n.ip = address(data)
			case unix.NDA_LLADDR:
				copy(n.mac[:], data)
			}
		})
		if n.ip.IsValid() {
			found = append(found, n)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading neighbors: %w", err)
	}
	return found, nil
}

// object is the entry as an object, nil for one on a link that is not ours.
func (n neighbor) object(p state.Place, on *held) state.Object {
	if !on.ours(n.index) {
		return nil
	}
	return state.Neighbor{Place: p, Link: on.name(n.index), IP: n.ip, MAC: n.mac, Mark: on.owner(n.index)}
}

// writeNeighbor adds the request that makes, replaces or deletes the entry.
func (k *Kernel) writeNeighbor(ctx context.Context, b *batch, open *place, op state.Op) error {
	n := op.Object().(state.Neighbor)
	index, err := open.lookup(ctx, n.Link)
	if err != nil {
		return err
	}
	fixed := make([]byte, unix.SizeofNdMsg)
	fixed[0] = family(n.IP)
	native.PutUint32(fixed[4:], uint32(index))
	native.PutUint16(fixed[8:], unix.NUD_PERMANENT)
	if op.Action == state.Delete {
		b.request(unix.RTM_DELNEIGH, 0, fixed)
		b.addr(unix.NDA_DST, n.IP)
		b.end()
		return nil
	}
	// What the kernel has learned of this neighbor gives way, so no NLM_F_EXCL.
	b.request(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, fixed)
	b.addr(unix.NDA_DST, n.IP)
	b.attr(unix.NDA_LLADDR, n.MAC[:])
	b.end()
	return nil
}
