package drivers

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// validateOverlaps checks that networks with overlapping subnets are told apart by VRFs:
// wherever both are known, on the host or in a sandbox, they are in different ones. One
// outside of VRFs will not do, because the kernel looks for its own addresses there first,
// whatever VRF a packet came in by. Those that nobody knows both of are refused as well:
// nothing says that it is meant.
func validateOverlaps(t *spec.Topology, all []Driver, onHost map[state.Address]bool) hcl.Diagnostics {
	pairs := overlaps(t.Networks)
	if len(pairs) == 0 {
		return nil
	}
	known := map[state.Address][]domain{}
	for _, n := range t.Networks {
		if i := slices.IndexFunc(all, func(d Driver) bool { return d.Schema().Name == n.Driver }); i >= 0 && all[i].Traits().Device && !all[i].Traits().Global {
			vrf, _ := domainOf(n.Network, all)
			known[n.Mark.Address] = append(known[n.Mark.Address], domain{vrf: vrf})
		}
	}
	space := spaces(t)
	for _, e := range t.Endpoints {
		in := domain{space(e.Sandbox), e.VRF}
		switch {
		case e.Sandbox == "":
			continue
		case onHost[in.sandbox]:
			in = domain{}
		}
		known[e.Network] = append(known[e.Network], in)
	}
	var diags hcl.Diagnostics
	for _, p := range pairs {
		if d := p.check(known, len(t.Policies) > 0); d != nil {
			diags = append(diags, d)
		}
	}
	return diags
}

// subnetOf is a subnet of a network.
type subnetOf struct {
	*spec.Network
	i int
}

func (s subnetOf) cidr() netip.Prefix { return s.Subnets[s.i].CIDR }
func (s subnetOf) at() *hcl.Range     { return s.At(fmt.Sprintf("subnet[%d].cidr", s.i)) }

// overlap is two subnets, of different networks, that overlap.
type overlap struct{ first, second subnetOf }

// overlaps finds all pairs, the one that was written first in each first. Of subnets in order, with
// the wider of two that begin at one address before the other, a later one can only be inside of an
// earlier one.
func overlaps(networks []*spec.Network) []overlap {
	var all []subnetOf
	for _, n := range networks {
		for i := range n.Subnets {
			all = append(all, subnetOf{n, i})
		}
	}
	order := make([]subnetOf, len(all))
	copy(order, all)
	slices.SortStableFunc(order, func(a, b subnetOf) int {
		return cmp.Or(a.cidr().Addr().Compare(b.cidr().Addr()), cmp.Compare(a.cidr().Bits(), b.cidr().Bits()))
	})
	var pairs []overlap
	var around []subnetOf // those that what follows may be inside of
	for _, s := range order {
		around = slices.DeleteFunc(around, func(o subnetOf) bool { return !o.cidr().Overlaps(s.cidr()) })
		for _, o := range around {
			if o.Network != s.Network {
				pairs = append(pairs, inOrder(o, s, all))
			}
		}
		around = append(around, s)
	}
	return pairs
}

// inOrder is the pair as it was written.
func inOrder(a, b subnetOf, all []subnetOf) overlap {
	if slices.Index(all, b) < slices.Index(all, a) {
		a, b = b, a
	}
	return overlap{a, b}
}

// check refuses the pair unless it is told apart everywhere.
func (p overlap) check(known map[state.Address][]domain, policies bool) *hcl.Diagnostic {
	refuse := func(format string, args ...any) *hcl.Diagnostic {
		return Refuse(p.second.at(), "Overlapping subnets", fmt.Sprintf("Subnet %s of %s overlaps subnet %s of %s (%s)", p.second.cidr(), p.second.Mark.Address,
			p.first.cidr(), p.first.Mark.Address, lineOf(p.first.at()))+fmt.Sprintf(format, args...))
	}
	const remedy = "Give one of them another cidr, leave it out to have a free one chosen, or put both into VRFs of their own"
	met := false
	for _, a := range known[p.first.Mark.Address] {
		for _, b := range known[p.second.Mark.Address] {
			if a.sandbox != b.sandbox {
				continue
			}
			met = true
			if a.vrf != "" && b.vrf != "" && a.vrf != b.vrf {
				continue
			}
			where := "the host"
			if a.sandbox != "" {
				where = string(a.sandbox)
			}
			return refuse(", and %s could not tell them apart. %s there.", where, remedy)
		}
	}
	switch {
	case !met:
		return refuse(". %s wherever both are.", remedy)
	case policies:
		return refuse(". VRFs tell them apart, but the stack has policies, which go by addresses and cannot. Give one of them another cidr, or remove the policies.")
	}
	return nil
}
