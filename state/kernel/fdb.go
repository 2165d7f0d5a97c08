package kernel

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// forwarding is what a dump says of one forwarding entry, of a device or of a bridge.
type forwarding struct {
	index   int32
	mac     state.MAC
	vtep    netip.Addr
	bridged bool
}

// staysPut are the states of entries that do not age; the others are what was learned.
const staysPut = unix.NUD_PERMANENT | unix.NUD_NOARP

// ntfSticky is NTF_STICKY of linux/neighbour.h; kernels before 4.20 ignore it.
const ntfSticky = 1 << 6

// forwardings reads the entries that do not age of the socket's namespace.
func (c *conn) forwardings(ctx context.Context) (found []forwarding, err error) {
	fixed := make([]byte, unix.SizeofNdMsg)
	fixed[0] = unix.AF_BRIDGE
	err = c.dump(ctx, unix.RTM_GETNEIGH, fixed, func() { found = found[:0] }, func(body []byte) {
		if len(body) < unix.SizeofNdMsg || native.Uint16(body[8:])&staysPut == 0 {
			return
		}
		f := forwarding{index: int32(native.Uint32(body[4:]))}
		attrs(body[unix.SizeofNdMsg:], func(typ uint16, data []byte) {
			switch typ {
			case unix.NDA_LLADDR:
				copy(f.mac[:], data)
			case unix.NDA_DST:
				f.vtep = address(data)
			case unix.NDA_MASTER:
				f.bridged = true
			}
		})
		// A bridge's permanent entries are its ports' own addresses.
		if !f.bridged || native.Uint16(body[8:])&unix.NUD_PERMANENT == 0 {
			found = append(found, f)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading forwarding entries: %w", err)
	}
	return found, nil
}

// readForwardings adds the entries of the place's own VXLAN devices, where it has any. An
// entry of a device and that of its bridge are one object.
func (r *reading) readForwardings(ctx context.Context) error {
	if !r.on.tunnels() {
		return nil
	}
	found, err := r.conn.forwardings(ctx)
	if err != nil {
		return err
	}
	type entry struct {
		index int32
		mac   state.MAC
	}
	at := make(map[entry]int, len(found))
	for _, f := range found {
		l := r.on.link(f.index)
		if l == nil || !l.ours || l.kind != state.VXLAN {
			continue
		}
		i, known := at[entry{f.index, f.mac}]
		if !known {
			i = len(r.objects)
			at[entry{f.index, f.mac}] = i
			r.objects = append(r.objects, state.FDB{Place: r.place, Link: l.name, MAC: f.mac, Mark: l.owner})
		}
		o := r.objects[i].(state.FDB)
		o.Bridged = o.Bridged || f.bridged
		if f.vtep.IsValid() {
			o.VTEP = f.vtep
		}
		r.objects[i] = o
	}
	return nil
}

// tunnels reports that there are VXLAN devices of ours.
func (h *held) tunnels() bool {
	for i := range h.links {
		if h.links[i].ours && h.links[i].kind == state.VXLAN {
			return true
		}
	}
	return false
}

// writeFDB adds the request that makes, replaces or deletes both entries.
func (k *Kernel) writeFDB(ctx context.Context, b *batch, open *place, op state.Op) error {
	f := op.Object().(state.FDB)
	index, err := open.lookup(ctx, f.Link)
	if err != nil {
		return err
	}
	fixed := make([]byte, unix.SizeofNdMsg)
	fixed[0] = unix.AF_BRIDGE
	native.PutUint32(fixed[4:], uint32(index))
	native.PutUint16(fixed[8:], unix.NUD_NOARP|unix.NUD_REACHABLE) // the one state that both tables take
	if f.VTEP.IsValid() {
		fixed[10] |= unix.NTF_SELF
	}
	if f.Bridged {
		// Sticky: nobody on this host takes the MAC over by sending from it.
		fixed[10] |= unix.NTF_MASTER | ntfSticky
	}
	if op.Action == state.Delete {
		b.request(unix.RTM_DELNEIGH, 0, fixed)
	} else {
		b.request(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, fixed)
	}
	b.attr(unix.NDA_LLADDR, f.MAC[:])
	if op.Action != state.Delete && f.VTEP.IsValid() {
		b.addr(unix.NDA_DST, f.VTEP)
	}
	b.end()
	return nil
}
