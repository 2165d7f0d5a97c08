package agent

import (
	"context"
	"errors"
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

// report is what an agent has to tell of a pass.
type report struct {
	records Records
	failure string
}

// same reports that there is nothing new in the other report.
func (r report) same(other report) bool {
	return r.records.Revision == other.records.Revision && r.failure == other.failure && (r.records.World == nil) == (other.records.World == nil)
}

// report hands what is new about the host to the reporter. That of a store which has lost
// its data would say that the host has known this one before.
func (a *Agent) report(failure error) {
	var lost *LostError
	r := report{records: a.records}
	if failure != nil {
		r.failure = failure.Error()
	}
	if errors.As(failure, &lost) || a.records.World == nil || r.same(a.last) {
		return
	}
	a.last = r
	select {
	case <-a.reports: // it is outdated
	default:
	}
	a.reports <- r
}

// tell tells the cluster of the latest report, until it is told.
func (a *Agent) tell(ctx context.Context) {
	var r report
	failures := 0
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case r = <-a.reports:
		case <-again:
		}
		var failure error
		if r.failure != "" {
			failure = errors.New(r.failure)
		}
		err := a.Report(ctx, a.Store, r.records, failure)
		if err == nil {
			failures, again = 0, nil
			continue
		}
		failures++
		again = time.After(pauseAfter(failures))
		if ctx.Err() == nil {
			a.Log.Warn("reporting", "error", err)
		}
	}
}
