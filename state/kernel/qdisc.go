package kernel

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// The handles of what we make are its mark: on a link of ours, what somebody else has put
// there with tc(8) is left alone until something of ours is wanted in its place. A root of
// another kind has another handle, so that it can take the place of the one before.
const (
	handleShape = 0x636e0000 // "cn"
	handleNetem = 0x636f0000
	handleInner = 0x63700000 // a token bucket behind netem
	firstClass  = 1
)

// Of linux/pkt_sched.h and linux/rtnetlink.h, not in package unix.
const (
	tbfParms       = 1  // TCA_TBF_PARMS: struct tc_tbf_qopt
	tbfRate64      = 4  // TCA_TBF_RATE64
	netemReorder   = 3  // TCA_NETEM_REORDER: struct tc_netem_reorder
	netemCorrupt   = 4  // TCA_NETEM_CORRUPT: struct tc_netem_corrupt
	netemRate      = 6  // TCA_NETEM_RATE: struct tc_netem_rate
	netemRate64    = 8  // TCA_NETEM_RATE64
	netemLatency64 = 10 // TCA_NETEM_LATENCY64
	netemJitter64  = 11 // TCA_NETEM_JITTER64

	tcRoot       = 0xffffffff // TC_H_ROOT
	sizeofTcmsg  = 20
	sizeofTBF    = 36
	sizeofNetem  = 24
	linkEthernet = 1 // TC_LINKLAYER_ETHERNET: no table of lengths
)

// qdisc is what a dump says of one.
type qdisc struct {
	index          int32
	handle, parent uint32
	kind           string
	options        []byte
}

func (c *conn) qdiscs(ctx context.Context) (found []qdisc, err error) {
	err = c.dump(ctx, unix.RTM_GETQDISC, make([]byte, sizeofTcmsg), func() { found = found[:0] }, func(body []byte) {
		if len(body) < sizeofTcmsg {
			return
		}
		q := qdisc{index: int32(native.Uint32(body[4:])), handle: native.Uint32(body[8:]), parent: native.Uint32(body[12:])}
		attrs(body[sizeofTcmsg:], func(typ uint16, data []byte) {
			switch typ {
			case unix.TCA_KIND:
				q.kind = cstring(data)
			case unix.TCA_OPTIONS:
				q.options = append([]byte(nil), data...)
			}
		})
		found = append(found, q)
	})
	if err != nil {
		return nil, fmt.Errorf("reading qdiscs: %w", err)
	}
	return found, nil
}

// readQdiscs adds what the place's own links send by, where that is of our making.
func (r *reading) readQdiscs(ctx context.Context) error {
	if !r.on.shaped() {
		return nil
	}
	found, err := r.conn.qdiscs(ctx)
	if err != nil {
		return err
	}
	at := map[int32]int{}
	for _, q := range found {
		l := r.on.link(q.index)
		if l == nil || !l.ours || q.handle != handleShape && q.handle != handleNetem && q.handle != handleInner {
			continue
		}
		i, known := at[q.index]
		if !known {
			i = len(r.objects)
			at[q.index] = i
			r.objects = append(r.objects, state.Qdisc{Place: r.place, Link: l.name, Mark: l.owner})
		}
		o := r.objects[i].(state.Qdisc)
		switch q.kind {
		case "tbf":
			o.Shape = parseShape(q.options)
		case "netem":
			o.Netem = parseNetem(q.options)
		}
		r.objects[i] = o
	}
	return nil
}

// shaped reports that a link of ours sends by what may be of our making.
func (h *held) shaped() bool {
	for i := range h.links {
		if l := &h.links[i]; l.ours && (l.qdisc == "tbf" || l.qdisc == "netem") {
			return true
		}
	}
	return false
}

// qdiscKind is the kind of a qdisc, "" for those that are never of our making.
func qdiscKind(b []byte) string {
	switch string(b) { // no copy: every link has one
	case "tbf\x00":
		return "tbf"
	case "netem\x00":
		return "netem"
	}
	return ""
}

func parseShape(b []byte) state.Shape {
	var rate uint64
	var burst, limit uint32
	attrs(b, func(typ uint16, data []byte) {
		switch {
		case typ == tbfParms && len(data) >= sizeofTBF:
			limit, burst = native.Uint32(data[24:]), native.Uint32(data[28:])
			if rate == 0 {
				rate = uint64(native.Uint32(data[8:]))
			}
		case typ == tbfRate64 && len(data) >= 8:
			rate = native.Uint64(data)
		}
	})
	return state.LiveShape(rate, burst, limit)
}

func parseNetem(b []byte) (i state.Impairment) {
	if len(b) < sizeofNetem {
		return i
	}
	i.Loss, i.Duplicate = state.Probability(native.Uint32(b[8:])), state.Probability(native.Uint32(b[16:]))
	attrs(b[sizeofNetem:], func(typ uint16, data []byte) {
		switch {
		case typ == netemReorder && len(data) >= 8:
			i.Reorder = state.Probability(native.Uint32(data))
		case typ == netemCorrupt && len(data) >= 8:
			i.Corrupt = state.Probability(native.Uint32(data))
		case typ == netemRate && len(data) >= 4 && i.Rate == 0:
			i.Rate = uint64(native.Uint32(data))
		case typ == netemRate64 && len(data) >= 8:
			i.Rate = native.Uint64(data)
		case typ == netemLatency64 && len(data) >= 8:
			i.Delay = time.Duration(native.Uint64(data))
		case typ == netemJitter64 && len(data) >= 8:
			i.Jitter = time.Duration(native.Uint64(data))
		}
	})
	return i
}

