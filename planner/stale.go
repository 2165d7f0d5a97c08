package planner

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// StaleError reports that a saved plan no longer fits what there is.
type StaleError struct {
	// Key is the object that is not as the plan found it.
	Key state.Key
	// Field is the attribute that differs, "" when the object is gone or new.
	Field string
	// Then and Now are the attribute's values, "" for none.
	Then, Now string
	// What says what happened to the object as a whole.
	What string
	// More counts further objects that differ.
	More int
}

// Error names the object and what of it differs.
func (e *StaleError) Error() string {
	text := "stale plan: " + e.Key.String()
	if e.Field == "" {
		text += " " + e.What
	} else {
		text += fmt.Sprintf(" has changed since: %s was %s and is %s", e.Field, orUnset(e.Then), orUnset(e.Now))
	}
	switch {
	case e.More == 1:
		text += ", and 1 other object has changed"
	case e.More > 1:
		text += fmt.Sprintf(", and %d other objects have changed", e.More)
	}
	return text + "; make a new plan"
}

// CheckStale compares by value what the plan's operations found with what is there now,
// and returns a *StaleError for the first difference in the order of the plan. Objects
// that the plan does not touch may have changed.
func CheckStale(p *Plan, live state.World) error {
	var first *StaleError
	note := func(e *StaleError) {
		switch {
		case e == nil:
		case first == nil:
			first = e
		default:
			first.More++
		}
	}
	for _, s := range p.Spaces {
		note(staleSpace(s, live))
	}
	replaced := p.replaced()
	r := p.renaming()
	changed := map[state.Key]bool{}
	for _, op := range p.Ops {
		if renames(op) {
			e := staleName(op, r, live)
			note(e)
			changed[op.Key] = e != nil // which says it all
		}
	}
	live = r.world(live)
	for _, op := range p.Ops {
		if op.Action == state.Update {
			if changed[op.Key] {
				continue // what it finds is what the op before it leaves
			}
			changed[op.Key] = true
		}
		switch op.Action {
		case state.Create:
			for _, o := range append([]state.Object{op.After}, op.Along...) {
				if !replaced[o.Key()] {
					note(staleNew(o.Key(), live))
				}
			}
		default:
			e := stale(r.object(op.Before), live, replaced)
			if e != nil {
				e.Key = op.Before.Key()
			}
			note(e)
			for _, o := range op.Along {
				note(stale(o, live, replaced))
			}
		}
	}
	made := p.made()
	for _, op := range p.Ops {
		note(lacks(op, live, made))
	}
	gone, touched := p.gone()
	for _, k := range live.Keys() {
		note(goesUnseen(k, live[k], replaced))
		if !touched[k] {
			note(leftWithout(k, live[k], gone))
		}
	}
	if first == nil {
		return nil
	}
	return first
}

// staleSpace finds a namespace of somebody else that is another one by now, or gone.
func staleSpace(s Space, live state.World) *StaleError {
	k := state.NamespaceKey(s.Name)
	now, _ := live[k].(state.Foreign)
	switch {
	case now.Barred != "":
		return &StaleError{Key: k, What: "cannot be gone into any more: " + now.Barred}
	case now.What != s.Is:
		return &StaleError{Key: k, What: fmt.Sprintf("is another one than the plan was made for (%s then, %s now)", s.Is, orUnset(now.What))}
	}
	return nil
}

// staleName checks that what gets another name is there, and that the name is free.
func staleName(op state.Op, r *renaming, live state.World) *StaleError {
	spaces := &renaming{spaces: r.spaces}
	found := false
	for _, o := range live {
		found = found || spaces.object(o).Key() == op.Before.Key() || op.Key.Kind == state.KindNamespace && o.Key() == op.Before.Key()
	}
	if !found {
		return &StaleError{Key: op.Before.Key(), What: "is gone"}
	}
	if o, taken := live[op.Key]; taken && !vacant(live, op.Key) {
		if f, ok := o.(state.Foreign); ok {
			return &StaleError{Key: op.Key, What: "is there now (" + f.What + ")"}
		}
		return &StaleError{Key: op.Key, What: "is there now"}
	}
	return nil
}

// replaced are the keys that the plan deletes: if it makes them too, they are there now.
func (p *Plan) replaced() map[state.Key]bool {
	keys := map[state.Key]bool{}
	for _, op := range p.Ops {
		if op.Action == state.Delete {
			keys[op.Key] = true
			for _, o := range op.Along {
				keys[o.Key()] = true
			}
		}
	}
	return keys
}

// gone are the keys that the plan deletes for good, touched all that it has to do with.
func (p *Plan) gone() (gone, touched map[state.Key]bool) {
	gone, touched = p.replaced(), map[state.Key]bool{}
	for _, op := range p.Ops {
		touched[op.Key] = true
		if op.Action != state.Delete {
			delete(gone, op.Key)
		}
	}
	return gone, touched
}

