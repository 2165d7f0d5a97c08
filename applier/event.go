package applier

import (
	"time"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// Stage is a part of a run.
type Stage string

// The stages, in the order in which they can follow each other.
const (
	Applying    Stage = "applying"
	Verifying   Stage = "verifying"
	RollingBack Stage = "rolling back"
)

// Event is one thing that happened. An event without an Op announces its stage.
type Event struct {
	Stage Stage
	// Plan is what the stage is about to run; nil while verifying.
	Plan *planner.Plan
	// Op is the operation that was begun or has ended, Index its place among the stage's.
	Op    *state.Op
	Index int
	// Ended: the operation has ended, with Err or well. Otherwise its wave was begun.
	Ended bool
	Err   error
	// Done of Total operations of the stage have ended.
	Done, Total int
}

// Phase is a part of a run and how long it took.
type Phase struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took_ns"`
	// Ops is how many operations it ran, 0 for reading.
	Ops int `json:"ops,omitempty"`
}

// timed runs f and notes how long it took.
func (r *run) timed(name string, ops int, f func() error) error {
	start := time.Now()
	err := f()
	r.result.Phases = append(r.result.Phases, Phase{name, time.Since(start), ops})
	return err
}
