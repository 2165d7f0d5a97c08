package applier

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// pause is the wait between two readings while the kernel tears down, doubled up to
// longestPause.
const (
	pause        = 10 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// DifferenceError says how what was read back differs from what was to be there.
type DifferenceError struct{ Ops []state.Op }

// Error lists the first of the differences.
func (e *DifferenceError) Error() string {
	const most = 20
	lines := make([]string, 0, most+1)
	for i, op := range e.Ops {
		if i == most {
			lines = append(lines, fmt.Sprintf("and %d more", len(e.Ops)-most))
			break
		}
		lines = append(lines, describe(op))
	}
	return "what is there is not what was asked for: " + strings.Join(lines, "; ")
}

// describe says in one clause what an operation would still have to mend.
func describe(op state.Op) string {
	switch op.Action {
	case state.Create:
		return op.Key.String() + " is missing"
	case state.Delete:
		return op.Key.String() + " is still there"
	}
	fields := make([]string, len(op.Delta.Fields))
	for i, f := range op.Delta.Fields {
		fields[i] = fmt.Sprintf("%s is %s instead of %s", f.Name, orNothing(f.Old), orNothing(f.New))
	}
	return op.Key.String() + ": " + strings.Join(fields, ", ")
}

func orNothing(value string) string {
	if value == "" {
		return "not set"
	}
	return value
}

// verify reads back until nothing differs from the wanted world, or until only patience
// has run out. What is missing or differs does not heal by waiting, so only a teardown
// that is still going on is waited for.
func (r *run) verify(ctx context.Context, want state.World) (*planner.Plan, error) {
	r.opts.Events(Event{Stage: Verifying})
	deadline := time.Now().Add(r.opts.Patience)
	for wait := pause; ; wait = min(2*wait, longestPause) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		owed, err := r.owed(ctx, want)
		if err != nil {
			return nil, err
		}
		if len(owed.Ops) == 0 {
			return owed, nil
		}
		if !onlyTeardown(owed) || time.Now().After(deadline) {
			return owed, &DifferenceError{owed.Ops}
		}
		select {
		case <-ctx.Done():
			return owed, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// owed is what would have to be done to get from what is there now to the wanted world.
func (r *run) owed(ctx context.Context, want state.World) (owed *planner.Plan, err error) {
	if r.targets.Settle != nil {
		if err := r.timed("settle", 0, func() error { return r.targets.Settle(ctx) }); err != nil {
			return nil, err
		}
	}
	var now state.World
	err = r.timed("read back", 0, func() (err error) {
		now, err = r.targets.Live.Snapshot(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = r.timed("compare", 0, func() error {
		owed, err = r.difference(want, now)
		return err
	})
	return owed, err
}

// onlyTeardown reports that all that differs is there although it should not be: the
// kernel may still be at it.
func onlyTeardown(owed *planner.Plan) bool {
	for _, op := range owed.Ops {
		if op.Action != state.Delete || op.Replaces || op.Key.Place == state.Store {
			return false
		}
	}
	return true
}
