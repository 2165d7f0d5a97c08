package cli

import (
	"slices"
	"time"

	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// verb is what happens to a block, in the words of progress lines.
type verb struct{ begin, end string }

var verbs = map[planner.ResourceAction]verb{
	planner.CreateResource:  {"Creating...", "Creation complete"},
	planner.UpdateResource:  {"Modifying...", "Modifications complete"},
	planner.ReplaceResource: {"Replacing...", "Replacement complete"},
	planner.DeleteResource:  {"Destroying...", "Destruction complete"},
	planner.ForgetResource:  {"Forgetting...", "Forgotten"},
	planner.MoveResource:    {"Moving...", "Move complete"},
}

// tracker turns the operations of a plan into the blocks that they belong to: a block
// begins with its first operation and is complete with its last.
type tracker struct {
	blocks int
	byOp   map[int][]*block
}

// block is one block of the plan on its way.
type block struct {
	address state.Address
	action  planner.ResourceAction
	left    int
	begun   time.Time
}

func newTracker(plan *planner.Plan) *tracker {
	t := &tracker{byOp: make(map[int][]*block, len(plan.Ops))}
	for _, r := range plan.Resources {
		if r.Address == "" {
			continue
		}
		b := &block{address: r.Address, action: r.Action}
		t.blocks++
		for _, part := range r.Parts {
			if !slices.Contains(t.byOp[part.Op], b) {
				t.byOp[part.Op] = append(t.byOp[part.Op], b)
				b.left++
			}
		}
	}
	return t
}

// began lists the blocks whose first operation the event is.
func (t *tracker) began(e applier.Event) (first []*block) {
	for _, b := range t.byOp[e.Index] {
		if b.begun.IsZero() {
			b.begun = time.Now()
			first = append(first, b)
		}
	}
	return first
}

// ended lists the blocks whose last operation, or failure, the event is.
func (t *tracker) ended(e applier.Event) (last []*block) {
	for _, b := range t.byOp[e.Index] {
		b.left--
		if b.left == 0 || e.Err != nil {
			last = append(last, b)
		}
	}
	return last
}

// took is how long the block has been worked on.
func (b *block) took() time.Duration { return time.Since(b.begun) }
