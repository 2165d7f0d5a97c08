package agent

import (
	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/state"
)

// Resets remembers which settings were reset, by themselves or with what they were on:
// once they are, nothing tells them from those that were never touched.
type Resets map[state.Key]bool

// Note hears of an event of a run.
func (r Resets) Note(e applier.Event) {
	if e.Op == nil || !e.Ended || e.Err != nil {
		return
	}
	for _, o := range append([]state.Object{e.Op.Object()}, e.Op.Along...) {
		switch s, ok := o.(state.Sysctl); {
		case !ok:
		case e.Op.Action == state.Delete:
			r[s.Key()] = true
		default:
			delete(r, s.Key())
		}
	}
}

// Hide takes the settings out of a world that was read, as they are no longer ours.
func (r Resets) Hide(w state.World) {
	for k := range r {
		delete(w, k)
	}
}
