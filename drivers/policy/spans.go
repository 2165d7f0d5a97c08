package policy

import (
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// spans are addresses of both families as ranges in order, none of which touches the next.
type spans []state.AddrRange

// all are all addresses there are.
var all = spans{
	state.RangeOf(netip.PrefixFrom(netip.IPv4Unspecified(), 0)),
	state.RangeOf(netip.PrefixFrom(netip.IPv6Unspecified(), 0)),
}

// spansOf are the addresses in any of the prefixes.
func spansOf(prefixes ...netip.Prefix) spans {
	out := make(spans, 0, len(prefixes))
	for _, p := range prefixes {
		if p.IsValid() {
			out = append(out, state.RangeOf(p))
		}
	}
	return out.joined()
}

// peerSpans are the addresses of any of the peers.
func peerSpans(peers []state.Peer) spans {
	var prefixes []netip.Prefix
	for _, p := range peers {
		prefixes = append(prefixes, p.Prefixes...)
	}
	return spansOf(prefixes...)
}

// joined puts ranges in order, and makes one of those that overlap or touch.
func (s spans) joined() spans {
	slices.SortFunc(s, func(a, b state.AddrRange) int { return a.First.Compare(b.First) })
	var out spans
	for _, r := range s {
		if n := len(out) - 1; n >= 0 && touches(out[n], r) {
			if out[n].Last.Less(r.Last) {
				out[n].Last = r.Last
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// touches reports that b, which begins behind a, goes on where a ends, or before.
func touches(a, b state.AddrRange) bool {
	if a.First.Is4() != b.First.Is4() {
		return false
	}
	next := a.Last.Next()
	return !next.IsValid() || b.First.Compare(next) <= 0
}

// and are the addresses that are in both.
func (s spans) and(o spans) spans {
	var out spans
	for i, j := 0, 0; i < len(s) && j < len(o); {
		if in, ok := overlap(s[i], o[j]); ok {
			out = append(out, in)
		}
		if s[i].Last.Less(o[j].Last) {
			i++
		} else {
			j++
		}
	}
	return out
}

// without are the addresses of s that are not in o.
func (s spans) without(o spans) spans {
	var out spans
	for _, r := range s {
		rest := []state.AddrRange{r}
		for _, hole := range o {
			if last := len(rest) - 1; last >= 0 {
				before, after, _ := cutAddrs(rest[last], hole)
				rest = append(append(rest[:last], before...), after...)
			}
		}
		out = append(out, rest...)
	}
	return out
}

// contains reports that all of o is in s.
func (s spans) contains(o spans) bool {
	for _, r := range o {
		i, found := slices.BinarySearchFunc(s, r.First, func(in state.AddrRange, a netip.Addr) int { return in.First.Compare(a) })
		if !found {
			i--
		}
		if i < 0 || s[i].First.Is4() != r.First.Is4() || s[i].Last.Less(r.Last) {
			return false
		}
	}
	return true
}

func overlap(a, b state.AddrRange) (in state.AddrRange, ok bool) {
	in = state.AddrRange{First: later(a.First, b.First), Last: earlier(a.Last, b.Last)}
	return in, a.First.Is4() == b.First.Is4() && in.First.Compare(in.Last) <= 0
}

func later(a, b netip.Addr) netip.Addr {
	if a.Less(b) {
		return b
	}
	return a
}

func earlier(a, b netip.Addr) netip.Addr {
	if b.Less(a) {
		return b
	}
	return a
}

// cutAddrs cuts what is in b out of a: what is before, what is after, and what was in both.
// Where they do not overlap, all of a is before.
func cutAddrs(a, b state.AddrRange) (before, after []state.AddrRange, in state.AddrRange) {
	in, ok := overlap(a, b)
	if !ok {
		return []state.AddrRange{a}, nil, in
	}
	if a.First.Less(in.First) {
		before = []state.AddrRange{{First: a.First, Last: in.First.Prev()}}
	}
	if in.Last.Less(a.Last) {
		after = []state.AddrRange{{First: in.Last.Next(), Last: a.Last}}
	}
	return before, after, in
}