// made are the keys that there are after the plan because of it.
func (p *Plan) made() map[state.Key]bool {
	keys := map[state.Key]bool{}
	for _, op := range p.Ops {
		if op.After != nil {
			keys[op.After.Key()] = true
		}
	}
	return keys
}

// lacks finds a record that the plan writes and that speaks of one which was there when the
// plan was made, and is not any more: of a network that was removed, in a store that has lost
// its data.
func lacks(op state.Op, live state.World, made map[state.Key]bool) *StaleError {
	if op.After == nil || op.Key.Place != state.Store {
		return nil
	}
	for _, need := range op.After.Needs() {
		if need.Place == state.Store && live[need] == nil && !made[need] {
			return &StaleError{Key: op.Key, What: "needs " + need.String() + ", which is gone"}
		}
	}
	return nil
}

// leftWithout finds a record that came after the plan was made and speaks of one that the
// plan deletes: an endpoint that was attached on another host meanwhile.
func leftWithout(k state.Key, o state.Object, gone map[state.Key]bool) *StaleError {
	if _, foreign := o.(state.Foreign); foreign || k.Place != state.Store {
		return nil
	}
	for _, need := range o.Needs() {
		if gone[need] {
			return &StaleError{Key: k, What: "is there now, and needs " + need.String()}
		}
	}
	return nil
}

// staleNew compares an object that was not there.
func staleNew(k state.Key, live state.World) *StaleError {
	now, there := live[k]
	if !there {
		return nil
	}
	if f, ok := now.(state.Foreign); ok {
		return &StaleError{Key: k, What: "is there now (" + f.What + ")"}
	}
	return &StaleError{Key: k, What: "is there now"}
}

// goesUnseen finds an object that came after the plan was made into something that the plan
// deletes: it would go along, and nobody was shown that.
func goesUnseen(k state.Key, o state.Object, deleted map[state.Key]bool) *StaleError {
	if _, foreign := o.(state.Foreign); foreign || deleted[k] {
		return nil
	}
	for _, holder := range o.Inside() {
		if deleted[holder] {
			return &StaleError{Key: k, What: "is there now, and would go with " + holder.String()}
		}
	}
	return nil
}

// stale compares an object that was there, in both directions: an attribute may be new.
func stale(then state.Object, live state.World, replaced map[state.Key]bool) *StaleError {
	now, there := live[then.Key()]
	if !there {
		return &StaleError{Key: then.Key(), What: "is gone"}
	}
	if _, ok := then.(state.Foreign); ok {
		return nil // not ours to compare
	}
	if f, ok := now.(state.Foreign); ok {
		return &StaleError{Key: then.Key(), What: "is not this stack's any more (" + f.What + ")"}
	}
	now = atItsTurn(then, now, replaced)
	if d := state.Compare(then, now); !d.Same() {
		f := d.Fields[0]
		return &StaleError{Key: then.Key(), Field: f.Name, Then: f.New, Now: f.Old}
	}
	if d := state.Compare(now, then); !d.Same() {
		f := d.Fields[0]
		return &StaleError{Key: then.Key(), Field: f.Name, Then: f.Old, Now: f.New}
	}
	return nil
}

// atItsTurn is the live object as an op will find it: a port whose bridge was replaced by
// then has no master, and a link whose VRF was is in none.
func atItsTurn(then, now state.Object, replaced map[state.Key]bool) state.Object {
	port, ok := now.(state.Link)
	if was, isLink := then.(state.Link); ok && isLink && was.VRF == "" && replaced[state.LinkKey(port.Place, port.VRF)] {
		port.VRF = ""
		now = port
	}
	if was, isLink := then.(state.Link); !ok || !isLink || was.Master != "" || !replaced[state.LinkKey(port.Place, port.Master)] {
		return now
	}
	port.Master, port.Hairpin, port.Isolated = "", false, false
	return port
}

// IdentitiesOf are, of the identities that objects have, those of what the plan takes away.
func IdentitiesOf(p *Plan, all map[state.Key]string) map[state.Key]string {
	taken := map[state.Key]string{}
	for _, op := range p.Ops {
		if op.Action != state.Delete {
			continue
		}
		for _, o := range append([]state.Object{op.Before}, op.Along...) {
			if id, ok := all[o.Key()]; ok && id != "" {
				taken[o.Key()] = id
			}
		}
	}
	return taken
}

// CheckIdentities returns a *StaleError when something that the plan takes away was made
// anew since, as it was: a replacement that was asked for has been done already.
func CheckIdentities(then, now map[state.Key]string) error {
	for _, k := range slices.SortedFunc(maps.Keys(then), state.CompareKeys) {
		if id := now[k]; id != "" && id != then[k] {
			return &StaleError{Key: k, What: "was made anew since"}
		}
	}
	return nil
}
