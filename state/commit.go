package state

import (
	"fmt"
	"maps"
)

// ClaimedError reports that an address or a VNI is held by somebody else.
type ClaimedError struct {
	Want   Claim
	Holder Owner
}

func (e *ClaimedError) Error() string {
	holder := string(e.Holder.Address)
	if e.Holder.Stack != e.Want.Mark.Stack {
		holder += " of stack " + e.Holder.Stack
	}
	return fmt.Sprintf("claiming %s for %s: %s holds it; plan again to see who has it now", e.Want, e.Want.Mark.Address, holder)
}

// Commit is the world of claims and records after a wave, for stores that write a wave as
// a whole. Every op is idempotent: what is there already as wanted, or gone, is a success.
// Claims are create-only: one that another holds is a *ClaimedError, and nobody's but the
// op's own is deleted. On an error, failed is the index of its op, and the world is to be
// left as it was.
func Commit(w World, wave []Op) (after World, failed int, err error) {
	after = maps.Clone(w)
	if after == nil {
		after = World{}
	}
	for i, op := range wave {
		if !op.Key.Place.Kept() {
			return w, i, fmt.Errorf("storing %s: it belongs to %s", op.Key, op.Key.Place)
		}
		if op.Action == Delete {
			if mayRelease(after[op.Key], op.Before) {
				delete(after, op.Key)
			}
			continue
		}
		if op.After == nil || op.After.Key() != op.Key {
			return w, i, fmt.Errorf("storing %s: the operation holds another object", op.Key)
		}
		if want, ok := op.After.(Claim); ok {
			if err := mayClaim(after[op.Key], op.Before, want); err != nil {
				return w, i, err
			}
		}
		after[op.Key] = op.After
	}
	return after, 0, nil
}

// mayClaim checks that the claim is free, the taker's already, or held by whom the op says
// it takes it from (a block that was renamed).
func mayClaim(live, before Object, want Claim) error {
	held, taken := live.(Claim)
	from, handover := before.(Claim)
	if !taken || held.Mark == want.Mark || (handover && held.Mark == from.Mark) {
		return nil
	}
	return &ClaimedError{Want: want, Holder: held.Mark}
}

// mayRelease reports that what is stored is what the op means to delete: a claim that has
// passed to another holder is gone already as far as the op is concerned.
func mayRelease(live, before Object) bool {
	held, ok := live.(Claim)
	ours, known := before.(Claim)
	return !ok || !known || held.Mark == ours.Mark
}
