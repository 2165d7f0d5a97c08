package agent

import (
	"context"
	"errors"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// Report tells the cluster how converging to the records went. A host that has nothing left
// of a stack that is gone has nothing to say.
func (h Host) Report(ctx context.Context, c state.Cluster, r Records, failure error) error {
	if failure == nil && !r.Alive {
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
	if _, known, err := c.Said(ctx, h.Name); err != nil || known {
		return err
	}
	return c.Report(ctx, state.Status{Host: h.Name, When: time.Now().UTC().Truncate(time.Millisecond)})
}

// report is what an agent has to tell of a pass.
type report struct {
	records Records
	failure string
	// urgent: somebody may wait for it.
	urgent bool
}

// same reports that there is nothing new in the other report.
func (r report) same(other report) bool {
	return r.records.Revision == other.records.Revision && r.failure == other.failure && (r.records.World == nil) == (other.records.World == nil)
}

// report hands what is new about the host to the reporter; now and then also what is not,
// by which others see when the host was there. That of a store which has lost
// its data would say that the host has known this one before.
func (a *Agent) report(failure error, urgent bool) {
	var lost *LostError
	r := report{records: a.records}
	if failure != nil {
		r.failure = failure.Error()
	}
	stale := time.Since(a.said) > DefaultResync/2
	if errors.As(failure, &lost) || restoring(failure) || a.records.World == nil || r.same(a.last) && !stale {
		return
	}
	if failure != nil && (!a.records.Alive || a.records.Partial) && !a.records.Reported {
		return // by this the host would have known the store
	}
	r.urgent = urgent && !r.same(a.last)
	a.last, a.said = r, time.Now()
	select {
	case old := <-a.reports: // it is outdated
		r.urgent = r.urgent || old.urgent
	default:
	}
	a.reports <- r
}

// tell tells the cluster of the latest report, until it is told. That the host is not
// concerned by a revision is told with others: a thousand hosts are not concerned by most.
func (a *Agent) tell(ctx context.Context) {
	var r report
	failures := 0
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case r = <-a.reports:
			if !r.urgent {
				if again == nil {
					again = time.After(sometime())
				}
				continue
			}
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
