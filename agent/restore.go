package agent

import (
	"errors"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// restoringFor is for how long records that come back after they were lost must not
// change before they are followed. They are written in some steps, network before endpoint,
// and the first of them alone would have the host take down what it carries.
const restoringFor = 2 * time.Second

var errRestoring = errors.New("the store had lost the stack's records, and is getting them back; waiting until they are all there")

// restoration is how a store that had lost its records gets them back.
type restoration struct {
	lost  bool
	now   state.Revision
	since time.Time
}

// note hears how looking at the host went.
func (r *restoration) note(err error) {
	var lost *LostError
	if r.lost = errors.As(err, &lost); r.lost {
		r.now = state.Revision{}
	}
}

// begun reports that there are records again, which may be more soon.
func (r *restoration) begun() bool { return r.lost && r.now.Index > 0 }

// quiet reports that records may be followed: none were lost, or those that have come back
// do not change any more.
func (r *restoration) quiet(records Records, now time.Time) bool {
	if !r.lost || !records.Alive {
		return true
	}
	if records.Revision != r.now {
		r.now, r.since = records.Revision, now
	}
	return now.Sub(r.since) >= restoringFor
}
