package planner

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// othersIn collects what others have in the namespaces that the live world shows.
func othersIn(live state.World) map[state.Place]HeldSpace {
	spaces := map[state.Place]HeldSpace{}
	for k, o := range live {
		_, foreign := o.(state.Foreign)
		if _, inNetns := k.Place.Netns(); !foreign || !inNetns {
			continue
		}
		space, known := spaces[k.Place]
		if !known {
			space = HeldSpace{Links: map[string]bool{}, Addresses: map[netip.Prefix]string{}}
			spaces[k.Place] = space
		}
		switch k.Kind {
		case state.KindLink:
			space.Links[k.Name] = true
		case state.KindAddress:
			link, text, _ := strings.Cut(k.Name, " ")
			if p, err := netip.ParsePrefix(text); err == nil {
				space.Addresses[p] = link
			}
		}
	}
	return spaces
}

// checkForeign refuses endpoints in namespaces of others where their subnet is another one's
// already: packets would go either way.
func (w *wiring) checkForeign() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, s := range w.sandboxes {
		others := w.held.Foreign[s.Place()].Addresses
		if !s.Foreign || s.Shares != "" || len(others) == 0 {
			continue
		}
		inOrder := slices.SortedFunc(maps.Keys(others), func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
		for _, e := range w.inside[s.Mark.Address] {
			for _, p := range []netip.Prefix{e.IPv4, e.IPv6} {
				i := slices.IndexFunc(inOrder, func(o netip.Prefix) bool { return p.IsValid() && o.Overlaps(p) })
				if i < 0 {
					continue
				}
				diags = append(diags, failure(e.At("network"), "Subnet is in the sandbox already", fmt.Sprintf(
					"%s would have %s in %s, where %s has %s, which somebody else put there: packets to one of them would go to the other. Choose another subnet for %s.",
					e.Mark.Address, p, s.Place(), others[inOrder[i]], inOrder[i], e.Network)))
			}
		}
	}
	return diags
}
