package agent

import (
	"context"
	"slices"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// Report tells the cluster how converging to the records went. A host that has nothing left
// of a stack that is gone has nothing to say.
func (h Host) Report(ctx context.Context, c state.Cluster, r Records, failure error) error {
	if failure == nil && !holdsBlocks(r.World) {
		return c.Retract(ctx, h.Name)
	}
	s := state.Status{Host: h.Name, Revision: r.Revision, When: time.Now().UTC().Truncate(time.Millisecond)}
	if failure != nil {
		s.Error = failure.Error()
	}
	return c.Report(ctx, s)
}

// Introduce shows that the host knows the store, although it has not converged to all that
// is there.
func (h Host) Introduce(ctx context.Context, c state.Cluster) error {
	all, _, err := c.Statuses(ctx, 0)
	if err != nil || slices.ContainsFunc(all, func(s state.Status) bool { return s.Host == h.Name }) {
		return err
	}
	return c.Report(ctx, state.Status{Host: h.Name, When: time.Now().UTC().Truncate(time.Millisecond)})
}
