package kernel

import (
	"context"
	"errors"

	"github.com/cnmctl/cnmctl/state"
)

// noCancel is for what must not stop half-way: the message after the one that began.
var noCancel = context.Background()

// run is one wave on its way.
type run struct {
	*Kernel
	ctx   context.Context
	wave  []state.Op
	done  func(i int, err error)
	first error
	// taken are creates whose name the kernel says is taken; see judge.
	taken map[int]error
}

// step does the ops whose indexes it is given, and reports each.
type step struct {
	action state.Action // "" for all
	kinds  []state.Kind
	do     func(ops []int) error
}

// Apply runs one wave. What the kernel can do at once is done at once: ops are taken by
// kind, not in the order of the wave, creations before deletions, because a namespace that
// dies holds up those that are born.
func (k *Kernel) Apply(ctx context.Context, wave []state.Op, done func(i int, err error)) error {
	r := &run{Kernel: k, ctx: ctx, wave: wave, done: done, taken: map[int]error{}}
	tables := []state.Kind{state.KindAddress, state.KindRoute, state.KindRule, state.KindNeighbor, state.KindFDB}
	steps := []step{
		{state.Create, []state.Kind{state.KindNamespace}, r.createNamespaces},
		{state.Update, []state.Kind{state.KindNamespace}, r.updateNamespaces},
		{state.Create, []state.Kind{state.KindLink}, r.createLinks},
		{state.Update, []state.Kind{state.KindLink}, r.updateLinks},
		{"", []state.Kind{state.KindQdisc}, r.oneByOne(r.writeQdisc)},
		{"", []state.Kind{state.KindRedirect}, r.oneByOne(r.writeRedirect)},
		{"", tables, r.writeTables},
		{"", []state.Kind{state.KindSysctl}, r.writeSysctls},
		{"", []state.Kind{state.KindRuleset}, r.applyRulesets},
		{"", []state.Kind{state.KindIPsecState, state.KindIPsecPolicy}, r.writeIPsec},
		{"", []state.Kind{state.KindFile}, r.writeFiles},
		{state.Delete, []state.Kind{state.KindLink}, r.deleteLinks},
		{state.Delete, []state.Kind{state.KindNamespace}, r.deleteNamespaces},
	}
	if err := k.awaitCarriers(); err != nil {
		return err
	}
	if err := k.rescue(ctx); err != nil {
		return err
	}
	for _, s := range steps {
		ops := r.pick(s)
		if len(ops) == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return errors.Join(r.first, err)
		}
		if err := s.do(ops); err != nil {
			return errors.Join(r.first, err)
		}
		if err := r.judge(); err != nil {
			return errors.Join(r.first, err)
		}
		if r.first != nil {
			break
		}
	}
	return r.first
}

// pick lists the ops of a step.
func (r *run) pick(s step) (ops []int) {
	for i := range r.wave {
		op := &r.wave[i]
		if s.action != "" && op.Action != s.action {
			continue
		}
		for _, kind := range s.kinds {
			if op.Key.Kind == kind {
				ops = append(ops, i)
			}
		}
	}
	return ops
}

// oneByOne is a step that takes its ops one after the other, for kinds of which there are few.
func (r *run) oneByOne(write func(*place, state.Op) error) func(ops []int) error {
	return func(ops []int) error {
		for _, i := range ops {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			op := r.wave[i]
			open, err := r.at(op.Key.Place)
			if err == nil {
				err = write(open, op)
			}
			r.report(i, err)
			if r.first != nil {
				break
			}
		}
		return nil
	}
}

// report says what came of an op, as errno.go reads it.
func (r *run) report(i int, err error) {
	op := r.wave[i]
	switch verdict(op, err) {
	case fine:
		err = nil
	case taken:
		r.taken[i] = err
		return
	}
	r.finish(i, err)
}

// finish reports an op as it is.
func (r *run) finish(i int, err error) {
	if err != nil {
		err = explain(r.wave[i], err)
		if r.first == nil {
			r.first = err
		}
	}
	r.done(i, err)
}

// judge decides on creates whose name is taken: if what is there is ours and as wanted, a
// run that was cut short has made it, and all is well.
func (r *run) judge() error {
	if len(r.taken) == 0 {
		return nil
	}
	live, err := r.Snapshot(r.ctx)
	if err != nil {
		return err
	}
	for i, cause := range r.taken {
		r.finish(i, conflict(r.wave[i].After, live.World[r.wave[i].Key], cause))
	}
	clear(r.taken)
	return nil
}

// byPlace sorts ops into their places, in the order in which the places first occur.
func (r *run) byPlace(ops []int) (places []state.Place, in map[state.Place][]int) {
	in = map[state.Place][]int{}
	for _, i := range ops {
		p := r.wave[i].Key.Place
		if in[p] == nil {
			places = append(places, p)
		}
		in[p] = append(in[p], i)
	}
	return places, in
}
