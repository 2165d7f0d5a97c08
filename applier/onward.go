package applier

import (
	"context"
	"errors"
	"fmt"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// onward runs the waves of a way back. An operation that fails stops none but those that
// need it: the more is as it was before, the less is left to mend. What ends it early is the
// second interrupt or the loss of the lock.
func (r *run) onward(ctx context.Context, plan *planner.Plan) (*tally, error) {
	c := newTally(plan)
	barred := make([]bool, len(plan.Ops))
	var met failures
	r.opts.Events(Event{Stage: RollingBack, Plan: plan, Total: len(plan.Ops)})
	begin := 0
	for _, end := range plan.Waves {
		err := r.timed(string(RollingBack)+": "+contents(plan.Ops[begin:end]), end-begin, func() error {
			store, plugins, kernel := split(plan.Ops, begin, end)
			for _, p := range []struct {
				target state.Target
				ops    []int
			}{{r.targets.Store, store}, {r.targets.Plugins, plugins}, {r.targets.Kernel, kernel}} {
				if err := r.partOnward(ctx, p.target, plan, p.ops, c, barred, &met); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return c, err
		}
		begin = end
	}
	return c, met.err()
}

// partOnward hands operations of one target to it until each has been tried that may be. Its
// error is why nothing more is to be done at all.
func (r *run) partOnward(ctx context.Context, t state.Target, plan *planner.Plan, which []int, c *tally, barred []bool, met *failures) error {
	for {
		var open []int
		for _, n := range which {
			if !barred[n] && !c.isDone[n] {
				open = append(open, n)
			}
		}
		if len(open) == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return errors.Join(met.err(), err)
		}
		tried := c.ended()
		err := r.part(ctx, RollingBack, t, plan, open, c)
		if err == nil {
			return nil
		}
		met.add(err)
		if lost := lockLost(err, ctx); lost != nil {
			return lost
		}
		// A target that could not begin, or that does not answer, is not asked again.
		stuck := c.ended() == tried
		for _, n := range open {
			if !c.isDone[n] && (stuck || c.isFailed[n]) {
				barred[n] = true
				for _, m := range plan.Behind(n) {
					barred[m] = true
				}
			}
		}
	}
}

// failures are what operations said that failed, the first few in words.
type failures struct {
	first []error
	more  int
}

func (f *failures) add(err error) {
	const most = 10
	if len(f.first) == most {
		f.more++
		return
	}
	f.first = append(f.first, err)
}

func (f *failures) err() error {
	all := f.first
	if f.more > 0 {
		all = append(all[:len(all):len(all)], fmt.Errorf("and %d more failures", f.more))
	}
	return errors.Join(all...)
}
