package kernel

import (
	"context"
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// deleteLinks deletes the wave's links, those of one place together: each deletion waits
// for an RCU grace period (17 ms), and all of a group share one.
func (r *run) deleteLinks(ops []int) error {
	places, in := r.byPlace(ops)
	for _, p := range places {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		open, err := r.at(p)
		if err != nil {
			gone := isAny(err, unix.ENOENT)
			if !gone {
				return err
			}
			for _, i := range in[p] {
				r.report(i, nil) // the namespace took them along
			}
			continue
		}
		if rest := r.giveBack(open, in[p]); len(rest) > 0 && r.first == nil {
			if err := r.deleteIn(open, rest); err != nil {
				return err
			}
		}
		if r.first != nil {
			break
		}
	}
	return nil
}

func (r *run) deleteIn(open *place, ops []int) error {
	b := &batch{}
	group := state.DoomedGroup(r.stack)
	for _, i := range ops {
		l := r.wave[i].Key.Name
		delete(open.index, l)
		if len(ops) == 1 {
			b.request(unix.RTM_DELLINK, 0, ifinfo(0, 0, 0))
			b.text(unix.IFLA_IFNAME, l)
		} else {
			change(b, l, 0, 0)
			b.u32(unix.IFLA_GROUP, group)
		}
		b.end()
	}
	results, err := open.conn.send(noCancel, b)
	if err != nil {
		return err
	}
	var dead error
	if len(ops) > 1 {
		dead = open.deleteGroup(group)
	}
	for at, i := range ops {
		if e := results[at]; e != nil {
			r.report(i, e)
		} else {
			r.report(i, dead)
		}
	}
	return nil
}

// deleteLinks deletes the links with these names together, as far as they are there.
func (p *place) deleteLinks(names []string, group uint32) error {
	b := &batch{}
	for _, name := range names {
		delete(p.index, name)
		change(b, name, 0, 0)
		b.u32(unix.IFLA_GROUP, group)
		b.end()
	}
	results, err := p.conn.send(noCancel, b)
	if err != nil {
		return err
	}
	for _, e := range results {
		if e != nil && !isAny(e, absent...) {
			return e
		}
	}
	return p.deleteGroup(group)
}

// deleteGroup deletes all links of the group at once.
func (p *place) deleteGroup(group uint32) error {
	b := &batch{}
	b.request(unix.RTM_DELLINK, 0, ifinfo(0, 0, 0))
	b.u32(unix.IFLA_GROUP, group)
	b.end()
	if err := p.conn.one(noCancel, b); !isAny(err, absent...) {
		return err
	}
	return nil
}

// rescue takes links out of the doomed group that a run left there which was cut short
// between dooming and deleting: they may be wanted again, and must not go with others.
func (k *Kernel) rescue(ctx context.Context) error {
	left := k.doomed
	k.doomed = nil
	for p, names := range left {
		open, err := k.at(p)
		if err != nil {
			return err
		}
		b := &batch{}
		for _, name := range names {
			change(b, name, 0, 0)
			b.u32(unix.IFLA_GROUP, state.LinkGroup(k.stack))
			b.end()
		}
		results, err := open.conn.send(ctx, b)
		if err != nil {
			return err
		}
		for _, e := range results {
			if e != nil && !isAny(e, absent...) {
				return fmt.Errorf("taking links out of the group of the doomed in %s: %w", p, e)
			}
		}
	}
	return nil
}

// leftovers lists the stack's links that stand in the doomed group.
func (k *Kernel) leftovers(host *reading, spaces []*reading) map[state.Place][]string {
	var left map[state.Place][]string
	for _, r := range append(spaces, host) {
		for i := range r.on.links {
			l := &r.on.links[i]
			if l.ours && l.group == state.DoomedGroup(k.stack) {
				if left == nil {
					left = map[state.Place][]string{}
				}
				left[r.place] = append(left[r.place], l.name)
			}
		}
	}
	return left
}
