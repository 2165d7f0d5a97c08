package applier

import (
	"context"
	"fmt"
	"strings"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// DifferenceError says how what was read back differs from what was to be there.
type DifferenceError struct{ Lines []string }

// Error lists the first of the differences, a line each.
func (e *DifferenceError) Error() string {
	const most = 20
	lines := e.Lines
	if len(lines) > most {
		lines = append(lines[:most:most], fmt.Sprintf("and %d more", len(e.Lines)-most))
	}
	return "what is there is not what was to be there:\n  " + strings.Join(lines, "\n  ")
}

// verify reads back and compares with the wanted world. Nothing is waited for: what the kernel
// tears down in the background is out of sight by then (see state/kernel/link_along.go). It
// returns what is left to be done, nil when that could not be found out.
func (r *run) verify(ctx context.Context, want state.World) (left *planner.Plan, err error) {
	r.opts.Events(Event{Stage: Verifying})
	now, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	lines, left, err := r.compare(want, now)
	if err == nil && len(lines) > 0 {
		err = &DifferenceError{lines}
	}
	return left, err
}

// read reads what is there.
func (r *run) read(ctx context.Context) (now state.World, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = r.timed("read back", 0, func() (err error) {
		now, err = r.targets.Live.Snapshot(ctx)
		return err
	})
	if err != nil {
		return nil, &unreadError{err}
	}
	return now, nil
}

// unreadError is why what is there could not be read.
type unreadError struct{ err error }

func (e *unreadError) Error() string { return e.err.Error() }
func (e *unreadError) Unwrap() error { return e.err }

// compare lists how what is there differs from what is wanted, and plans the way there.
func (r *run) compare(want, now state.World) (lines []string, left *planner.Plan, err error) {
	err = r.timed("compare", 0, func() error {
		lines = planner.Verify(now, want, planner.Options{})
		if len(lines) == 0 {
			left = &planner.Plan{}
			return nil
		}
		left, err = planner.Restore(want, now)
		return err
	})
	return lines, left, err
}
