package agent

import (
	"context"
	"errors"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// restoringFor is for how long records that come back after they were lost must not
// change before they are followed. An apply writes all of them as one change, but for what
// only plugins know, which is written some time later.
const restoringFor = 2 * time.Second

var errRestoring = errors.New("the store had lost the stack's records, and is getting them back; waiting until they are all there")

// errPartial is said by who has not seen the records go.
var errPartial = errors.New("the records are being written, and this host, which has a share of the stack, has not converged to any in this store. Nothing was changed. " +
	"The store may have lost its data, and is getting it back: wait until the apply is done that writes it. If that died, apply the configuration again")

// restoring reports that records were not followed because they are not all there.
func restoring(err error) bool { return errors.Is(err, errRestoring) || errors.Is(err, errPartial) }

// restoration is how a store that had lost its records gets them back.
type restoration struct {
	lost  bool
	now   state.Revision
	since time.Time
}

// note hears how looking at the host went.
func (r *restoration) note(err error) {
	var lost *LostError
	if r.lost = errors.As(err, &lost) || errors.Is(err, errPartial); r.lost {
		r.now = state.Revision{}
	}
}

// begun reports that there are records again, which may be more soon.
func (r *restoration) begun() bool { return r.lost && r.now.Index > 0 }

// whole reports that records may be followed: none were lost, or all that have come back are
// there and do not change any more. Latest are the news after they were read. Those of half a
// change would have the host take down what it carries.
func (r *restoration) whole(records Records, latest state.News, now time.Time) bool {
	if latest.Begun || latest.Revision != records.Revision {
		r.now = state.Revision{}
		return false
	}
	if records.Revision != r.now {
		r.now, r.since = records.Revision, now
	}
	return now.Sub(r.since) >= restoringFor
}

// isRestored reports that the records may be followed. A store whose indices have gone back
// has lost its data, also where nobody has seen it empty.
func (a *Agent) isRestored(ctx context.Context, r Records) (bool, error) {
	a.restored.lost = a.restored.lost || r.Revision.Index < a.records.Revision.Index
	if !a.restored.lost || !r.Alive {
		return true, nil
	}
	latest, err := a.Store.Latest(ctx)
	return err == nil && a.restored.whole(r, latest, time.Now()), err
}
