package planner

import (
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

// TestRestoreLeadsNothingIntoNothing: a redirection to an IFB that somebody deleted is not made again.
func TestRestoreLeadsNothingIntoNothing(t *testing.T) {
	mark := state.Owner{Stack: "shop", Address: "endpoint.e"}
	link := state.Link{Place: state.Netns("a"), Name: "eth0", Mark: mark, Type: state.Veth}
	stray := state.Redirect{Place: link.Place, Link: link.Name, Mark: mark}
	before, now := state.World{}, state.World{}
	before.Add(link, stray)
	now.Add(link)
	plan, err := Restore(before, now)
	if err != nil || len(plan.Ops) != 0 {
		t.Errorf("%v, %v", plan, err)
	}
	if lines := Verify(now, before, Options{}); len(lines) != 0 {
		t.Errorf("it is missed: %v", lines)
	}
	if len(before) != 2 {
		t.Error("the world that is gone back to was changed")
	}
}
