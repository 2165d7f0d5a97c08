package planner

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

// inOrder is a copy of blocks sorted by address.
func inOrder[B any](blocks []B, address func(B) state.Address) []B {
	sorted := slices.Clone(blocks)
	slices.SortFunc(sorted, func(a, b B) int { return compareAddresses(address(a), address(b)) })
	return sorted
}

// sortByNetwork orders the endpoints of one sandbox by network, then by address.
func sortByNetwork(endpoints []*spec.Endpoint) {
	slices.SortStableFunc(endpoints, func(a, b *spec.Endpoint) int {
		return cmp.Or(compareAddresses(a.Network, b.Network), compareAddresses(a.Mark.Address, b.Mark.Address))
	})
}

// compareAddresses orders addresses as a person counts: web[2] before web[10]. Numbers of
// equal value and different length ("1", "01") are told apart by the plain comparison.
func compareAddresses(a, b state.Address) int {
	x, y := string(a), string(b)
	for x != "" && y != "" {
		if isDigit(x[0]) && isDigit(y[0]) {
			var m, n string
			m, x = cutNumber(x)
			n, y = cutNumber(y)
			if c := cmp.Or(cmp.Compare(len(m), len(n)), cmp.Compare(m, n)); c != 0 {
				return c
			}
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(a, b))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// cutNumber splits the digits off the front of s, without leading zeros.
func cutNumber(s string) (number, rest string) {
	end := 0
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	return strings.TrimLeft(s[:end], "0"), s[end:]
}
