// Package applier carries out a plan: wave after wave, with progress, and with a way
// back. Its effects go through the targets that it is given; it decides nothing of its
// own, except that a run which does not end well is undone.
package applier

import (
	"context"
	"errors"
	"fmt"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// Reader reads a world: what is there now.
type Reader interface {
	Snapshot(context.Context) (state.World, error)
}

// Targets is where a plan's operations go, and where their effects are read back.
type Targets struct {
	Kernel, Store state.Target
	// Plugins make what is theirs when they are asked. Nil: there are none.
	Plugins state.Target
	// Live reads all targets, with every setting that the plan manages.
	Live Reader
	// KernelAlone reads the kernel without the store, for a rollback when the store cannot be
	// read any more. Nil: then nothing is put back.
	KernelAlone Reader
	// Raise brings up what the kernel's target keeps down until all else has been read back,
	// if that has not brought it up, and waits until it is fit for use. Nil: it keeps nothing down.
	Raise func(context.Context) error
}

// Options says how to run a plan.
type Options struct {
	// Before is the world that the plan was made from, to which a rollback returns.
	Before state.World
	// Next plans what follows from what plugins have answered, from a world that it reads
	// anew. It is asked after each plan that asks plugins for something; nil: nothing follows.
	Next func(context.Context) (*planner.Plan, state.World, error)
	// Keep leaves what was done when something fails.
	Keep bool
	// Abort ends everything at once, the rollback too: the second interrupt. The context
	// given to Run is the first: it ends the plan and starts the rollback.
	Abort context.Context
	// Events hears of all progress, from one goroutine at a time. Nil: nobody listens.
	Events func(Event)
}

// Result says how far a run got.
type Result struct {
	// Done, Failed and NotTried count the plan's operations.
	Done, Failed, NotTried int
	// Kept: the run failed and what was done was left, as asked.
	Kept bool
	// RolledBack: the run failed and all is as it was before.
	RolledBack bool
	// KernelRolledBack: the run failed because of the store, and the kernel is as it was
	// before. What the store holds is not known.
	KernelRolledBack bool
	// Left are the operations that a rollback still owed when it failed.
	Left []state.Op
	// Phases are the parts of the run in order, with the time that each took.
	Phases []Phase
}

// String is the count for people: "5 done, 1 failed, 3 not tried".
func (r Result) String() string {
	return fmt.Sprintf("%d done, %d failed, %d not tried", r.Done, r.Failed, r.NotTried)
}

// ErrInterrupted is the failure of a run that was told to stop.
var ErrInterrupted = errors.New("interrupted")

// interrupted is an error that came after an interrupt, without the trivial cause.
func interrupted(err error) error {
	if errors.Is(err, context.Canceled) {
		return ErrInterrupted
	}
	return fmt.Errorf("%w: %w", ErrInterrupted, err)
}

// Run runs the plan and checks that the world is as the plan said. When anything fails
// or ctx is cancelled, it begins nothing new and puts back what was there before. The
// error is the first failure; a rollback that failed too is joined to it. When the lock is
// lost (a *state.LockLostError), the run stops at once and puts nothing back.
func Run(ctx context.Context, plan *planner.Plan, t Targets, opts Options) (Result, error) {
	r := &run{targets: t, opts: opts.withDefaults()}
	err := r.forward(ctx, plan)
	if err == nil {
		return r.result, nil
	}
	if lost := lockLost(err, ctx, r.opts.Abort); lost != nil {
		// Another may hold the lock by now, and what would be put back may be theirs.
		r.result.RolledBack = !r.touched
		return r.result, lost
	}
	if ctx.Err() != nil {
		err = interrupted(err)
	}
	if !r.touched {
		r.result.RolledBack = true
		return r.result, err
	}
	if opts.Keep {
		r.result.Kept = true
		return r.result, errors.Join(err, r.raise())
	}
	return r.result, errors.Join(err, r.rollback())
}

// raise brings up what waits for a reading that does not come, and has all be fit for use. An
// interrupt does not keep it from that, a second one does.
func (r *run) raise() error {
	if r.targets.Raise == nil {
		return nil
	}
	return r.targets.Raise(r.opts.Abort)
}

// lockLost is the loss of the lock, if that is what ended the run: the store met it, or
// whoever watches the lock cancelled a context because of it.
func lockLost(err error, contexts ...context.Context) error {
	var lost *state.LockLostError
	for _, c := range contexts {
		err = errors.Join(err, context.Cause(c))
	}
	if errors.As(err, &lost) {
		return lost
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Abort == nil {
		o.Abort = context.Background()
	}
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	return o
}

// run is one call of Run.
type run struct {
	targets Targets
	opts    Options
	result  Result
	// touched: a target was handed operations, so there may be something to put back.
	touched bool
}

// forward applies the plan and verifies it, under a context that either interrupt ends.
func (r *run) forward(ctx context.Context, plan *planner.Plan) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(r.opts.Abort, stop)()

	before := r.opts.Before
	for range mostRounds {
		predicted := make(chan state.World, 1)
		go func() { predicted <- planner.Predict(before, plan) }()
		count, err := r.waves(ctx, Applying, plan)
		r.result.Done += count.done
		r.result.Failed, r.result.NotTried = count.failed, count.notTried()
		if err != nil {
			return err
		}
		if _, err := r.verify(ctx, <-predicted); err != nil {
			return fmt.Errorf("verifying: %w", err)
		}
		if err := r.raise(); err != nil {
			return err
		}
		if r.opts.Next == nil || !plan.Asks() {
			return nil
		}
		if plan, before, err = r.opts.Next(ctx); err != nil {
			return fmt.Errorf("planning what follows from the plugins' answers: %w", err)
		}
		if len(plan.Ops) == 0 {
			return nil
		}
	}
	return errors.New("what plugins answer leads to ever more questions; plan again to see what is left")
}

// mostRounds is how many plans one run may take: a pool, the addresses in it, interfaces,
// and what is on them.
const mostRounds = 6
