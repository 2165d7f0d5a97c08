package planner

import (
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// prefixSet knows which prefixes are taken, and by whom. Its entries are sorted and
// disjoint (of nested ones the outermost stays), so one binary search finds an overlap.
type prefixSet struct{ entries []takenPrefix }

type takenPrefix struct {
	prefix netip.Prefix
	// by is the network that has the prefix; "" for the host's own.
	by state.Address
	// subnet is the index of the subnet in the network.
	subnet int
}

// overlapping finds an entry that overlaps p. Because entries are disjoint, only the last
// that begins before p and the first that begins within it can.
func (s *prefixSet) overlapping(p netip.Prefix) (takenPrefix, bool) {
	i := s.search(p)
	if i < len(s.entries) && s.entries[i].prefix.Overlaps(p) {
		return s.entries[i], true
	}
	if i > 0 && s.entries[i-1].prefix.Overlaps(p) {
		return s.entries[i-1], true
	}
	return takenPrefix{}, false
}

// add puts an entry in; what it contains makes way for it.
func (s *prefixSet) add(t takenPrefix) {
	t.prefix = t.prefix.Masked()
	if found, ok := s.overlapping(t.prefix); ok && found.prefix.Bits() <= t.prefix.Bits() {
		return
	}
	from := s.search(t.prefix)
	to := from
	for to < len(s.entries) && s.entries[to].prefix.Overlaps(t.prefix) {
		to++
	}
	s.entries = slices.Replace(s.entries, from, to, t)
}

// search is the index of the first entry that does not begin before p.
func (s *prefixSet) search(p netip.Prefix) int {
	i, _ := slices.BinarySearchFunc(s.entries, p.Masked().Addr(), func(t takenPrefix, a netip.Addr) int {
		return t.prefix.Addr().Compare(a)
	})
	return i
}
