package agent

import (
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// Records that come back after a loss are followed when all of a change is there, and
// nothing has come for a while.
func TestRestoredRecordsAreWhole(t *testing.T) {
	at := func(index uint64) state.Revision { return state.Revision{Serial: index, Index: index} }
	start := time.Now()
	var r restoration
	r.note(&LostError{Stack: "shop"})
	for i, step := range []struct {
		records, latest uint64
		begun           bool
		after           time.Duration
		whole           bool
	}{
		{0, 0, true, 0, false},
		{0, 0, true, time.Hour, false}, // however long the first change takes
		{1, 1, false, time.Hour, false},
		{1, 1, true, 2 * time.Hour, false},
		{1, 2, false, 2 * time.Hour, false}, // it ended while we were reading
		{2, 2, false, 2 * time.Hour, false},
		{2, 2, false, 2*time.Hour + restoringFor - 1, false},
		{3, 3, false, 2*time.Hour + restoringFor, false}, // what plugins have answered
		{3, 3, false, 2*time.Hour + 2*restoringFor, true},
	} {
		latest := state.News{Revision: at(step.latest), Begun: step.begun}
		if got := r.whole(Records{Revision: at(step.records), Alive: true}, latest, start.Add(step.after)); got != step.whole {
			t.Errorf("step %d: followed is %v", i, got)
		}
	}
}
