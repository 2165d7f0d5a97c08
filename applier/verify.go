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

// verify reads back until nothing differs from the wanted world. What is missing or wrong
// does not heal by waiting, so only a teardown that is still going on is waited for. It
// returns what is left to be done, nil when that could not be found out.
func (r *run) verify(ctx context.Context, want state.World) (left *planner.Plan, err error) {
	r.opts.Events(Event{Stage: Verifying})
	deadline := time.Now().Add(r.opts.Patience)
	for wait := pause; ; wait = min(2*wait, longestPause) {
		now, err := r.read(ctx)
		if err != nil {
			return nil, err
		}
		lines, left, err := r.compare(want, now)
		if err != nil || len(lines) == 0 {
			return left, err
		}
		if !onlyTeardown(left) || time.Now().After(deadline) {
			return left, &DifferenceError{lines}
		}
		select {
		case <-ctx.Done():
			return left, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// read reads what is there once the kernel has come to rest.
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

// onlyTeardown reports that all that differs are links and namespaces that are there
// although they should not be: the kernel may still be at it.
func onlyTeardown(left *planner.Plan) bool {
	for _, op := range left.Ops {
		asynchronous := op.Key.Kind == state.KindLink || op.Key.Kind == state.KindNamespace
		if op.Action != state.Delete || op.Replaces || !asynchronous {
			return false
		}
	}
	return true
}
