// Package agent keeps one host as the records of its stack say: a share of the stack's
// networks, without their configuration. It reaches store and kernel only through what it
// is given.
package agent

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

// Host is one host of a stack.
type Host struct {
	Stack, Name string
	Drivers     []drivers.Driver
}

// Records are what a store says of a stack, or what of that concerns the host.
type Records struct {
	World state.World
	// Alive: the stack has networks, sandboxes or endpoints, here or elsewhere.
	Alive bool
	// Revision is theirs; zero for a store that is the host's own.
	Revision state.Revision
	// Reported: the host has converged to records of the stack in this store before. It is
	// known of records that are not all there.
	Reported bool
	// Partial: these are some of the records; others are being written.
	Partial bool
}

// global says of a driver whether its networks span hosts, or some may.
func (h Host) global(driver string) bool {
	i := slices.IndexFunc(h.Drivers, func(d drivers.Driver) bool { return d.Schema().Name == driver })
	if i < 0 {
		return false
	}
	t := h.Drivers[i].Traits()
	return t.Global || t.Plugin
}

// Share is the world that the records want of the host, where plugins have answered as live
// tells. What is in the store is wanted as it is: it is not the host's to change.
func (h Host) Share(r Records, live state.World) (state.World, error) {
	records := drivers.RecordsIn(r.World)
	records.Answers = maps.Clone(r.World)
	for k, o := range live {
		if k.Place.Asked() {
			records.Answers[k] = o
		}
	}
	want, err := drivers.Expand(h.Stack, h.Name, records, h.Drivers)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(want, func(k state.Key, _ state.Object) bool { return k.Place == state.Store || k.Place.InIPAM() })
	maps.Copy(want, r.World)
	return want, nil
}

// LostError reports a store without records of a stack that the host has a share of: it
// is not the one that the share was made from, or has lost its data.
type LostError struct {
	Stack string
	// Held is what the host's share has that others may not be given.
	Held []state.Claim
}

func (e *LostError) Error() string {
	return fmt.Sprintf("the store holds nothing of stack %s, but this host has a share of it. Nothing was changed. "+
		"If the store has lost its data or is another one, apply the configuration again; "+
		"if the stack shall go, 'cnmctl destroy -stack=%s' removes it", e.Stack, e.Stack)
}

// checkLost tells a stack that was destroyed from one whose records were lost: where it was
// destroyed, the host's own report is still there. Of records that are coming back some are
// not there yet, which does not mean that they shall go.
func (h Host) checkLost(r Records, live, past state.World) error {
	if r.Reported || r.Alive && !r.Partial {
		return nil
	}
	for _, o := range live {
		switch {
		case o.Owner().Stack != h.Stack:
		case r.Alive:
			return errPartial
		default:
			return &LostError{Stack: h.Stack, Held: h.holds(live, past)}
		}
	}
	return nil
}

// holdsBlocks reports that there is more of the stack than its hosts, which an agent
// registers by itself, what was said of blocks that there were, and keys for them.
func holdsBlocks(w state.World) bool {
	for k, o := range w {
		if _, others := o.(state.Foreign); !others && k.Kind != state.KindHost && k.Kind != state.KindOutput && k.Kind != state.KindKeyring {
			return true
		}
	}
	return false
}
