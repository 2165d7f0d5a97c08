package planner

import "github.com/cnmctl/cnmctl/state"

// settled reports that nothing is to be done: each wanted object is there, as it is wanted, and
// what else is there is not ours to take away. It is what most plans and every verification
// find, in a third of the time that it takes to decide on each object and to say why. When it
// is not so that is found out at the first difference.
func settled(live, want state.World) bool {
	found := 0
	for k, o := range want {
		have := live[k]
		if have != nil {
			found++
		}
		if !fulfilled(heir(o, want, live), have) {
			return false
		}
	}
	if found == len(live) {
		return true
	}
	for k, o := range live {
		if _, wanted := want[k]; !wanted && !stays(o) {
			return false
		}
	}
	return true
}

// fulfilled reports that what is there is what is wanted of it. Nobody wants what others made:
// it is in worlds that were read, which a rollback leads back to.
func fulfilled(want, have state.Object) bool {
	_, foreign := have.(state.Foreign)
	if _, others := want.(state.Foreign); others {
		return foreign || have == nil
	}
	if _, adopted := want.(state.Adopted); adopted || foreign || have == nil {
		return false
	}
	return state.Compare(want, have).Same()
}

// stays reports that an object stays although nobody wants it.
func stays(o state.Object) bool {
	switch o := o.(type) {
	case state.Foreign:
		return true
	case state.Sysctl:
		return o.Keep
	}
	return false
}

// asksForMore reports that a plan has to look at what is there even if it is what is wanted.
func (o Options) asksForMore() bool {
	return len(o.Moves)+len(o.Removals)+len(o.Replace) > 0
}
