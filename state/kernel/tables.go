package kernel

import (
	"context"
	"fmt"
	"slices"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// writeTables runs the ops on addresses, routes, rules, neighbors and forwarding entries: all of a place with
// as few system calls as there can be.
func (r *run) writeTables(ops []int) error {
	places, in := r.byPlace(ops)
	for _, p := range places {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if err := r.writePlace(p, in[p]); err != nil {
			return err
		}
		if r.first != nil {
			break
		}
	}
	if r.first == nil {
		r.announce(ops)
	}
	return nil
}

func (r *run) writePlace(p state.Place, ops []int) error {
	open, err := r.at(p)
	if err != nil {
		for _, i := range ops {
			r.report(i, err)
		}
		return nil
	}
	for part := range slices.Chunk(ops, batchSize) {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		b := &batch{}
		sent := make([]int, 0, len(part))
		for _, i := range part {
			if released(r.wave[i]) {
				r.report(i, r.release(open, r.wave[i]))
				continue
			}
			if err := r.tableRequest(r.ctx, b, open, r.wave[i]); err != nil {
				r.report(i, err)
				continue
			}
			sent = append(sent, i)
		}
		results, err := open.conn.send(noCancel, b)
		for at, e := range results {
			if a, ok := r.wave[sent[at]].After.(state.IPAddress); ok && a.Sole && isAny(e, unix.EADDRINUSE) {
				e = r.insistOnAddress(open, r.wave[sent[at]])
			}
			r.report(sent[at], e)
		}
		if err != nil || r.first != nil {
			return err
		}
	}
	return nil
}

// tableRequest adds the request for one op.
func (k *Kernel) tableRequest(ctx context.Context, b *batch, open *place, op state.Op) error {
	switch op.Object().(type) {
	case state.IPAddress:
		return k.writeAddress(ctx, b, open, op)
	case state.Route:
		return k.writeRoute(ctx, b, open, op)
	case state.Neighbor:
		return k.writeNeighbor(ctx, b, open, op)
	case state.FDB:
		return k.writeFDB(ctx, b, open, op)
	case state.Rule:
		k.writeRule(b, op)
		return nil
	}
	return fmt.Errorf("%T does not go into a table: %w", op.Object(), unix.EINVAL)
}
