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
	// Latest is the present revision with what led to it.
	Latest(context.Context) (News, error)
	// Await returns as soon as the revision is another than the known one.
	Await(ctx context.Context, known Revision) (News, error)
	// Hosts are the records of hosts, and nothing else.
	Hosts(context.Context) (World, error)
	// Follow begins to read what of the records concerns a host. Global says of a driver
	// whether its networks span hosts: of those it takes part in, a host needs all endpoints.
	Follow(host string, global func(driver string) bool) Follower
	// Concerned tells of each host whether a change of the keys concerns it, by what the
	// world of all records holds.
	Concerned(w World, global func(driver string) bool, keys []string) func(host string) bool
	// Report writes what a host says of itself, unless the store does not know the revision that
	// it speaks of: then it has lost its data since. Retract removes it.
	Report(context.Context, Status) error
	Retract(ctx context.Context, host string) error
	// Said is what one host says of itself, and whether it says anything.
	Said(ctx context.Context, host string) (status Status, ok bool, err error)
	// Statuses are what the hosts say, and a number for the next call, which returns as soon
	// as anything differs from what that number stands for. 0: at once.
	Statuses(ctx context.Context, known uint64) (all []Status, next uint64, err error)
	// Attend says that the host's agent is alive, until ctx ends or it cannot be said any
	// more; a dead agent stops saying it by itself. begun is called when it is said.
	Attend(ctx context.Context, info LockInfo, host string, begun func()) error
	// Attended lists the hosts whose agents are alive.
	Attended(context.Context) ([]string, error)
	// Settled reports of a store that is new, or has lost its data, that the hosts had the time
	// to put back what they hold. Under the lock, it stays so for as long as the lock does.
	Settled(context.Context) (bool, error)
	// Settle waits until the store is settled. Before it begins to wait, it tells for how long at least.
	Settle(ctx context.Context, waiting func(time.Duration)) error
	// Reclaim claims, unless somebody has the lock, what nobody has claimed, and returns how many
	// those were and what of it others have claimed.
	Reclaim(ctx context.Context, claims []Claim) (claimed int, others []Claim, err error)
	// Judge says in the catalog how an endpoint's service is.
	Judge(context.Context, Endpoint, Verdict) error
}

// Follower reads what of a stack's records concerns one host, and then only what changes of
// it. It is for one goroutine at a time.
type Follower interface {
	// Hear takes note of news, and reports whether they concern the host; if so it is time
	// to read.
	Hear(News) (concerned bool)
	// Read reads what there is news of, all at first. What it returns is at least as new as
	// its revision. After an error, it goes on from there the next time.
	Read(context.Context) (Share, error)
}

// Share is what of a stack's records concerns one host: its sandboxes, their endpoints and
// networks, all endpoints of those networks that span hosts, and all hosts. It has no claims.
type Share struct {
	World World
	Revision
	// Alive: the stack has networks, sandboxes or endpoints, wherever they are.
	Alive bool
	// Partial: all was read anew, and may be some of a change that is not all there.
	Partial bool
}
