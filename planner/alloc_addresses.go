package planner

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// family is one of the two: where an endpoint keeps its address, and what it is called.
type family struct {
	attr string
	name string
	is4  bool
	of   func(*spec.Endpoint) *netip.Prefix
}

func families() []family {
	return []family{
		{"ipv4", "IPv4", true, func(e *spec.Endpoint) *netip.Prefix { return &e.IPv4 }},
		{"ipv6", "IPv6", false, func(e *spec.Endpoint) *netip.Prefix { return &e.IPv6 }},
	}
}

// allocateAddresses gives each endpoint one address of each family that its network has:
// the one that it asks for, the one that it holds, or the lowest free one.
func (w *wiring) allocateAddresses() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, f := range families() {
		plots := w.plots(f)
		for _, e := range w.linked {
			if f.of(e).IsValid() && (len(plots[e.Network]) > 0 || ownAddresses(w.network[e.Network])) && !slices.Contains(e.Assigned, f.attr) {
				diags = append(diags, w.takeWritten(f, e, plots[e.Network])...)
			}
		}
		for _, e := range w.addressed() {
			if !f.of(e).IsValid() {
				takeHeld(f, e, plots[e.Network], w.held.Endpoints[e.Mark.Address].Addresses)
			}
		}
		diags = append(diags, w.takeLowest(f, plots)...)
	}
	return diags
}

// addressed are the endpoints whose addresses cnmctl itself gives out.
func (w *wiring) addressed() []*spec.Endpoint {
	if !slices.ContainsFunc(w.networks, func(n *spec.Network) bool { return !ownAddresses(n) }) {
		return w.linked
	}
	return slices.DeleteFunc(slices.Clone(w.linked), func(e *spec.Endpoint) bool {
		n := w.network[e.Network]
		return n != nil && !ownAddresses(n)
	})
}

// plots are the subnets of a family, by network and in the order in which they are used.
func (w *wiring) plots(f family) map[state.Address][]*plot {
	plots := make(map[state.Address][]*plot, len(w.networks))
	for _, n := range w.networks {
		for _, s := range n.Subnets {
			if s.CIDR.IsValid() && s.CIDR.Addr().Is4() == f.is4 {
				if shares(w.traits[n.Driver], n) {
					s = w.held.Facts.withoutOwn(s)
				}
				plots[n.Mark.Address] = append(plots[n.Mark.Address], newPlot(s))
			}
		}
	}
	return plots
}

// takeWritten gives the endpoint the address that its block asks for. The record holds it
// with whatever length; the subnet's is the one that counts.
func (w *wiring) takeWritten(f family, e *spec.Endpoint, plots []*plot) hcl.Diagnostics {
	ip := f.of(e).Addr()
	p := containing(plots, ip)
	if p == nil {
		return hcl.Diagnostics{w.outside(f, e, plots)}
	}
	if why := p.refuses(ip); why != "" {
		return hcl.Diagnostics{failure(e.At(f.attr), "Address not available", fmt.Sprintf(
			"%s cannot have %s: in subnet %s of %s it is %s. Choose another address, or leave %s out to have a free one chosen.",
			e.Mark.Address, ip, p.cidr, e.Network, why, f.attr))}
	}
	if other := p.taken[ip]; other != nil {
		return hcl.Diagnostics{failure(e.At(f.attr), "Address already in use", fmt.Sprintf(
			"%s asks for %s, which %s (%s) has on %s. Choose another address for one of them, or leave %s out to have a free one chosen.",
			e.Mark.Address, ip, other.Mark.Address, line(other.At(f.attr)), e.Network, f.attr))}
	}
	p.give(f, e, ip)
	return nil
}

// outside says that an address is in none of the network's subnets.
func (w *wiring) outside(f family, e *spec.Endpoint, plots []*plot) *hcl.Diagnostic {
	if len(plots) == 0 {
		return failure(e.At(f.attr), "Address outside of the network", fmt.Sprintf(
			"%s asks for %s, but %s has no %s subnet. Give the network one that contains the address, or leave %s out.",
			e.Mark.Address, f.of(e).Addr(), e.Network, f.name, f.attr))
	}
	return failure(e.At(f.attr), "Address outside of the network", fmt.Sprintf(
		"%s asks for %s, which is in no subnet of %s (%s). Choose an address of %s, or leave %s out to have a free one chosen.",
		e.Mark.Address, f.of(e).Addr(), e.Network, listPlots(plots), either(len(plots)), f.attr))
}

func takeHeld(f family, e *spec.Endpoint, plots []*plot, held []netip.Addr) {
	for _, ip := range held {
		if p := containing(plots, ip); p != nil && p.free(ip) {
			p.give(f, e, ip)
			return
		}
	}
}

// takeLowest serves the endpoints that have no address yet from the first subnet with
// room. A network that runs out is one error, however many endpoints go without.
func (w *wiring) takeLowest(f family, plots map[state.Address][]*plot) hcl.Diagnostics {
	without := map[state.Address][]*spec.Endpoint{}
	var full []state.Address
	for _, e := range w.addressed() {
		if f.of(e).IsValid() || len(plots[e.Network]) == 0 {
			continue
		}
		if p, ip := roomy(plots[e.Network]); p != nil {
			p.give(f, e, ip)
			continue
		}
		if len(without[e.Network]) == 0 {
			full = append(full, e.Network)
		}
		without[e.Network] = append(without[e.Network], e)
	}
	var diags hcl.Diagnostics
	for _, n := range full {
		diags = append(diags, w.exhausted(f, w.network[n], plots[n], without[n]))
	}
	return diags
}

func (w *wiring) exhausted(f family, n *spec.Network, plots []*plot, without []*spec.Endpoint) *hcl.Diagnostic {
	used := make([]string, len(plots))
	for i, p := range plots {
		used[i] = fmt.Sprintf("%s: %d in use", p.cidr, len(p.taken))
	}
	who := string(without[0].Mark.Address)
	if more := len(without) - 1; more > 0 {
		who += fmt.Sprintf(" and %d more", more)
	}
	return failure(without[0].At(f.attr), "No free address", fmt.Sprintf(
		"%s (%s) has no %s address left for %s (%s). Widen the subnet or its range, add another subnet to the network, or remove endpoints.",
		n.Mark.Address, line(n.At("subnet")), f.name, who, strings.Join(used, ", ")))
}

// containing is the first plot that contains the address, nil for none.
func containing(plots []*plot, ip netip.Addr) *plot {
	for _, p := range plots {
		if p.cidr.Contains(ip) {
			return p
		}
	}
	return nil
}

// roomy is the first plot with a free address, and the address.
func roomy(plots []*plot) (*plot, netip.Addr) {
	for _, p := range plots {
		if ip, ok := p.lowest(); ok {
			return p, ip
		}
	}
	return nil, netip.Addr{}
}

// give makes ip the endpoint's.
func (p *plot) give(f family, e *spec.Endpoint, ip netip.Addr) {
	p.taken[ip] = e
	*f.of(e) = netip.PrefixFrom(ip, p.cidr.Bits())
}

func listPlots(plots []*plot) string {
	text := make([]string, len(plots))
	for i, p := range plots {
		text[i] = p.cidr.String()
	}
	return strings.Join(text, ", ")
}

func either(n int) string {
	if n == 1 {
		return "that subnet"
	}
	return "one of those subnets"
}
