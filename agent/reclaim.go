package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// reclaimWithin is how long an agent tries to put back what its host holds; then it makes
// another pass first.
const reclaimWithin = 5 * time.Second

// lockedOut is when to try again while somebody has the lock.
const lockedOut = time.Second

// reclaim puts back into a store that has lost its data what this host holds, so that it is
// given to nobody else. It is no harm if it is there, and nothing is made of it but by an
// apply of the stack.
func (a *Agent) reclaim(ctx context.Context, failure error) {
	var lost *LostError
	a.lockedOut = false
	if !errors.As(failure, &lost) || len(lost.Held) == 0 {
		return
	}
	trying, cancel := context.WithTimeout(ctx, reclaimWithin)
	defer cancel()
	err := a.putBack(trying, lost.Held)
	var locked *state.LockedError
	if a.lockedOut = errors.As(err, &locked); a.lockedOut {
		a.Log.Info("putting back what this host holds, later", "lock", locked.Holder.String())
		return
	}
	if err != nil && ctx.Err() == nil {
		a.Log.Error("putting back what this host holds", "error", err)
	}
}

// putBack claims what is not claimed yet. What is another's by now is told of.
func (a *Agent) putBack(ctx context.Context, held []state.Claim) error {
	claimed, others, err := a.Store.Reclaim(ctx, held)
	for _, c := range others {
		ours := held[slices.IndexFunc(held, func(h state.Claim) bool { return h.Key() == c.Key() })]
		a.Log.Error("this host holds what another has claimed", "claim", c.String(), "of", ours.Mark.Address,
			"holder", c.Mark.Address, "stack", c.Mark.Stack)
	}
	if claimed > 0 {
		a.Log.Info("put back what this host holds", "claims", claimed)
	}
	return err
}
