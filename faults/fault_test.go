package faults

import (
	"context"

	"github.com/cnmctl/cnmctl/applier/appliertest"
	"github.com/cnmctl/cnmctl/cli"
	"github.com/cnmctl/cnmctl/state"
)

// fault calls hit at one operation of a run, of all that the kernel and the store are given.
type fault struct {
	at int
	// late: after the operation was done, not before it is tried.
	late bool
	// whole leaves waves whole, and the fault comes before the wave with the operation.
	whole bool
	hit   func(ctx context.Context, op state.Op) error

	seen []state.Op
}

// env is what the run gets for the fault to happen.
func (f *fault) env() cli.Env {
	wrap := func(t state.Target) state.Target { return faultyTarget{t, f} }
	return cli.Env{WrapKernel: wrap, WrapStore: wrap}
}

// faultyTarget hands waves on with the fault in them.
type faultyTarget struct {
	state.Target
	fault *fault
}

func (t faultyTarget) Apply(ctx context.Context, wave []state.Op, done func(int, error)) error {
	f := t.fault
	hook := func(_ int, op state.Op) error {
		f.seen = append(f.seen, op)
		if len(f.seen) != f.at+1 {
			return nil
		}
		return f.hit(ctx, op)
	}
	if f.whole {
		for i, op := range wave {
			if err := hook(i, op); err != nil {
				return err
			}
		}
		return t.Target.Apply(ctx, wave, done)
	}
	faulty := &appliertest.Faulty{Target: t.Target, Before: hook}
	if f.late {
		faulty = &appliertest.Faulty{Target: t.Target, After: hook}
	}
	return faulty.Apply(ctx, wave, done)
}
