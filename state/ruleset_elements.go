package state

import "slices"

// OnlyElements compares two tables that differ in nothing but elements of sets: what goes
// and what comes, set by set. An element that leads elsewhere is in both. It is not ok when
// more than that differs.
func (r Ruleset) OnlyElements(old Ruleset) (gone, come []Set, ok bool) {
	if r.Place != old.Place || r.Table != old.Table || r.Mark != old.Mark || r.Dormant != old.Dormant || r.Others != old.Others ||
		len(r.Sets) != len(old.Sets) || !slices.EqualFunc(r.Chains, old.Chains, Chain.Equal) {
		return nil, nil, false
	}
	for i, s := range r.Sets {
		o := old.Sets[i]
		if s.Opaque != nil || o.Opaque != nil || s.Name != o.Name || s.Key != o.Key || s.Data != o.Data || s.Owner != o.Owner ||
			(s.Interval || o.Interval) && !s.Equal(o) { // ranges that come may overlap ranges that go
			return nil, nil, false
		}
		g, c := s, s
		g.Elements, c.Elements = without(o.Elements, s.Elements), without(s.Elements, o.Elements)
		if len(g.Elements) > 0 {
			gone = append(gone, g)
		}
		if len(c.Elements) > 0 {
			come = append(come, c)
		}
	}
	return gone, come, true
}

// without are the elements of a that are not in b.
func without(a, b []Element) []Element {
	in := make(map[Element]bool, len(b))
	for _, e := range b {
		in[e] = true
	}
	var rest []Element
	for _, e := range a {
		if !in[e] {
			rest = append(rest, e)
		}
	}
	return rest
}
