package planner

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// VXLAN network identifiers have 24 bits. Like libnetwork, we leave the lowest to what
// people number by hand.
const (
	firstVNI = 256
	lastVNI  = 1<<24 - 1
)

// allocateVNIs numbers the tunnels of networks: as written in the driver's option "vnis", as
// held, or the lowest that no network of any stack has.
func (a *Allocator) allocateVNIs(networks []*spec.Network, held Held) hcl.Diagnostics {
	var diags hcl.Diagnostics
	by := map[uint32]*spec.Network{}
	var open []*spec.Network
	for _, n := range networks {
		if !a.traits[n.Driver].Of(n.Network).Tunnels {
			continue
		}
		if n.VNIs == nil {
			n.VNIs = writtenVNIs(n.Options)
		}
		if n.VNIs == nil {
			open = append(open, n)
			continue
		}
		diags = append(diags, takeVNIs(n, by, held.Facts.VNIs)...)
	}
	for _, n := range open {
		for _, vni := range held.Networks[n.Mark.Address].VNIs {
			if len(n.VNIs) < segments(n.Network) && by[vni] == nil && !held.Facts.VNIs[vni] {
				n.VNIs = append(n.VNIs, vni)
				by[vni] = n
			}
		}
	}
	next := uint32(firstVNI)
	for _, n := range open {
		for ; len(n.VNIs) < segments(n.Network); next++ {
			if next > lastVNI {
				return append(diags, failure(n.At("driver"), "No free VNI", fmt.Sprintf(
					"All VXLAN network identifiers from %d to %d are taken, so there is none for %s.", firstVNI, lastVNI, n.Mark.Address)))
			}
			if by[next] == nil && !held.Facts.VNIs[next] {
				n.VNIs = append(n.VNIs, next)
				by[next] = n
			}
		}
	}
	return diags
}

// takeVNIs gives a network the numbers that it asks for.
func takeVNIs(n *spec.Network, by map[uint32]*spec.Network, elsewhere map[uint32]bool) hcl.Diagnostics {
	var diags hcl.Diagnostics
	at := n.At(n.Driver + ".vnis")
	for _, vni := range n.VNIs {
		switch other := by[vni]; {
		case other == n:
			diags = append(diags, failure(at, "VNI given twice", fmt.Sprintf("%s names the VNI %d twice. Give each subnet its own.", n.Mark.Address, vni)))
		case other != nil:
			diags = append(diags, failure(at, "VNI already in use", fmt.Sprintf(
				"%s asks for the VNI %d, which %s (%s) has: frames would cross between the two. Choose another, or leave vnis out.",
				n.Mark.Address, vni, other.Mark.Address, line(other.At(other.Driver+".vnis")))))
		case elsewhere[vni]:
			diags = append(diags, failure(at, "VNI already in use", fmt.Sprintf(
				"%s asks for the VNI %d, which a network of another stack, or a tunnel of this host, has: frames would cross between the two. Choose another, or leave vnis out.", n.Mark.Address, vni)))
		}
		by[vni] = n
	}
	if len(n.VNIs) != segments(n.Network) {
		diags = append(diags, failure(at, "Wrong number of VNIs", fmt.Sprintf(
			"%s has %d VNIs for %s. The first IPv4 and the first IPv6 subnet have the first VNI, the second ones the second, and so on.",
			n.Mark.Address, len(n.VNIs), plural(segments(n.Network), "pair")+" of subnets")))
	}
	return diags
}

// segments is how many VNIs a network needs: one for each subnet, where the first of both
// families share one, and so on.
func segments(n state.Network) int {
	v4, v6 := 0, 0
	for _, s := range n.Subnets {
		if s.CIDR.Addr().Is4() {
			v4++
		} else {
			v6++
		}
	}
	return max(v4, v6)
}

// writtenVNIs are those of the driver's option; nil when it is absent or null.
func writtenVNIs(options state.Options) []uint32 {
	var vnis []uint32
	if json.Unmarshal(options["vnis"], &vnis) != nil {
		return nil
	}
	return vnis
}

// claimedElsewhere are the VNIs of other stacks: what is known of them already, and the
// claims in the store that are foreign.
func claimedElsewhere(records state.World, known map[uint32]bool) map[uint32]bool {
	all := maps.Clone(known)
	for k, o := range records {
		if _, foreign := o.(state.Foreign); !foreign {
			continue
		}
		if vni, ok := state.ParseVNIKey(k); ok {
			if all == nil {
				all = map[uint32]bool{}
			}
			all[vni] = true
		}
	}
	return all
}
