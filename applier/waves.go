package applier

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// tally counts the operations of a plan that ended, and tells how each of them did.
type tally struct {
	done, failed     int
	isDone, isFailed []bool
}

func newTally(plan *planner.Plan) *tally {
	return &tally{isDone: make([]bool, len(plan.Ops)), isFailed: make([]bool, len(plan.Ops))}
}

func (t *tally) ended() int    { return t.done + t.failed }
func (t *tally) notTried() int { return len(t.isDone) - t.ended() }

// left lists the operations of the plan that are not done.
func (t *tally) left(plan *planner.Plan) (left []state.Op) {
	for i, op := range plan.Ops {
		if !t.isDone[i] {
			left = append(left, op)
		}
	}
	return left
}

// waves runs the plan's waves in order until one fails.
func (r *run) waves(ctx context.Context, stage Stage, plan *planner.Plan) (*tally, error) {
	c := newTally(plan)
	r.opts.Events(Event{Stage: stage, Plan: plan, Total: len(plan.Ops)})
	begin := 0
	for _, end := range plan.Waves {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		err := r.timed(string(stage)+": "+contents(plan.Ops[begin:end]), end-begin, func() error {
			return r.wave(ctx, stage, plan, begin, end, c)
		})
		begin = end
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// wave runs the plan's operations from begin to end. The store's go first, and the kernel's
// last: what needs something of another target's is in a later wave.
func (r *run) wave(ctx context.Context, stage Stage, plan *planner.Plan, begin, end int, c *tally) error {
	store, plugins, kernel := split(plan.Ops, begin, end)
	if err := r.part(ctx, stage, r.targets.Store, plan, store, c); err != nil {
		return err
	}
	if err := r.part(ctx, stage, r.targets.Plugins, plan, plugins, c); err != nil {
		return err
	}
	return r.part(ctx, stage, r.targets.Kernel, plan, kernel, c)
}

// part hands the operations of one wave that have the same target to it, and tells what
// becomes of them.
func (r *run) part(ctx context.Context, stage Stage, t state.Target, plan *planner.Plan, which []int, c *tally) error {
	if len(which) == 0 {
		return nil
	}
	if t == nil {
		return fmt.Errorf("running %s: there is nobody here to do it", contents(plan.Ops[which[0]:which[0]+1]))
	}
	tell := func(i int, ended bool, err error) {
		r.opts.Events(Event{
			Stage: stage, Op: &plan.Ops[which[i]], Index: which[i],
			Ended: ended, Err: err, Done: c.ended(), Total: len(plan.Ops),
		})
	}
	ops := make([]state.Op, len(which))
	for i, n := range which {
		ops[i] = plan.Ops[n]
		tell(i, false, nil)
	}
	var first error
	before := c.ended()
	r.touched = true
	err := t.Apply(ctx, ops, func(i int, err error) {
		if err == nil {
			c.done++
			c.isDone[which[i]] = true
		} else {
			c.failed++
			c.isFailed[which[i]] = true
			first = cmp.Or(first, err)
		}
		tell(i, true, err)
	})
	if err == nil {
		err = first
	}
	if missing := len(ops) - (c.ended() - before); err == nil && missing > 0 {
		err = fmt.Errorf("running %s: %d operations got no answer from their target", contents(ops), missing)
	}
	return err
}

// split parts a wave into what goes to the store, to plugins and to the kernel.
func split(ops []state.Op, begin, end int) (store, plugins, kernel []int) {
	for i := begin; i < end; i++ {
		switch p := ops[i].Key.Place; {
		case p == state.Store:
			store = append(store, i)
		case p.Asked():
			plugins = append(plugins, i)
		default:
			kernel = append(kernel, i)
		}
	}
	return store, plugins, kernel
}

// contents says what a wave is about, for the table of phases: "create namespace, link".
func contents(wave []state.Op) string {
	var parts []string
	seen := map[string]bool{}
	last := state.Action("")
	for _, op := range wave {
		part := string(op.Action) + " " + string(op.Key.Kind)
		if seen[part] {
			continue
		}
		seen[part] = true
		if op.Action == last {
			part = string(op.Key.Kind)
		}
		last = op.Action
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}
