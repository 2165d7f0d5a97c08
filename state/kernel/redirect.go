package kernel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// Of linux/pkt_sched.h, linux/pkt_cls.h and linux/tc_act/tc_mirred.h, not in package unix.
const (
	handleClsact  = 0xffff0000 // TC_H_MAJ(TC_H_CLSACT)
	parentClsact  = 0xfffffff1 // TC_H_CLSACT
	parentIngress = 0xfffffff2 // TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
	parentEgress  = 0xfffffff3 // TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)

	u32Sel      = 5 // TCA_U32_SEL: struct tc_u32_sel
	u32Act      = 7 // TCA_U32_ACT
	u32Terminal = 1 // TC_U32_TERMINAL
	actKind     = 1 // TCA_ACT_KIND
	actOptions  = 2 // TCA_ACT_OPTIONS
	mirredParms = 2 // TCA_MIRRED_PARMS: struct tc_mirred
	actStolen   = 4 // TC_ACT_STOLEN
	egressRedir = 1 // TCA_EGRESS_REDIR

	sizeofU32Sel = 16
	sizeofU32Key = 16
	sizeofMirred = 28
	mirredTarget = 24 // where the number of the link is in it
)

// filterInfo is the last number of struct tcmsg for our filter: its preference and, in network
// order, the protocol.
func filterInfo(protocol uint16) uint32 {
	return state.RedirectPref<<16 | uint32(native.Uint16(binary.BigEndian.AppendUint16(nil, protocol)))
}

// ingressFilter is what requests about our filter begin with: struct tcmsg. To the kernel the
// protocol 0 is whichever the filter has.
func ingressFilter(index int32, protocol uint16) []byte {
	fixed := tcmsg(index, 0, parentIngress)
	native.PutUint32(fixed[16:], filterInfo(protocol))
	return fixed
}

// filter is what a dump says of one.
type filter struct {
	info    uint32 // preference and protocol
	options []byte
}

// filters calls each with those at one side of a link.
func (c *conn) filters(ctx context.Context, index int32, side uint32, each func(filter)) error {
	var found []filter
	err := c.dump(ctx, unix.RTM_GETTFILTER, tcmsg(index, 0, side), func() { found = found[:0] }, func(body []byte) {
		if len(body) < sizeofTcmsg {
			return
		}
		f := filter{info: native.Uint32(body[16:])}
		attrs(body[sizeofTcmsg:], func(typ uint16, data []byte) {
			if typ == unix.TCA_OPTIONS {
				f.options = append([]byte(nil), data...)
			}
		})
		found = append(found, f)
	})
	if err != nil {
		return fmt.Errorf("reading filters: %w", err)
	}
	for _, f := range found {
		each(f)
	}
	return nil
}

