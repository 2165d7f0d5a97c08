package planner

import (
	"cmp"
	"slices"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

// inOrder is a copy of blocks sorted by address.
func inOrder[B any](blocks []B, address func(B) state.Address) []B {
	sorted := slices.Clone(blocks)
	slices.SortFunc(sorted, func(a, b B) int { return compareAddresses(address(a), address(b)) })
	return sorted
}

// sortByNetwork orders the endpoints of one sandbox by network, then by address; those that
// nobody wrote come last, so that they do not take the first names.
func sortByNetwork(endpoints []*spec.Endpoint) {
	slices.SortStableFunc(endpoints, func(a, b *spec.Endpoint) int {
		return cmp.Or(bit(a.Implied)-bit(b.Implied), compareAddresses(a.Network, b.Network), compareAddresses(a.Mark.Address, b.Mark.Address))
	})
}

// compareAddresses orders addresses as people count: web[2] before web[10].
func compareAddresses(a, b state.Address) int { return spec.CompareAddresses(a, b) }
