package state

import (
	"context"
	"time"
)

// Revision names what a store that hosts share holds of a stack.
type Revision struct {
	// Serial counts the changes since the stack began: for people.
	Serial uint64
	// Index orders all changes of the store, those of stacks that came and went too. 0: the
	// stack has no records.
	Index uint64
}

// Status is what a host says of itself: the revision that it has converged to.
type Status struct {
	Host string
	Revision
	When time.Time
	// Error is why the host could not converge to the revision.
	Error string `json:",omitempty"`
}

// Cluster is implemented by stores that several hosts share.
type Cluster interface {
	RecordStore
	// Revision is the stack's present one. What a Snapshot after it holds is at least as new.
	Revision(context.Context) (Revision, error)
	// Await returns as soon as the revision is another than the known one.
	Await(ctx context.Context, known Revision) (Revision, error)
	// Report writes what a host says of itself; Retract removes it.
	Report(context.Context, Status) error
	Retract(ctx context.Context, host string) error
	// Statuses are what the hosts say, and a number for the next call, which returns as soon
	// as anything differs from what that number stands for. 0: at once.
	Statuses(ctx context.Context, known uint64) (all []Status, next uint64, err error)
	// Attend says that the host's agent is alive, until ctx ends or it cannot be said any
	// more; a dead agent stops saying it by itself. begun is called when it is said.
	Attend(ctx context.Context, info LockInfo, host string, begun func()) error
	// Attended lists the hosts whose agents are alive.
	Attended(context.Context) ([]string, error)
}
