package faults

import (
	"github.com/cnmctl/cnmctl/applier/appliertest"
	"github.com/cnmctl/cnmctl/cli"
	"github.com/cnmctl/cnmctl/state"
)

// fault calls hit at one operation of a run, counting all that the kernel and the store
// are given.
type fault struct {
	at int
	// late: after the operation was done, not before it is tried.
	late bool
	hit  func(op state.Op) error

	next int // the number of the next operation
}

// env is what the run gets for the fault to happen.
func (f *fault) env() cli.Env {
	hook := func(_ int, op state.Op) error {
		n := f.next
		f.next++
		if n != f.at {
			return nil
		}
		return f.hit(op)
	}
	wrap := func(t state.Target) state.Target {
		if f.late {
			return &appliertest.Faulty{Target: t, After: hook}
		}
		return &appliertest.Faulty{Target: t, Before: hook}
	}
	return cli.Env{WrapKernel: wrap, WrapStore: wrap}
}