// writeQdisc makes, changes or takes away one qdisc.
func (r *run) writeQdisc(open *place, op state.Op) error {
	q := op.Object().(state.Qdisc)
	index, err := open.lookup(r.ctx, q.Link)
	if err != nil {
		return err
	}
	b := &batch{}
	if op.Action == state.Delete || q.Mark == (state.Owner{}) {
		if op.Action == state.Delete {
			b.request(unix.RTM_DELQDISC, 0, tcmsg(index, 0, tcRoot))
			b.end()
			return open.conn.one(r.ctx, b)
		}
		return nil // the link that is forgotten takes it along
	}
	if before, ok := op.Before.(state.Qdisc); ok && before.Kinds() != q.Kinds() && before.Netem != (state.Impairment{}) && q.Netem != (state.Impairment{}) {
		// A token bucket behind netem comes or goes: netem itself keeps its place.
		if q.Shape == (state.Shape{}) {
			b.request(unix.RTM_DELQDISC, 0, tcmsg(index, handleInner, handleNetem|firstClass))
			b.end()
		}
	}
	parent, handle := uint32(tcRoot), uint32(handleShape)
	if q.Netem != (state.Impairment{}) {
		newQdisc(b, index, handleNetem, parent, func() { netemOptions(b, q.Netem) }, "netem")
		parent, handle = handleNetem|firstClass, handleInner
	}
	if q.Shape != (state.Shape{}) {
		newQdisc(b, index, handle, parent, func() { shapeOptions(b, q.Shape) }, "tbf")
	}
	results, err := open.conn.send(noCancel, b)
	return errors.Join(append(results, err)...)
}

func tcmsg(index int32, handle, parent uint32) []byte {
	fixed := make([]byte, sizeofTcmsg)
	native.PutUint32(fixed[4:], uint32(index))
	native.PutUint32(fixed[8:], handle)
	native.PutUint32(fixed[12:], parent)
	return fixed
}

// newQdisc adds the request that makes a qdisc, or changes it if it is there.
func newQdisc(b *batch, index int32, handle, parent uint32, options func(), kind string) {
	b.request(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, tcmsg(index, handle, parent))
	b.text(unix.TCA_KIND, kind)
	b.nest(unix.TCA_OPTIONS, options)
	b.end()
}

func shapeOptions(b *batch, s state.Shape) {
	parms := make([]byte, sizeofTBF)
	parms[1] = linkEthernet
	native.PutUint32(parms[8:], uint32(min(s.Rate, math.MaxUint32)))
	native.PutUint32(parms[24:], s.Limit)
	native.PutUint32(parms[28:], s.Ticks())
	b.attr(tbfParms, parms)
	if s.Rate > math.MaxUint32 {
		b.attr(tbfRate64, native.AppendUint64(nil, s.Rate))
	}
}

func netemOptions(b *batch, i state.Impairment) {
	fixed := make([]byte, sizeofNetem)
	native.PutUint32(fixed[4:], state.NetemLimit)
	native.PutUint32(fixed[8:], uint32(i.Loss))
	native.PutUint32(fixed[12:], bit32(i.Reorder != 0)) // every packet may overtake
	native.PutUint32(fixed[16:], uint32(i.Duplicate))
	b.b = append(b.b, fixed...)
	b.attr(netemLatency64, native.AppendUint64(nil, uint64(i.Delay)))
	b.attr(netemJitter64, native.AppendUint64(nil, uint64(i.Jitter)))
	b.attr(netemReorder, native.AppendUint32(native.AppendUint32(nil, uint32(i.Reorder)), 0))
	b.attr(netemCorrupt, native.AppendUint32(native.AppendUint32(nil, uint32(i.Corrupt)), 0))
	rate := native.AppendUint32(nil, uint32(min(i.Rate, math.MaxUint32)))
	b.attr(netemRate, append(rate, make([]byte, 12)...))
	if i.Rate > math.MaxUint32 {
		b.attr(netemRate64, native.AppendUint64(nil, i.Rate))
	}
}

func bit32(v bool) uint32 { return uint32(bit(v)) }

// tryQdisc puts one on a link of a scratch namespace.
func tryQdisc(ctx context.Context, c *conn, f state.Feature) error {
	index, err := c.scratch(ctx, "probe-"+string(f))
	if err != nil {
		return err
	}
	b := &batch{}
	newQdisc(b, index, handleShape, tcRoot, func() {
		if f == state.FeatureNetem {
			netemOptions(b, state.Impairment{Delay: 1})
		} else {
			shapeOptions(b, state.NewShape(1e6, 0, 0))
		}
	}, string(f))
	return c.one(ctx, b)
}

// scratch makes a link to try something on, and tells its number.
func (c *conn) scratch(ctx context.Context, name string) (int32, error) {
	b := &batch{}
	newBridge(b, state.Link{Name: name}, 0)
	if err := c.one(ctx, b); err != nil {
		return 0, err
	}
	links, err := c.links(ctx)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(links, func(l link) bool { return l.name == name })
	if i < 0 {
		return 0, unix.ENODEV
	}
	return links[i].index, nil
}