// readRedirects adds where what the place's own links get goes first. Only where there is an
// IFB of ours, something goes anywhere.
func (r *reading) readRedirects(ctx context.Context) error {
	if !r.on.intakes() {
		return nil
	}
	for i := range r.on.links {
		l := &r.on.links[i]
		if !l.ours || l.kind == state.IFB {
			continue
		}
		err := r.conn.filters(ctx, l.index, parentIngress, func(f filter) {
			if target, is := f.redirect(); is && f.info>>16 == state.RedirectPref {
				r.objects = append(r.objects, state.Redirect{Place: r.place, Link: l.name, To: r.on.name(target), Mark: l.owner})
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadRedirects adds where what the links get goes first. A snapshot sees that only where
// there is an IFB of ours.
func (k *Kernel) ReadRedirects(ctx context.Context, w state.World, links []state.Key) error {
	for _, key := range links {
		mine, ok := w[key].(state.Link)
		if !ok {
			continue
		}
		open, err := k.at(key.Place)
		if err != nil {
			return err
		}
		index, err := open.lookup(ctx, key.Name)
		if isAny(err, absent...) {
			continue // it has gone meanwhile
		} else if err != nil {
			return err
		}
		err = open.conn.filters(ctx, index, parentIngress, func(f filter) {
			if _, is := f.redirect(); is && f.info>>16 == state.RedirectPref {
				w.Add(state.Redirect{Place: key.Place, Link: key.Name, Mark: mine.Mark}) // to what is not ours, or is gone
			}
		})
		if err != nil {
			return fmt.Errorf("in %s: %w", key.Place, err)
		}
	}
	return nil
}

// intakes reports that there is an IFB of ours.
func (h *held) intakes() bool {
	for i := range h.links {
		if h.links[i].ours && h.links[i].kind == state.IFB {
			return true
		}
	}
	return false
}

// redirect is the number of the link that a filter redirects to, if it does; 0 if it redirects
// only some of what comes, which is not our doing.
func (f filter) redirect() (target int32, is bool) {
	within := func(b []byte, path ...uint16) []byte {
		for _, want := range path {
			var found []byte
			attrs(b, func(typ uint16, data []byte) {
				if typ == want {
					found = data
				}
			})
			b = found
		}
		return b
	}
	parms := within(f.options, u32Act, 1, actOptions, mirredParms)
	if len(parms) < sizeofMirred || native.Uint32(parms[20:]) != egressRedir {
		return 0, false
	}
	if !bytes.HasPrefix(within(f.options, u32Sel), selectAll()) || f.info != filterInfo(unix.ETH_P_ALL) {
		return 0, true
	}
	return int32(native.Uint32(parms[mirredTarget:])), true
}

// selectAll matches every packet, whatever its first four bytes are: struct tc_u32_sel, and a
// key with an empty mask.
func selectAll() []byte {
	sel := make([]byte, sizeofU32Sel+sizeofU32Key)
	sel[0], sel[2] = u32Terminal, 1
	return sel
}

// writeRedirect makes or takes away one redirection.
func (r *run) writeRedirect(open *place, op state.Op) error {
	o := op.Object().(state.Redirect)
	index, err := open.lookup(r.ctx, o.Link)
	if err != nil {
		return err
	}
	if op.Action == state.Delete {
		return open.conn.endRedirect(r.ctx, index)
	}
	if o.Mark == (state.Owner{}) {
		return nil // it stays with the link that is forgotten
	}
	target, err := open.lookup(r.ctx, o.To)
	if err != nil {
		return err
	}
	return open.conn.redirect(noCancel, index, target)
}

// redirect has what a link gets go to another one, in the place of a redirection that there
// may be: a filter cannot be told another link.
func (c *conn) redirect(ctx context.Context, index, target int32) error {
	if err := c.dropFilter(ctx, index); err != nil && !isAny(err, unix.EINVAL, unix.ENOENT) {
		return err
	}
	b := &batch{}
	b.request(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL, tcmsg(index, handleClsact, parentClsact))
	b.text(unix.TCA_KIND, "clsact")
	b.end()
	if err := c.one(ctx, b); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	b.reset()
	b.request(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_EXCL, ingressFilter(index, unix.ETH_P_ALL))
	b.text(unix.TCA_KIND, "u32")
	b.nest(unix.TCA_OPTIONS, func() { redirectOptions(b, target) })
	b.end()
	return c.one(ctx, b)
}

func redirectOptions(b *batch, target int32) {
	b.attr(u32Sel, selectAll())
	b.nest(u32Act, func() {
		b.nest(1, func() {
			b.text(actKind, "mirred")
			b.nest(actOptions, func() {
				parms := make([]byte, sizeofMirred)
				native.PutUint32(parms[8:], actStolen)
				native.PutUint32(parms[20:], egressRedir)
				native.PutUint32(parms[mirredTarget:], uint32(target))
				b.attr(mirredParms, parms)
			})
		})
	})
}

// endRedirect takes our filter away, and what it is in, if nobody else has one there.
func (c *conn) endRedirect(ctx context.Context, index int32) error {
	if err := c.dropFilter(ctx, index); err != nil {
		return err
	}
	others := false
	for _, side := range []uint32{parentIngress, parentEgress} {
		if err := c.filters(ctx, index, side, func(filter) { others = true }); err != nil {
			return err
		}
	}
	if others {
		return nil
	}
	b := &batch{}
	b.request(unix.RTM_DELQDISC, 0, tcmsg(index, handleClsact, parentClsact))
	b.end()
	return c.one(ctx, b)
}

func (c *conn) dropFilter(ctx context.Context, index int32) error {
	b := &batch{}
	b.request(unix.RTM_DELTFILTER, 0, ingressFilter(index, 0))
	b.end()
	return c.one(ctx, b)
}

// tryRedirect redirects what a link of a scratch namespace gets to that link.
func tryRedirect(ctx context.Context, c *conn) error {
	index, err := c.scratch(ctx, "probe-mirred")
	if err != nil {
		return err
	}
	return c.redirect(ctx, index, index)
}
