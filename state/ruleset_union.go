package state

import (
	"cmp"
	"slices"
)

// With is the ruleset with what the old one says besides: its own rules come first, and
// win where a set has two elements of one key. For the moment in which an interface gets
// another name, so that it is never without rules.
func (r Ruleset) With(old Ruleset) Ruleset {
	r.Sets = mergeByName(r.Sets, old.Sets, func(s Set) string { return s.Name }, func(s, o Set) Set {
		if s.Interval {
			return s // ranges of both may overlap, and none is about an interface
		}
		s.Elements = mergeByName(s.Elements, o.Elements, func(e Element) string { return e.Key }, func(e, _ Element) Element { return e })
		slices.SortFunc(s.Elements, func(a, b Element) int { return cmp.Compare(a.Key, b.Key) })
		return s
	})
	r.Chains = mergeByName(r.Chains, old.Chains, func(c Chain) string { return c.Name }, func(c, o Chain) Chain {
		c.Rules = slices.Clone(c.Rules)
		for _, rule := range o.Rules {
			if !slices.ContainsFunc(c.Rules, rule.Equal) {
				c.Rules = append(c.Rules, rule)
			}
		}
		return c
	})
	return r
}

// mergeByName is a with what of b has another name; both is made of two with one name.
func mergeByName[T any](a, b []T, name func(T) string, both func(T, T) T) []T {
	out := slices.Clone(a)
	for _, x := range b {
		i := slices.IndexFunc(out, func(y T) bool { return name(y) == name(x) })
		if i < 0 {
			out = append(out, x)
			continue
		}
		out[i] = both(out[i], x)
	}
	return out
}
